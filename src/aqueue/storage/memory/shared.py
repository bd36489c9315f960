"""What the memory storage keeps beside its tasks: the contract of ``storage.shared`` as a specification that runs.

A subject, named by a kind and a name, has facts by token, each until an instant. A value is the only fact of its
subject; a permit is a fact by its holder, and what was spent of a rate by its call.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from ..protocol import Freed
from ..shared import REMEMBERED_MS, Grant, Holder, increased

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...core.clock import Clock
    from ..protocol import Event

_VALUE = "value"
_ANSWER = "answer"
_PERMIT = "permit"


class _Subject(NamedTuple):
    kind: str
    name: str


class _Fact(NamedTuple):
    content: Any
    until_ms: int


class MemorySharedState:
    """Implements ``storage.shared.SharedState``. `tell` announces an event to every listener.

    Unlike the tasks it may be used from several threads: a plain function takes its lock in the thread of
    ``huey.sync``.
    """

    def __init__(self, clock: Clock, tell: Callable[[Event], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._lock = threading.Lock()
        self._facts: defaultdict[_Subject, dict[str, _Fact]] = defaultdict(dict)
        self._lapses: list[tuple[int, _Subject, str]] = []
        self._wanted: set[str] = set()
        self._fences = count(1)

    def clear(self) -> None:
        """Forget everything, except how high the fences are."""
        with self._lock:
            self._facts.clear()
            self._lapses.clear()
            self._wanted.clear()

    # -- values

    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        def put() -> bool:
            if only_if_empty and self._live(_VALUE, key):
                return False
            self._keep(_Subject(_VALUE, key), "", value, ttl_ms)
            return True

        return bool(self._once(token, put))

    async def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._value(key)

    async def pop(self, key: str, token: str) -> bytes | None:
        def pop() -> bytes | None:
            fact = self._drop(_Subject(_VALUE, key), "")
            return fact and fact.content

        value: bytes | None = self._once(token, pop)
        return value

    async def delete(self, key: str, token: str) -> bool:
        return self._once(token, lambda: self._drop(_Subject(_VALUE, key), "")) is not None

    async def incr(self, key: str, amount: int, token: str) -> int | None:
        def incr() -> bytes | None:
            fact = self._live(_VALUE, key).get("")
            total = increased(fact.content if fact else b"0", amount)
            if total is not None:
                self._facts[_Subject(_VALUE, key)][""] = _Fact(total, fact.until_ms if fact else 0)
            return total

        total = self._once(token, incr)
        return None if total is None else int(total)

    def _value(self, key: str) -> bytes | None:
        fact = self._live(_VALUE, key).get("")
        return fact and fact.content

    def _once(self, token: str, step: Callable[[], Any]) -> Any:
        """What `step` answers; under a `token` that was answered before, that answer."""
        with self._lock:
            answered = self._live(_ANSWER, token).get("")
            if answered is None:
                answered = self._keep(_Subject(_ANSWER, token), "", step(), REMEMBERED_MS)
            return answered.content

    # -- permits

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        with self._lock:
            holders = self._live(_PERMIT, name)
            if self._live(_ANSWER, token):
                return Grant(0, ttl_ms)
            if token not in holders and len(holders) >= permits:
                self._wanted.add(name)
                return Grant(0, self._left_ms(min(fact.until_ms for fact in holders.values())))
            fence = holders[token].content if token in holders else next(self._fences)
            self._keep(_Subject(_PERMIT, name), token, fence, ttl_ms)
            return Grant(fence)

    async def release(self, name: str, token: str) -> bool:
        def release() -> bool:
            if self._drop(_Subject(_PERMIT, name), token) is None:
                return False
            if name in self._wanted:
                self._wanted.discard(name)
                self._tell(Freed(name))
            return True

        return bool(self._once(token, release))

    async def holders(self, *names: str) -> list[Holder]:
        with self._lock:
            self._forget_lapsed()
            found = [
                (fact.until_ms, subject.name, token)
                for subject, facts in self._facts.items()
                if subject.kind == _PERMIT and (not names or subject.name in names)
                for token, fact in facts.items()
            ]
            return [Holder(name, token, self._left_ms(until_ms)) for until_ms, name, token in sorted(found)]

    # -- rates

    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        with self._lock:
            spent = self._live(_rate(per_ms), name)
            if token in spent:
                return 0
            window = self._window(name, per_ms, sliding)
            if len(window) < limit:
                self._keep(_Subject(_rate(per_ms), name), token, None, per_ms)
                return 0
            # Calls have to leave the window until it has one fewer than the limit.
            return self._left_ms(window[-limit] if sliding else self._window_end_ms(per_ms))

    async def usage(self, name: str, per_ms: int, *, sliding: bool) -> int:
        with self._lock:
            return len(self._window(name, per_ms, sliding))

    async def reset(self, name: str, per_ms: int) -> None:
        with self._lock:
            self._facts.pop(_Subject(_rate(per_ms), name), None)

    def _window(self, name: str, per_ms: int, sliding: bool) -> list[int]:
        """When each call in the present window lapses, in order: that is `per_ms` after it was admitted."""
        earliest = 0 if sliding else self._window_end_ms(per_ms)
        return sorted(f.until_ms for f in self._live(_rate(per_ms), name).values() if f.until_ms >= earliest)

    def _window_end_ms(self, per_ms: int) -> int:
        return (self._clock.now_ms() // per_ms + 1) * per_ms

    # -- facts

    def _live(self, kind: str, name: str) -> dict[str, _Fact]:
        """The facts of a subject, by token."""
        self._forget_lapsed()
        return self._facts.get(_Subject(kind, name), {})

    def _keep(self, subject: _Subject, token: str, content: Any, ttl_ms: int) -> _Fact:
        """Keep a fact for `ttl_ms`, or for ever when that is 0."""
        until_ms = self._clock.now_ms() + ttl_ms if ttl_ms else 0
        fact = self._facts[subject][token] = _Fact(content, until_ms)
        if until_ms:
            heappush(self._lapses, (until_ms, subject, token))
        return fact

    def _drop(self, subject: _Subject, token: str) -> _Fact | None:
        self._forget_lapsed()
        facts = self._facts.get(subject, {})
        fact = facts.pop(token, None)
        if not facts:
            self._facts.pop(subject, None)
        return fact

    def _forget_lapsed(self) -> None:
        now_ms = self._clock.now_ms()
        while self._lapses and self._lapses[0][0] <= now_ms:
            until_ms, subject, token = heappop(self._lapses)
            fact = self._facts.get(subject, {}).get(token)
            # What was renewed or replaced has another instant, and stays.
            if fact is not None and fact.until_ms == until_ms:
                del self._facts[subject][token]
                if not self._facts[subject]:
                    del self._facts[subject]

    def _left_ms(self, until_ms: int) -> int:
        return max(until_ms - self._clock.now_ms(), 1)


def _rate(per_ms: int) -> str:
    """The kind of the subjects that count calls against a limit per `per_ms`."""
    return f"rate per {per_ms}"
