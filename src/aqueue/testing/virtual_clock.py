"""A clock for the tests of an application. Moving it runs the tasks that become due."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..core.clock import SystemClock, span_ms
from ..worker.immediate import Immediate
from ..worker.services.scheduler import Scheduler
from .clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from ..app.huey import Huey


@asynccontextmanager
async def virtual_clock(huey: Huey, *, periodic: bool = False) -> AsyncIterator[VirtualClock]:
    """Put `huey` into immediate mode, with an empty store and a clock that starts at the current time and stands still.

    With `periodic`, moving the clock runs periodic tasks, too. After the block `huey` is as it was before.
    """
    clock = ManualClock(SystemClock().now_ms())
    parts = huey._parts
    immediate = Immediate(parts, clock)
    scheduler = Scheduler(immediate.storage, parts.registry, parts.codec, parts.outbox, clock) if periodic else None
    before = huey._switch(immediate)
    try:
        yield VirtualClock(clock, immediate, scheduler)
    finally:
        await huey.close()
        huey._switch(before)


class VirtualClock:
    """Controls the time of an application: delays, etas, retries and expiry. Made by ``virtual_clock``."""

    def __init__(self, clock: ManualClock, immediate: Immediate, scheduler: Scheduler | None) -> None:
        self._clock = clock
        self._immediate = immediate
        self._timekeeper = scheduler

    def now(self) -> datetime:
        """The current time of this clock, in UTC."""
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)

    async def advance(self, seconds: float | timedelta) -> None:
        """Move the clock forward, and run the tasks that become due meanwhile, each at its instant.

        Raises:
            TypeError, ValueError: `seconds` is not a span of time.
        """
        left_ms = span_ms(seconds, "seconds")
        next_ms = await self._run_due()
        while left_ms:
            step_ms = left_ms if next_ms is None else min(next_ms, left_ms)
            self._clock.advance(step_ms / 1000)
            left_ms -= step_ms
            next_ms = await self._run_due()

    async def _run_due(self) -> int | None:
        """Run what is due by now. Returns the milliseconds until something is due again, or None if nothing is."""
        await self._fire_due()
        next_task_ms = await self._immediate.run_due()
        # Fire again, because a task may have changed the schedules.
        next_tick_ms = await self._fire_due()
        return min((wait for wait in (next_task_ms, next_tick_ms) if wait is not None), default=None)

    async def _fire_due(self) -> int | None:
        if self._timekeeper is None:
            return None
        self._timekeeper.look_again()
        return await self._timekeeper.fire_due()
