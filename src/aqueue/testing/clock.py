"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    due_ns: int
    event: asyncio.Event
    timeout: anyio.CancelScope


class ManualClock:
    """Implements ``aqueue.core.clock.Clock``. Use it in one event loop at a time.

    A wait on it ends when its event is set or when `advance` has moved the clock far enough, no matter how much real
    time passes. `now_ms` is the instant at which the clock starts, in milliseconds since the epoch.
    """

    def __init__(self, now_ms: int = 1_000_000_000_000) -> None:
        self._start_ms = now_ms
        self._elapsed_ns = 0
        self._waiters: set[_Waiter] = set()
        self._arrival = asyncio.Event()

    def now_ms(self) -> int:
        return self._start_ms + self._elapsed_ns // 1_000_000

    def monotonic(self) -> float:
        return self._elapsed_ns / _NANOSECONDS

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        due_ns = self._elapsed_ns + round(seconds * _NANOSECONDS)
        if due_ns > self._elapsed_ns and not event.is_set():
            with anyio.CancelScope() as timeout, self._asleep(_Waiter(due_ns, event, timeout)):
                await event.wait()
        return event.is_set()

    @contextmanager
    def _asleep(self, waiter: _Waiter) -> Iterator[None]:
        self._waiters.add(waiter)
        self._arrival.set()
        self._arrival = asyncio.Event()
        try:
            yield
        finally:
            self._waiters.discard(waiter)

    def advance(self, seconds: float) -> None:
        """Move the clock forward. The waits that are due by then end as soon as the event loop gets to them.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: seconds must be 0 or more, not {seconds!r}")
        self._elapsed_ns += round(seconds * _NANOSECONDS)
        for waiter in [waiter for waiter in self._waiters if waiter.due_ns <= self._elapsed_ns]:
            self._waiters.remove(waiter)
            waiter.timeout.cancel()

    async def wait_for_waiters(self, count: int = 1) -> None:
        """Return once `count` waits sleep on this clock, which means that the code under test has come to rest.

        A wait that `advance` or its event has just ended does not count.
        """
        while sum(not waiter.event.is_set() for waiter in self._waiters) < count:
            await self._arrival.wait()
