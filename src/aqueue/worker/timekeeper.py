"""Fire the ticks of schedules, each once, however many workers count them.

A worker keeps in mind what it last saw of each schedule. At a tick it asks the store to replace exactly that, in one
step with the task that the tick fires. All workers that serve the schedule ask for the same step, so it does not matter
who is first; one that had something else in mind is refused, and looks again.

Without schedules that it serves a worker asks the store for nothing: it looks once, and again when it is told of a
change.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..exceptions import QueueFull, QueueUnavailable
from ..lifecycle import VERDICTS
from ..periodic import ScheduleState, decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..clock import Clock
    from ..message import Envelope
    from ..periodic import Schedule
    from ..registry import Registry
    from ..storage.protocol import Storage
    from ..task import Call

logger = logging.getLogger("aqueue.worker")

# For the message that was lost, and for clocks that were set.
LONGEST_SLEEP_SECONDS = 60.0
_PAUSE_SECONDS = 1.0
_NEXT_LOOK_MS = 1_000
_ANSWER_SECONDS = 10.0


class _Served:
    """A schedule as it was last seen. Ticks up to `after_ms` are dealt with; `next_ms` is when to look for more."""

    __slots__ = ("after_ms", "next_ms", "schedule", "seen", "state")

    def __init__(self, schedule: Schedule, seen: bytes, state: ScheduleState, after_ms: int) -> None:
        self.schedule = schedule
        self.seen = seen
        self.state = state
        self.after_ms = max(state.after_ms, after_ms)
        self.next_ms: int | None = None if state.paused else 0


class Timekeeper:
    """Serves the schedules of `registry` and those that were added at run time, until cancelled.

    `envelope` makes of a call what a store keeps.
    """

    def __init__(
        self, storage: Storage, registry: Registry, clock: Clock, envelope: Callable[[Call[Any]], Envelope]
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._clock = clock
        self._envelope = envelope
        self._served: dict[str, _Served] = {}
        self._left: set[str] = set()
        self._next_look = 0.0
        self._changed = asyncio.Event()
        self._changed.set()

    def expect(self, in_ms: int) -> None:
        """Something is due in `in_ms`; 0 is also what a changed schedule is told by."""
        if in_ms == 0:
            self._changed.set()

    async def run(self) -> None:
        while True:
            try:
                if self._changed.is_set() or self._clock.monotonic() >= self._next_look:
                    await self._look()
                await self._serve_due()
            except (QueueFull, QueueUnavailable) as error:
                logger.warning("No periodic task is fired for now: %s", error)
                self._changed.set()
                await self._clock.wait(asyncio.Event(), _PAUSE_SECONDS)
            else:
                await self._sleep()

    async def _serve_due(self) -> None:
        for served in list(self._served.values()):
            if served.next_ms is not None and served.next_ms <= self._clock.now_ms():
                try:
                    await self._serve(served)
                except (QueueFull, QueueUnavailable):
                    raise
                except Exception:
                    # It is one schedule that makes no sense here: the others do.
                    logger.exception("The schedule %s cannot be served until it changes", served.schedule.name)
                    served.next_ms = None

    async def _sleep(self) -> None:
        if not self._served:
            await self._changed.wait()
            return
        now_ms = self._clock.now_ms()
        ticks_ms = [served.next_ms for served in self._served.values() if served.next_ms is not None]
        until_look = self._next_look - self._clock.monotonic()
        seconds = min([until_look, *((tick_ms - now_ms) / 1000 for tick_ms in ticks_ms)])
        await self._clock.wait(self._changed, seconds)

    # -- which schedules there are

    async def _look(self) -> None:
        self._changed.clear()
        kept = await self._storage.schedules()
        self._next_look = self._clock.monotonic() + LONGEST_SLEEP_SECONDS
        served = {}
        for name in {**self._registry.schedules, **kept}:
            known, seen = self._served.get(name), kept.get(name, b"")
            if known is None or known.seen != seen or self._registry.schedules.get(name) not in (None, known.schedule):
                known = await self._meet(name, seen, 0 if known is None else known.after_ms)
            if known is not None:
                served[name] = known
        self._served = served

    async def _meet(self, name: str, seen: bytes, after_ms: int) -> _Served | None:
        """A schedule that is new here or has changed, with its ticks up to `after_ms` dealt with."""
        try:
            state = decoded(seen)
            schedule = self._registry.schedule(name, state)
        except Exception as error:
            # The store is shared with other versions of the application, and of aqueue.
            self._leave(logging.WARNING, name, f"is not understood here ({error!r})")
            return None
        if schedule is None:
            self._leave(logging.INFO, name, "is not known here, or its task is not")
            return None
        if state is None:
            state = ScheduleState(self._clock.now_ms())
            seen = state.encoded()
            if not await self._storage.advance(name, b"", seen, []):
                # Somebody else began it in this moment.
                self._changed.set()
                return None
        return _Served(schedule, seen, state, after_ms)

    def _leave(self, level: int, name: str, why: str) -> None:
        if name not in self._left:
            self._left.add(name)
            logger.log(level, "The schedule %s %s: it is left to other workers", name, why)

    # -- one schedule

    async def _serve(self, served: _Served) -> None:
        """Fire what is due, and find out when there is more."""
        schedule, now_ms = served.schedule, self._clock.now_ms()
        queues = schedule.policy.overlap == "queue"
        ticks = schedule.due(served.after_ms, now_ms)
        busy = bool(ticks) and await self._is_busy(served)
        while ticks:
            if busy and queues:
                served.next_ms = now_ms + _NEXT_LOOK_MS
                return
            fired = [] if busy else [tick for tick in ticks if await self._is_wanted(schedule, tick)]
            # A minute that a function refused is of no interest to anybody else; a tick that was skipped is.
            if (fired or busy) and not await self._advance(served, ticks[-1], fired):
                self._changed.set()
                return
            served.after_ms = ticks[-1]
            busy = (await self._is_busy(served)) if queues else busy
            ticks = schedule.due(served.after_ms, now_ms)
        served.next_ms = schedule.when.next_after(max(served.after_ms, now_ms))

    async def _is_busy(self, served: _Served) -> bool:
        """Whether the last run is still under way, and that matters."""
        if served.schedule.policy.overlap == "parallel" or not served.state.last_id:
            return False
        [record] = await self._storage.records([served.state.last_id])
        return record is not None and record.state not in VERDICTS

    async def _is_wanted(self, schedule: Schedule, tick_ms: int) -> bool:
        """What the function says of a minute, if it is a function that says what a tick is."""
        if schedule.asked is None:
            return True
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = schedule.asked(datetime.fromtimestamp(tick_ms / 1000))  # noqa: DTZ006 - local time, as in Huey
                return bool(await answer if inspect.isawaitable(answer) else answer)
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            logger.exception("The schedule %s: %s failed, so nothing is fired", schedule.name, schedule.text)
            return False

    async def _advance(self, served: _Served, after_ms: int, fired: list[int]) -> bool:
        """Note that the ticks up to `after_ms` are dealt with, and fire some of them; False if it was seen too late."""
        schedule, state = served.schedule, served.state._replace(after_ms=after_ms)
        envelopes = [self._envelope(schedule.tick(tick)) for tick in fired]
        if fired:
            state = state._replace(last_ms=fired[-1], last_id=envelopes[-1].id)
        advanced = state.encoded()
        if not await self._storage.advance(schedule.name, served.seen, advanced, envelopes):
            return False
        served.seen, served.state = advanced, state
        return True
