"""Broken rules of values, permits and rates."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

from aqueue.storage.memory.shared import MemorySharedState, _Subject
from aqueue.storage.shared import Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aqueue.core.clock import Clock
    from aqueue.storage.memory.shared import _Fact
    from aqueue.storage.protocol import Event
    from aqueue.storage.shared import Holder

_LONG_MS = 10**13


# -- values


class ARepetitionIsANewCall(MemorySharedState):
    def _once(self, token: str, step: Callable[[], Any]) -> Any:
        return step()


class AFullKeyTakesAValue(MemorySharedState):
    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        return await super().put(key, value, token, ttl_ms=ttl_ms)


class AValueNeverLapses(MemorySharedState):
    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        return await super().put(key, value, token, only_if_empty=only_if_empty)


class AValueLapsesWithTheOneBefore(MemorySharedState):
    def _keep(self, subject: _Subject, token: str, content: Any, ttl_ms: int) -> _Fact:
        before = self._live(*subject).get(token)
        fact = super()._keep(subject, token, content, ttl_ms)
        if subject.kind == "value" and before and not ttl_ms:
            fact = self._facts[subject][token] = fact._replace(until_ms=before.until_ms)
        return fact


class APoppedValueStays(MemorySharedState):
    async def pop(self, key: str, token: str) -> bytes | None:
        return await self.get(key)


class EveryDeletionDeletes(MemorySharedState):
    async def delete(self, key: str, token: str) -> bool:
        await super().delete(key, token)
        return True


class ASumNeverLapses(MemorySharedState):
    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await super().incr(key, amount, token)
        if total is not None:
            self._keep(_Subject("value", key), "", b"%d" % total, 0)
        return total


class ASumIsRounded(MemorySharedState):
    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await super().incr(key, amount, token)
        return total and int(float(total))


class AnythingIsANumber(MemorySharedState):
    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await super().incr(key, amount, token)
        return amount if total is None else total


# -- permits


class APermitHasTwoHolders(MemorySharedState):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        return await super().acquire(name, token, permits + 1, ttl_ms)


class ARenewalIsANewGrant(MemorySharedState):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        self._drop(_Subject("permit", name), token)
        return await super().acquire(name, token, permits, ttl_ms)


class ARenewalExtendsNothing(MemorySharedState):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        held = self._live("permit", name).get(token)
        return Grant(held.content) if held else await super().acquire(name, token, permits, ttl_ms)


class AReleaseFreesEveryPermit(MemorySharedState):
    async def release(self, name: str, token: str) -> bool:
        released = await super().release(name, token)
        self._facts.pop(_Subject("permit", name), None)
        return released


class EveryReleaseReleases(MemorySharedState):
    async def release(self, name: str, token: str) -> bool:
        await super().release(name, token)
        return True


class AReleasedTokenComesBack(MemorySharedState):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        self._facts.pop(_Subject("answer", token), None)
        return await super().acquire(name, token, permits, ttl_ms)


class APermitNeverLapses(MemorySharedState):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        return await super().acquire(name, token, permits, _LONG_MS)


class ARefusalDoesNotSayForHowLong(MemorySharedState):
    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        return (await super().acquire(name, token, permits, ttl_ms))._replace(wait_ms=0)


class FencesGrowByName(MemorySharedState):
    def __init__(self, clock: Clock, tell: Callable[[Event], None]) -> None:
        super().__init__(clock, tell)
        self._by_name: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        self._fences = self._by_name[name]  # type: ignore[assignment]
        return await super().acquire(name, token, permits, ttl_ms)


class NobodyIsTold(MemorySharedState):
    def __init__(self, clock: Clock, tell: Callable[[Event], None]) -> None:
        super().__init__(clock, lambda event: None)


class EachReleaseIsToldOnce(MemorySharedState):
    def __init__(self, clock: Clock, tell: Callable[[Event], None]) -> None:
        super().__init__(clock, self._tell_once)
        self._tell_really = tell
        self._told: set[Event] = set()

    def _tell_once(self, event: Event) -> None:
        if event not in self._told:
            self._told.add(event)
            self._tell_really(event)


class AllHoldersAreListed(MemorySharedState):
    async def holders(self, *names: str) -> list[Holder]:
        return await super().holders()


class HoldersAreListedBackwards(MemorySharedState):
    async def holders(self, *names: str) -> list[Holder]:
        return (await super().holders(*names))[::-1]


# -- rates


class OneTooManyIsAdmitted(MemorySharedState):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, token, limit + 1, per_ms, sliding=sliding)


class ARepetitionIsSpentAgain(MemorySharedState):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, f"{token} {next(self._fences)}", limit, per_ms, sliding=sliding)


class EveryWindowSlides(MemorySharedState):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, token, limit, per_ms, sliding=True)


class NoWindowSlides(MemorySharedState):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend(name, token, limit, per_ms, sliding=False)


class AllNamesShareOneLimit(MemorySharedState):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await super().spend("", token, limit, per_ms, sliding=sliding)


class AWaitIsTooShort(MemorySharedState):
    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return (await super().spend(name, token, limit, per_ms, sliding=sliding) + 1) // 2


class NothingIsEverUsed(MemorySharedState):
    async def usage(self, name: str, per_ms: int, *, sliding: bool) -> int:
        return 0


class AResetForgetsNothing(MemorySharedState):
    async def reset(self, name: str, per_ms: int) -> None:
        pass
