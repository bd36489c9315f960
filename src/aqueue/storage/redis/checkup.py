"""Whether every task of a namespace on Redis is in exactly one place, checked in both directions.

Each record is held against the place that it names, and whatever stands in a place against its record. One script looks
at up to a hundred of them, so nothing moves between the two looks, and the server is never held up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..admin import PAGE, Examined, Finding
from .keys import queue_of, type_of
from .packing import batches
from .scripts import CHECK_ENTRIES, CHECK_LEFTOVERS, CHECK_PENDING, CHECK_RECORDS, CHECK_SCHEDULED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from .connections.server import Server
    from .keys import Keys

# For each answer of a script: the kind of finding, which a user's script can rely on, and a sentence.
_SENTENCES = {
    "no entry": ("lost", "is in line at {more} by its record, and no entry there is its"),
    "other entry": ("lost", "is in line by its record, and its entry {more} is that of another task"),
    "not lent": ("lost", "was taken out of the line at {more}, and nobody has it: a consumer was deleted"),
    "no payload": ("lost", "has no payload any more"),
    "no schedule": ("lost", "is due later, and is not in the schedule of the queue {more}"),
    "waits for nothing": ("lost", "waits for others, and it is not known for whom"),
    "damaged": ("damaged", "has a record that names no place"),
    "vanishing": ("vanishing", "is {more}, and its record expires"),
    "kept": ("kept", "is {more}, and its record never expires"),
    "ended": ("twice", "has its verdict, and still stands in line, as entry {more}: it would run again"),
    "twice": ("twice", "stands in line more than once, as entry {more} too: it would run twice"),
    "not due": ("twice", "is {more}, and stands in a schedule too"),
    "other schedule": ("twice", "stands in a schedule that is not that of its lane {more}"),
    "no record": ("unknown", "stands in a place, and has no record: it could be enqueued once more"),
    "stranger": ("stranger", "entry {more} is not that of a task: a worker will declare it dead"),
    "empty": ("empty", "entry {more} is lent, and there is nothing in it"),
    "left over inbox": ("leftover", "waits for nobody any more, and what it was given is still there"),
    "left over letter": ("leftover", "has a dead letter that is in no list"),
    "left over request": ("leftover", "has ended, and is still asked to stop"),
}


class Checkup:
    """One examination of a whole namespace."""

    def __init__(self, server: Server, keys: Keys) -> None:
        self._server = server
        self._keys = keys
        self._lanes: set[str] = set()
        self._queues: set[str] = set()

    async def run(self, scan: AsyncGenerator[list[bytes], None]) -> AsyncGenerator[Examined, None]:
        """The findings, step by step; `scan` yields the keys of the namespace, some hundred at a time."""
        keys = self._keys
        async for names in scan:
            sound, findings = await self._sorted(names)
            yield Examined(0, findings)
            for batch in batches(_behind(keys.tasks, sound), PAGE):
                tasks, *wrong = await self._server.run(CHECK_RECORDS, *batch)
                yield Examined(tasks, _findings(wrong))
            for kind, prefix in (("inbox", keys.inboxes), ("letter", keys.dead_letters)):
                yield Examined(0, await self._leftovers(kind, _behind(prefix, sound)))
            self._lanes.update(_behind(keys.streams, sound))
            self._queues.update(_behind(keys.due, sound))
        yield Examined(0, await self._unread())
        for lane in sorted(self._lanes):
            async for findings in self._entries(lane):
                yield Examined(0, findings)
        for queue in sorted(self._queues):
            async for findings in self._due(queue):
                yield Examined(0, findings)
        requests = [task_id.decode() for task_id in await self._server.call("SMEMBERS", keys.to_cancel)]
        yield Examined(0, await self._leftovers("request", requests))

    async def _sorted(self, names: list[bytes]) -> tuple[list[str], list[Finding]]:
        """Those of `names` that have the right type, and findings about the others."""
        keys = [name.decode("utf-8", "backslashreplace") for name in names]
        types = await asyncio.gather(*(self._server.call("TYPE", name) for name in names))
        sound, findings = [], []
        for key, kind in zip(keys, (kind.decode() for kind in types), strict=True):
            wanted = type_of(key[len(self._keys.prefix) :])
            if wanted is None:
                findings.append(Finding("stranger", "", f"the key {key} is not one of aqueue"))
            elif kind not in {wanted, "none"}:
                findings.append(Finding("type", "", f"the key {key} must be a {wanted}, and is a {kind}"))
            elif kind != "none":
                sound.append(key)
        return sound, findings

    async def _leftovers(self, kind: str, task_ids: Sequence[str]) -> list[Finding]:
        findings = []
        for batch in batches(task_ids, PAGE):
            findings += _findings(await self._server.run(CHECK_LEFTOVERS, kind, *batch))
        return findings

    async def _unread(self) -> list[Finding]:
        """Findings about lanes and queues with tasks that workers do not know."""
        known = {lane.decode() for lane in await self._server.call("SMEMBERS", self._keys.lanes)}
        findings = []
        for lane in sorted(self._lanes - known):
            if await self._server.call("XLEN", self._keys.stream(lane)):
                findings.append(Finding("unread", "", f"tasks are in line at {lane}, and no worker knows of it"))
        for queue in sorted(self._queues - set(map(queue_of, known))):
            findings.append(Finding("unread", "", f"tasks are scheduled in {queue}, and no worker knows of it"))
        return findings

    async def _entries(self, lane: str) -> AsyncGenerator[list[Finding], None]:
        for script in (CHECK_ENTRIES, CHECK_PENDING):
            after = b""
            while True:
                after, *wrong = await self._server.run(script, lane, PAGE, after)
                yield _findings(wrong)
                if not after:
                    break

    async def _due(self, queue: str) -> AsyncGenerator[list[Finding], None]:
        cursor = b"0"
        while True:
            cursor, members = await self._server.call("ZSCAN", self._keys.schedule(queue), cursor, "COUNT", PAGE)
            for ids in batches(members[::2], PAGE):
                yield _findings(await self._server.run(CHECK_SCHEDULED, queue, *ids))
            if cursor == b"0":
                break


def _behind(prefix: str, names: Sequence[str]) -> list[str]:
    """The rest after `prefix` of those `names` that begin with it."""
    return [name[len(prefix) :] for name in names if name.startswith(prefix)]


def _findings(wrong: list[list[bytes]]) -> list[Finding]:
    findings = []
    for task_id, fault, more in wrong:
        what, sentence = _SENTENCES[fault.decode()]
        text = sentence.format(more=more.decode("utf-8", "backslashreplace"))
        findings.append(Finding(what, task_id.decode("utf-8", "backslashreplace"), text))
    return findings
