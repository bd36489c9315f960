"""Whether every task of a namespace on Redis is in exactly one place, looked at from both ends.

Each record is held against the place that it names, and whatever stands in a place against its record. One script looks
at up to a hundred of them, so nothing moves between the two looks, and the server is never held up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..admin import PAGE, Examined, Finding
from .keys import GROUP, queue_of
from .scripts import CHECK_ENTRIES, CHECK_LEFTOVERS, CHECK_PENDING, CHECK_RECORDS, CHECK_SCHEDULED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from .connections.server import Server
    from .keys import Keys
    from .scripts import Script

# What a script found, in the word for it that a script of the user's can rely on, and in a sentence.
_SENTENCES = {
    "no entry": ("lost", "is in line at {more} by its record, and no entry there is its"),
    "other entry": ("lost", "is in line by its record, and its entry {more} is that of another task"),
    "not lent": ("lost", "was taken out of the line at {more}, and nobody has it: a consumer was deleted"),
    "no payload": ("lost", "is due later, and its payload is gone"),
    "no schedule": ("lost", "is due later, and is not in the schedule of the queue {more}"),
    "waits for nothing": ("lost", "waits for others, and it is not known for whom"),
    "damaged": ("damaged", "has a record that names no place"),
    "vanishing": ("vanishing", "is {more}, and its record expires"),
    "kept": ("kept", "is {more}, and its record never expires"),
    "ended": ("twice", "has its verdict, and still stands in line, as entry {more}: it would run again"),
    "twice": ("twice", "stands in line more than once, as entry {more} too: it would run twice"),
    "not due": ("twice", "is {more}, and stands in a schedule too"),
    "other schedule": ("twice", "stands in a schedule that is not that of its level {more}"),
    "no record": ("unknown", "stands in a place, and has no record: it could be enqueued once more"),
    "stranger": ("stranger", "entry {more} is not that of a task: a worker will declare it dead"),
    "empty": ("empty", "entry {more} is lent, and there is nothing in it"),
    "left over inbox": ("leftover", "waits for nobody any more, and what it was given is still there"),
    "left over letter": ("leftover", "has a dead letter that is in no list"),
    "left over request": ("leftover", "has ended, and is still asked to stop"),
}

# What each kind of key is to be, by the letter behind the prefix: of one alone, and of one with a name behind it.
_ALONE = {
    "b": "stream",
    "e": "hash",
    "f": "hash",
    "h": "zset",
    "k": "set",
    "l": "set",
    "m": "zset",
    "n": "hash",
    "p": "hash",
    "q": "zset",
    "w": "hash",
    "z": "hash",
}
_NAMED = {
    "a": "hash",
    "d": "zset",
    "f": "hash",
    "h": "zset",
    "i": "hash",
    "q": "hash",
    "s": "stream",
    "t": "hash",
    "v": "hash",
    "x": "zset",
}


class Checkup:
    """One look at everything."""

    def __init__(self, server: Server, keys: Keys) -> None:
        self._server = server
        self._keys = keys
        self._streams: set[str] = set()
        self._schedules: set[str] = set()

    async def run(self, scan: AsyncGenerator[list[bytes], None]) -> AsyncGenerator[Examined, None]:
        """What is found; `scan` gives the keys of the namespace, some hundred at a time."""
        async for names in scan:
            sound, findings = await self._sorted(names)
            yield Examined(0, findings)
            for examine in (self._records, self._leftovers):
                for batch in _batches(sound):
                    yield await examine(batch)
            self._streams.update(name for name in sound if name.startswith(self._keys.stream_prefix))
            self._schedules.update(name for name in sound if name.startswith(self._keys.schedule_prefix))
        yield Examined(0, await self._unread())
        for stream in sorted(self._streams):
            async for findings in self._entries(stream):
                yield Examined(0, findings)
        for schedule in sorted(self._schedules):
            async for findings in self._due(schedule):
                yield Examined(0, findings)
        yield Examined(0, await self._requests())

    async def _sorted(self, names: list[bytes]) -> tuple[list[str], list[Finding]]:
        """Those of `names` that are of the type that they are to be, and what is wrong with the others."""
        keys = [name.decode("utf-8", "backslashreplace") for name in names]
        types = await asyncio.gather(*(self._server.call("TYPE", name) for name in names))
        sound, findings = [], []
        for key, kind in zip(keys, (kind.decode() for kind in types), strict=True):
            letter, _, name = key[len(self._keys.prefix) :].partition(":")
            wanted = (_NAMED if name else _ALONE).get(letter)
            if wanted is None:
                findings.append(Finding("stranger", "", f"the key {key} is none of aqueue"))
            elif kind not in {wanted, "none"}:
                findings.append(Finding("type", "", f"the key {key} is to be a {wanted}, and is a {kind}"))
            elif kind != "none":
                sound.append(key)
        return sound, findings

    async def _records(self, names: list[str]) -> Examined:
        keys = self._keys
        records = [name for name in names if name.startswith(keys.record_prefix)]
        if not records:
            return Examined(0, [])
        arguments = (GROUP, keys.stream_prefix, keys.schedule_prefix, len(keys.record_prefix))
        tasks, *wrong = await self._server.run(CHECK_RECORDS, (keys.pauses, *records), *arguments)
        return Examined(tasks, _findings(wrong))

    async def _leftovers(self, names: list[str]) -> Examined:
        found, arguments = [], []
        for kind, prefix in (("inbox", self._keys.inbox_prefix), ("letter", self._keys.letter_prefix)):
            for name in names:
                if name.startswith(prefix):
                    found.append(name)
                    arguments += [kind, name[len(prefix) :]]
        return Examined(0, await self._check_leftovers(found, arguments))

    async def _requests(self) -> list[Finding]:
        """What is left of those who asked a task to stop; there are few of them."""
        ids = [task_id.decode() for task_id in await self._server.call("SMEMBERS", self._keys.to_cancel)]
        findings = []
        for batch in _batches(ids):
            arguments = [part for task_id in batch for part in ("request", task_id)]
            findings += await self._check_leftovers([self._keys.to_cancel] * len(batch), arguments)
        return findings

    async def _check_leftovers(self, found: list[str], arguments: list[str]) -> list[Finding]:
        if not found:
            return []
        keys = (self._keys.letters, self._keys.to_cancel, *found)
        return _findings(await self._server.run(CHECK_LEFTOVERS, keys, self._keys.record_prefix, *arguments))

    async def _unread(self) -> list[Finding]:
        """Streams and schedules of which workers have never heard."""
        levels = {level.decode() for level in await self._server.call("SMEMBERS", self._keys.levels)}
        queues = {queue_of(level) for level in levels}
        findings = []
        for stream in sorted(self._streams):
            level = stream[len(self._keys.stream_prefix) :]
            if level not in levels and await self._server.call("XLEN", stream):
                findings.append(Finding("unread", "", f"tasks are in line at {level}, and no worker knows of it"))
        for schedule in sorted(self._schedules):
            queue = schedule[len(self._keys.schedule_prefix) :]
            if queue not in queues:
                findings.append(Finding("unread", "", f"tasks are scheduled in {queue}, and no worker knows of it"))
        return findings

    async def _entries(self, stream: str) -> AsyncGenerator[list[Finding], None]:
        checks: tuple[tuple[Script, str], ...] = (
            (CHECK_ENTRIES, self._keys.record_prefix),
            (CHECK_PENDING, GROUP),
        )
        for script, argument in checks:
            after = b""
            while True:
                after, *wrong = await self._server.run(script, (stream,), after, PAGE, argument)
                yield _findings(wrong)
                if not after:
                    break

    async def _due(self, schedule: str) -> AsyncGenerator[list[Finding], None]:
        queue = schedule[len(self._keys.schedule_prefix) :]
        cursor = b"0"
        while True:
            cursor, members = await self._server.call("ZSCAN", schedule, cursor, "COUNT", PAGE)
            for ids in _batches(members[::2]):
                arguments = (self._keys.record_prefix, queue, *ids)
                yield _findings(await self._server.run(CHECK_SCHEDULED, (schedule,), *arguments))
            if cursor == b"0":
                break


def _findings(wrong: list[list[bytes]]) -> list[Finding]:
    findings = []
    for task_id, fault, more in wrong:
        what, sentence = _SENTENCES[fault.decode()]
        text = sentence.format(more=more.decode("utf-8", "backslashreplace"))
        findings.append(Finding(what, task_id.decode("utf-8", "backslashreplace"), text))
    return findings


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]
