"""The administration of a namespace on Redis: each page of a place is read by one script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.lifecycle import State
from ..admin import PAGE, Place, StoredTask
from .checkup import Checkup
from .connections.reader import delivery_of
from .keys import priority_of, queue_of
from .packing import batches
from .scripts import DEAD_LETTERS, DROP, ENDED, LENT, PAUSE, READY, RESUME, RETRY, SCHEDULED, WAITING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ...core.message import Delivery
    from ..admin import Examined
    from .connections.server import Server
    from .keys import Keys
    from .scripts import Script
    from .server_info import ServerInfo

# How many keys a scan visits in one step, including keys of other applications.
_SCANNED = 500


class RedisAdmin:
    """Implements ``storage.admin.StorageAdmin``."""

    def __init__(self, server: Server, info: ServerInfo, keys: Keys) -> None:
        self._server = server
        self._info = info
        self._keys = keys

    def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        match place:
            case Place.READY:
                return self._ready(queue)
            case Place.SCHEDULED:
                return self._scheduled(queue)
            case Place.LENT:
                return self._lent(queue)
            case Place.WAITING:
                return self._waiting(queue)
            case Place.ENDED:
                return self._ended()
            case Place.DEAD:
                return self._dead(queue)

    async def _ready(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        for lane in await self._lanes(queue):
            async for page in self._entries(READY, lane):
                yield [_in_line(lane, *task) for task in page]

    async def _lent(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        for lane in await self._lanes(queue):
            async for page in self._entries(LENT, lane):
                yield [_on_loan(lane, *task) for task in page]

    async def _scheduled(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        for name in dict.fromkeys(map(queue_of, await self._lanes(queue))):
            passed = 0
            while True:
                page = await self._server.run(SCHEDULED, name, PAGE, passed)
                if page:
                    yield [_due(*task) for task in page]
                if len(page) < PAGE:
                    break
                passed += PAGE

    async def _waiting(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        async for page in self._records(WAITING):
            found = [kept for kept in (_for_others(*task) for task in page) if queue in {"", kept.queue}]
            if found:
                yield found

    async def _ended(self) -> AsyncGenerator[list[StoredTask], None]:
        async for page in self._records(ENDED):
            yield [_with_verdict(*task) for task in page]

    async def _dead(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        # No more than `MOST_DEAD_LETTERS`.
        ids = [task_id.decode() for task_id in await self._server.call("ZRANGE", self._keys.dead, 0, -1)]
        ids.reverse()
        for start in range(0, len(ids), PAGE):
            letters = await self.dead_letters(ids[start : start + PAGE])
            found = [letter for letter in letters if letter is not None and queue in {"", letter.queue}]
            if found:
                yield found

    # -- dead letters

    async def dead_letters(self, task_ids: Sequence[str]) -> list[StoredTask | None]:
        found: list[StoredTask | None] = []
        for ids in batches(task_ids, PAGE):
            letters = await self._server.run(DEAD_LETTERS, *ids)
            found += [_letter(*letter) if letter else None for letter in letters]
        return found

    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        revived: list[bool] = []
        for batch in batches(calls, PAGE):
            arguments = [
                part
                for task_id, payload in batch
                for part in (task_id, int(payload is not None), b"" if payload is None else payload)
            ]
            answers, repeated = await self._server.run_noting_repeats(RETRY, *arguments)
            # If a repeated call finds the task in line, the first try put it there and its reply was lost.
            revived += [answer == 1 or (repeated and answer == -1) for answer in answers]
        return revived

    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        dropped: list[bool] = []
        for ids in batches(task_ids, PAGE):
            answers, repeated = await self._server.run_noting_repeats(DROP, *ids)
            dropped += [answer == 1 or repeated for answer in answers]
        return dropped

    # -- pauses

    async def pause(self, queue: str) -> bool:
        is_new, repeated = await self._server.run_noting_repeats(PAUSE, queue)
        return bool(is_new) or repeated

    async def resume(self, queue: str) -> bool:
        was_paused, repeated = await self._server.run_noting_repeats(RESUME, queue)
        return bool(was_paused) or repeated

    async def paused(self) -> set[str]:
        fields = [field.decode() for field in await self._server.call("HKEYS", self._keys.paused)]
        # The others are lanes.
        return {field for field in fields if ":" not in field}

    # -- proof

    def examine(self) -> AsyncGenerator[Examined, None]:
        return Checkup(self._server, self._keys).run(self._scan(self._keys.prefix))

    # -- the end

    async def flush(self) -> AsyncGenerator[int, None]:
        keys = self._keys
        spared = {key.encode() for key in (keys.layout, keys.paused, keys.schedules, keys.workers, keys.leases)}
        async for names in self._scan(keys.prefix):
            doomed = [name for name in names if name not in spared]
            if doomed:
                await self._server.call("UNLINK", *doomed)
            yield sum(name.startswith(keys.tasks.encode()) for name in doomed)

    # -- steps

    async def _scan(self, prefix: str) -> AsyncGenerator[list[bytes], None]:
        """The keys that begin with `prefix`, some hundred at a time."""
        cursor = b"0"
        while True:
            cursor, names = await self._server.call("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _SCANNED)
            if names:
                yield names
            if cursor == b"0":
                break

    async def _records(self, script: Script) -> AsyncGenerator[list[Any], None]:
        """The answers of `script` about the records, page by page."""
        prefix = self._keys.tasks
        async for names in self._scan(prefix):
            for ids in batches([name[len(prefix) :] for name in names], PAGE):
                page = await self._server.run(script, *ids)
                if page:
                    yield page

    async def _entries(self, script: Script, lane: str, *facts: int) -> AsyncGenerator[list[Any], None]:
        """The answers of `script` about the entries of `lane`, page by page."""
        after = b""
        while True:
            page = await self._server.run(script, lane, PAGE, after, *facts)
            if page:
                yield page
            if len(page) < PAGE:
                break
            after = page[-1][0]

    async def _lanes(self, queue: str) -> list[str]:
        """The lanes of `queue`, or of all queues: queue by queue, the highest priority first."""
        lanes = [lane for lane in (await self._info.lanes()).all if queue in {"", queue_of(lane)}]
        return sorted(lanes, key=lambda lane: (queue_of(lane), -priority_of(lane)))


def _in_line(lane: str, entry: bytes, fields: list[bytes], state: bytes) -> StoredTask:
    delivery = delivery_of("", lane, entry, 0, fields)
    kept = _kept(lane, delivery, State(state.decode() or State.QUEUED))
    return kept._replace(at_ms=int(entry.partition(b"-")[0]))


def _on_loan(lane: str, entry: bytes, fields: list[bytes], consumer: bytes, until_ms: int, count: int) -> StoredTask:
    kept = _kept(lane, delivery_of("", lane, entry, count, fields), State.RUNNING)
    return kept._replace(at_ms=until_ms, deliveries=count, consumer=consumer.decode())


def _kept(lane: str, delivery: Delivery, state: State) -> StoredTask:
    return StoredTask(
        delivery.id, state, delivery.payload, queue_of(lane), priority_of(lane), failures=delivery.failures
    )


def _due(task_id: bytes, due_ms: bytes, payload: bytes, lane: bytes, failures: bytes, state: bytes) -> StoredTask:
    name = lane.decode()
    kept = StoredTask(task_id.decode(), State(state.decode()), payload, queue_of(name), priority_of(name))
    return kept._replace(at_ms=int(float(due_ms)), failures=int(failures))


def _for_others(task_id: bytes, payload: bytes, lane: bytes) -> StoredTask:
    name = lane.decode()
    return StoredTask(task_id.decode(), State.WAITING, payload, queue_of(name), priority_of(name))


def _with_verdict(task_id: bytes, state: bytes, result: bytes) -> StoredTask:
    return StoredTask(task_id.decode(), State(state.decode()), result=result)


def _letter(
    task_id: bytes,
    state: bytes,
    payload: bytes,
    lane: bytes,
    failures: bytes,
    deliveries: bytes,
    ended_ms: bytes,
    error: bytes,
) -> StoredTask:
    name = lane.decode()
    kept = StoredTask(
        task_id.decode(),
        State(state.decode()),
        payload,
        queue_of(name),
        priority_of(name),
        int(ended_ms),
        int(failures),
    )
    return kept._replace(deliveries=int(deliveries), result=error)
