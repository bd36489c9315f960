"""A namespace on Redis for those who look after it: pages of what is in each place, one script each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...lifecycle import State
from ..oversight import PAGE, Kept, Place
from .keys import GROUP, priority_of, queue_of
from .reader import delivery_of
from .scripts import ENDED, LENT, READY, SCHEDULED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from ...message import Delivery
    from .insight import Insight
    from .keys import Keys
    from .scripts import Script
    from .server import Server

# A scan looks at so many keys in one step, whosever they are.
_SCANNED = 500


class RedisOversight:
    """Implements ``storage.oversight.Oversight``. `lease_ms` tells for how long a delivery is lent."""

    def __init__(self, server: Server, insight: Insight, keys: Keys, lease_ms: Callable[[], int]) -> None:
        self._server = server
        self._insight = insight
        self._keys = keys
        self._lease_ms = lease_ms

    def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        match place:
            case Place.READY:
                return self._ready(queue)
            case Place.SCHEDULED:
                return self._scheduled(queue)
            case Place.LENT:
                return self._lent(queue)
            case Place.ENDED:
                return self._ended()

    async def _ready(self, queue: str) -> AsyncGenerator[list[Kept], None]:
        for level in await self._levels(queue):
            async for page in self._entries(READY, level, self._keys.record_prefix):
                yield [_in_line(level, *task) for task in page]

    async def _lent(self, queue: str) -> AsyncGenerator[list[Kept], None]:
        for level in await self._levels(queue):
            async for page in self._entries(LENT, level, self._lease_ms()):
                yield [_on_loan(level, *task) for task in page]

    async def _scheduled(self, queue: str) -> AsyncGenerator[list[Kept], None]:
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

    async def _ended(self) -> AsyncGenerator[list[Kept], None]:
        prefix = self._keys.record_prefix
        cursor = b"0"
        while True:
            cursor, names = await self._server.call("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _SCANNED)
            for start in range(0, len(names), PAGE):
                found = await self._server.run(ENDED, names[start : start + PAGE], len(prefix))
                if found:
                    yield [_with_verdict(*task) for task in found]
            if cursor == b"0":
                break

    async def _entries(self, script: Script, level: str, fact: str | int) -> AsyncGenerator[list[Any], None]:
        """What `script` tells of the entries of `level`, page by page."""
        after = b""
        while True:
            page = await self._server.run(script, (self._keys.stream(level),), GROUP, after, PAGE, fact)
            if page:
                yield page
            if len(page) < PAGE:
                break
            after = page[-1][0]

    async def _levels(self, queue: str) -> list[str]:
        """The levels of `queue`, or of all queues: queue by queue, the highest priority first."""
        levels = [level for level in (await self._insight.levels()).all if queue in {"", queue_of(level)}]
        return sorted(levels, key=lambda level: (queue_of(level), -priority_of(level)))


def _in_line(level: str, entry: bytes, fields: list[bytes], state: bytes) -> Kept:
    delivery = delivery_of("", level, entry, 0, fields)
    kept = _kept(level, delivery, State(state.decode() or State.QUEUED))
    return kept._replace(at_ms=int(entry.partition(b"-")[0]))


def _on_loan(level: str, entry: bytes, fields: list[bytes], consumer: bytes, until_ms: int, count: int) -> Kept:
    kept = _kept(level, delivery_of("", level, entry, count, fields), State.RUNNING)
    return kept._replace(at_ms=until_ms, deliveries=count, consumer=consumer.decode())


def _kept(level: str, delivery: Delivery, state: State) -> Kept:
    return Kept(delivery.id, state, delivery.payload, queue_of(level), priority_of(level), failures=delivery.failures)


def _due(task_id: bytes, due_ms: bytes, payload: bytes, level: bytes, failures: bytes, state: bytes) -> Kept:
    queue, _, priority = level.decode().rpartition(":")
    kept = Kept(task_id.decode(), State(state.decode()), payload, queue, int(priority or 0))
    return kept._replace(at_ms=int(float(due_ms)), failures=int(failures))


def _with_verdict(task_id: bytes, state: bytes, result: bytes) -> Kept:
    return Kept(task_id.decode(), State(state.decode()), result=result)
