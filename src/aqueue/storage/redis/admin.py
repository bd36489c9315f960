"""A namespace on Redis for those who look after it: pages of what is in each place, one script each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ...core.lifecycle import State
from ..admin import PAGE, Place, StoredTask
from .checkup import Checkup
from .connections.reader import delivery_of
from .keys import GROUP, level_of, priority_of, queue_of
from .scripts import DROP, ENDED, LENT, LETTERS, PAUSE, READY, RESUME, RETRY, SCHEDULED, WAITING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from ...core.message import Delivery
    from ..admin import Examined
    from .connections.server import Server
    from .keys import Keys
    from .scripts import Script
    from .server_info import Insight

_Item = TypeVar("_Item")

# A scan looks at so many keys in one step, whosever they are.
_SCANNED = 500


class RedisAdmin:
    """Implements ``storage.admin.StorageAdmin``. `lease_ms` tells for how long a delivery is lent."""

    def __init__(self, server: Server, insight: Insight, keys: Keys, lease_ms: Callable[[], int]) -> None:
        self._server = server
        self._insight = insight
        self._keys = keys
        self._lease_ms = lease_ms

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
        for level in await self._levels(queue):
            async for page in self._entries(READY, level, self._keys.record_prefix):
                yield [_in_line(level, *task) for task in page]

    async def _lent(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        for level in await self._levels(queue):
            async for page in self._entries(LENT, level, self._lease_ms()):
                yield [_on_loan(level, *task) for task in page]

    async def _scheduled(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        for name in dict.fromkeys(map(queue_of, await self._levels(queue))):
            passed = 0
            while True:
                keys = (self._keys.schedule(name),)
                page = await self._server.run(SCHEDULED, keys, self._keys.record_prefix, passed, PAGE)
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
        # No more than `MOST_LETTERS`.
        ids = [task_id.decode() for task_id in await self._server.call("ZRANGE", self._keys.letters, 0, -1)]
        ids.reverse()
        for start in range(0, len(ids), PAGE):
            letters = await self.letters(ids[start : start + PAGE])
            found = [letter for letter in letters if letter is not None and queue in {"", letter.queue}]
            if found:
                yield found

    # -- dead letters

    async def letters(self, task_ids: Sequence[str]) -> list[StoredTask | None]:
        found: list[StoredTask | None] = []
        for ids in _batches(task_ids):
            keys = [*map(self._keys.letter, ids)]
            letters = await self._server.run(LETTERS, keys, len(self._keys.letter_prefix))
            found += [_letter(*letter) if letter else None for letter in letters]
        return found

    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        keys = self._keys
        named = (keys.letters, keys.levels, keys.bell)
        prefixes = (keys.letter_prefix, keys.record_prefix, keys.stream_prefix)
        revived: list[bool] = []
        for batch in _batches(calls):
            arguments = [
                part
                for task_id, payload in batch
                for part in (task_id, int(payload is not None), b"" if payload is None else payload)
            ]
            answers, repeated = await self._server.run_noting_repeats(RETRY, named, *prefixes, *arguments)
            # In line on a repetition: it was this very call, whose reply was lost, that put it there.
            revived += [answer == 1 or (repeated and answer == -1) for answer in answers]
        return revived

    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        dropped: list[bool] = []
        for ids in _batches(task_ids):
            named = (self._keys.letters,)
            answers, repeated = await self._server.run_noting_repeats(DROP, named, self._keys.letter_prefix, *ids)
            dropped += [answer == 1 or repeated for answer in answers]
        return dropped

    # -- pauses

    async def pause(self, queue: str) -> bool:
        keys = self._keys
        arguments = (GROUP, keys.stream_prefix, queue, level_of(queue, 0))
        is_new, repeated = await self._server.run_noting_repeats(PAUSE, (keys.pauses, keys.levels), *arguments)
        return bool(is_new) or repeated

    async def resume(self, queue: str) -> bool:
        arguments = (GROUP, self._keys.stream_prefix, queue)
        was_paused, repeated = await self._server.run_noting_repeats(RESUME, (self._keys.pauses,), *arguments)
        return bool(was_paused) or repeated

    async def paused(self) -> set[str]:
        fields = [field.decode() for field in await self._server.call("HKEYS", self._keys.pauses)]
        return {field for field in fields if not field.startswith(self._keys.stream_prefix)}

    # -- proof

    def examine(self) -> AsyncGenerator[Examined, None]:
        return Checkup(self._server, self._keys).run(self._scan(f"{self._keys.prefix}*"))

    # -- the end

    async def flush(self) -> AsyncGenerator[int, None]:
        spared = {key.encode() for key in (self._keys.pauses, self._keys.schedules, self._keys.workers)}
        async for names in self._scan(f"{self._keys.prefix}*"):
            doomed = [name for name in names if name not in spared]
            if doomed:
                await self._server.call("UNLINK", *doomed)
            yield sum(name.startswith(self._keys.record_prefix.encode()) for name in doomed)

    # -- steps

    async def _scan(self, pattern: str) -> AsyncGenerator[list[bytes], None]:
        """The keys that match, at most some hundred at a time."""
        cursor = b"0"
        while True:
            cursor, names = await self._server.call("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED)
            if names:
                yield names
            if cursor == b"0":
                break

    async def _records(self, script: Script) -> AsyncGenerator[list[Any], None]:
        """What `script` tells of the records, page by page."""
        prefix = self._keys.record_prefix
        async for names in self._scan(f"{prefix}*"):
            for batch in _batches(names):
                page = await self._server.run(script, batch, len(prefix))
                if page:
                    yield page

    async def _entries(self, script: Script, level: str, fact: str | int) -> AsyncGenerator[list[Any], None]:
        """What `script` tells of the entries of `level`, page by page."""
        after = b""
        while True:
            keys = (self._keys.stream(level), self._keys.pauses)
            page = await self._server.run(script, keys, GROUP, after, PAGE, fact)
            if page:
                yield page
            if len(page) < PAGE:
                break
            after = page[-1][0]

    async def _levels(self, queue: str) -> list[str]:
        """The levels of `queue`, or of all queues: queue by queue, the highest priority first."""
        levels = [level for level in (await self._insight.levels()).all if queue in {"", queue_of(level)}]
        return sorted(levels, key=lambda level: (queue_of(level), -priority_of(level)))


def _in_line(level: str, entry: bytes, fields: list[bytes], state: bytes) -> StoredTask:
    delivery = delivery_of("", level, entry, 0, fields)
    kept = _kept(level, delivery, State(state.decode() or State.QUEUED))
    return kept._replace(at_ms=int(entry.partition(b"-")[0]))


def _on_loan(level: str, entry: bytes, fields: list[bytes], consumer: bytes, until_ms: int, count: int) -> StoredTask:
    kept = _kept(level, delivery_of("", level, entry, count, fields), State.RUNNING)
    return kept._replace(at_ms=until_ms, deliveries=count, consumer=consumer.decode())


def _kept(level: str, delivery: Delivery, state: State) -> StoredTask:
    return StoredTask(
        delivery.id, state, delivery.payload, queue_of(level), priority_of(level), failures=delivery.failures
    )


def _due(task_id: bytes, due_ms: bytes, payload: bytes, level: bytes, failures: bytes, state: bytes) -> StoredTask:
    queue, _, priority = level.decode().rpartition(":")
    kept = StoredTask(task_id.decode(), State(state.decode()), payload, queue, int(priority or 0))
    return kept._replace(at_ms=int(float(due_ms)), failures=int(failures))


def _for_others(task_id: bytes, payload: bytes, level: bytes) -> StoredTask:
    queue, _, priority = level.decode().rpartition(":")
    return StoredTask(task_id.decode(), State.WAITING, payload, queue, int(priority or 0))


def _with_verdict(task_id: bytes, state: bytes, result: bytes) -> StoredTask:
    return StoredTask(task_id.decode(), State(state.decode()), result=result)


def _letter(
    task_id: bytes,
    state: bytes,
    payload: bytes,
    level: bytes,
    failures: bytes,
    deliveries: bytes,
    ended_ms: bytes,
    error: bytes,
) -> StoredTask:
    queue, _, priority = level.decode().rpartition(":")
    kept = StoredTask(
        task_id.decode(), State(state.decode()), payload, queue, int(priority), int(ended_ms), int(failures)
    )
    return kept._replace(deliveries=int(deliveries), result=error)


def _batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]
