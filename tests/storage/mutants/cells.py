"""Broken rules of values, permits and rates."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

from aqueue.storage.cells import Grant
from aqueue.storage.memory.cells import MemoryCells, _Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aqueue.clock import Clock
    from aqueue.storage.cells import Holder
    from aqueue.storage.memory.cells import _Fact
    from aqueue.storage.protocol import Event

_LONG_MS = 10**13


# -- values


class ARepetitionIsANewCall(MemoryCells):
    def _once(self, token: str, step: Callable[[], Any]) -> Any:
        return step()


class AFullKeyTakesAValue(MemoryCells):
    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        return await super().put(key, value, token, ttl_ms=ttl_ms)


class AValueNeverLapses(MemoryCells):
    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        return await super().put(key, value, token, only_if_empty=only_if_empty)


class AValueLapsesWithTheOneBefore(MemoryCells):
    def _keep(self, cell: _Cell, token: str, content: Any, ttl_ms: int) -> _Fact:
        before = self._live(*cell).get(token)
        fact = super()._keep(cell, token, content, ttl_ms)
        if cell.kind == "value" and before and not ttl_ms:
            fact = self._cells[cell][token] = fact._replace(until_ms=before.until_ms)
        return fact


class APoppedValueStays(MemoryCells):
    async def pop(self, key: str, token: str) -> bytes | None:
        return await self.get(key)


class EveryDeletionDeletes(MemoryCells):
    async def delete(self, key: str, token: str) -> bool:
        await super().delete(key, token)
        return True


class ASumNeverLapses(MemoryCells):
    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await super().incr(key, amount, token)
        if total is not None:
            self._keep(_Cell("value", key), "", b"%d" % total, 0)
        return total


class ASumIsRounded(MemoryCells):
    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await super().incr(key, amount, token)
        return total and int(float(total))


class AnythingIsANumber(MemoryCells):
    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await super().incr(key, amount, token)
        return amount if total is None else total


# -- permits


class APermitHasTwoHolders(MemoryCells):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        return await super().acquire(name, token, permits + 1, ttl_ms)


class ARenewalIsANewGrant(MemoryCells):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        self._drop(_Cell("permit", name), token)
        return await super().acquire(name, token, permits, ttl_ms)


class ARenewalExtendsNothing(MemoryCells):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        held = self._live("permit", name).get(token)
        return Grant(held.content) if held else await super().acquire(name, token, permits, ttl_ms)


class AReleaseFreesEveryPermit(MemoryCells):
    async def release(self, name: str, token: str) -> bool:
        released = await super().release(name, token)
        self._cells.pop(_Cell("permit", name), None)
        return released


class EveryReleaseReleases(MemoryCells):
    async def release(self, name: str, token: str) -> bool:
        await super().release(name, token)
        return True


class AReleasedTokenComesBack(MemoryCells):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        self._cells.pop(_Cell("answer", token), None)
        return await super().acquire(name, token, permits, ttl_ms)


class APermitNeverLapses(MemoryCells):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        return await super().acquire(name, token, permits, _LONG_MS)


class ARefusalDoesNotSayForHowLong(MemoryCells):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        return (await super().acquire(name, token, permits, ttl_ms))._replace(wait_ms=0)


class FencesGrowByName(MemoryCells):
    def __init__(self, clock: Clock, tell: Callable[[Event], None]) -> None:
        super().__init__(clock, tell)
        self._by_name: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        self._fences = self._by_name[name]  # type: ignore[assignment]
        return await super().acquire(name, token, permits, ttl_ms)


class NobodyIsTold(MemoryCells):
    def __init__(self, clock: Clock, tell: Callable[[Event], None]) -> None:
        super().__init__(clock, lambda event: None)


class EachReleaseIsToldOnce(MemoryCells):
    def __init__(self, clock: Clock, tell: Callable[[Event], None]) -> None:
        super().__init__(clock, self._tell_once)
        self._tell_really = tell
        self._told: set[Event] = set()

    def _tell_once(self, event: Event) -> None:
        if event not in self._told:
            self._told.add(event)
            self._tell_really(event)


class AllHoldersAreListed(MemoryCells):
    async def holders(self, *names: str) -> list[Holder]:
        return await super().holders()


class HoldersAreListedBackwards(MemoryCells):
    async def holders(self, *names: str) -> list[Holder]:
        return (await super().holders(*names))[::-1]


# -- rates


class OneTooManyIsAdmitted(MemoryCells):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, token, limit + 1, per_ms, sliding=sliding)


class ARepetitionIsSpentAgain(MemoryCells):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, f"{token} {next(self._fences)}", limit, per_ms, sliding=sliding)


class EveryWindowSlides(MemoryCells):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, token, limit, per_ms, sliding=True)


class NoWindowSlides(MemoryCells):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, token, limit, per_ms, sliding=False)


class AllNamesShareOneLimit(MemoryCells):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend("", token, limit, per_ms, sliding=sliding)


class AWaitIsTooShort(MemoryCells):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return (await super().spend(name, token, limit, per_ms, sliding=sliding) + 1) // 2


class NothingIsEverUsed(MemoryCells):
    async def usage(self, name: str, per_ms: int, *, sliding: bool) -> int:
        return 0


class AResetForgetsNothing(MemoryCells):
    async def reset(self, name: str, per_ms: int) -> None:
        pass
