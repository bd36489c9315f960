"""Fire the ticks of schedules, each once, no matter how many workers serve them.

A worker remembers the state of each schedule as it last read it. At a tick it asks the store to replace exactly that
state and to enqueue the task of the tick, in one step. All workers that serve the schedule ask for the same step, so it
does not matter which one is first. The store refuses a worker that remembers an outdated state, and that worker reads
the state again.

A worker without schedules asks the store only once, and again when the store announces a change.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...core.lifecycle import VERDICTS
from ...exceptions import CancelExecution, QueueFull, QueueUnavailable
from ...storage.protocol import Advance
from ...tasks.schedule import ScheduleState, decoded

if TYPE_CHECKING:
    from ...core.clock import Clock
    from ...core.codec import Codec
    from ...storage.protocol import Storage
    from ...tasks.outbox import Outbox
    from ...tasks.registry import Registry
    from ...tasks.schedule import Schedule, ValidateDatetime

logger = logging.getLogger("aqueue.worker")

# An event may get lost, and somebody may set the clock.
LONGEST_SLEEP_SECONDS = 60.0
_PAUSE_SECONDS = 1.0
_NEXT_LOOK_MS = 1_000
_NEXT_TRY_MS = 60_000
_ANSWER_SECONDS = 10.0


class _Served:
    """A schedule as it was last read. Ticks up to `after_ms` are settled; `next_ms` is when to look for more."""

    __slots__ = ("after_ms", "next_ms", "schedule", "seen", "state")

    def __init__(self, schedule: Schedule, seen: bytes, state: ScheduleState, after_ms: int) -> None:
        self.schedule = schedule
        self.seen = seen
        self.state = state
        self.after_ms = max(state.after_ms, after_ms)
        self.next_ms: int | None = None if state.paused else 0


class Scheduler:
    """Serves the schedules of `registry` and those that were added at run time, until cancelled."""

    def __init__(self, storage: Storage, registry: Registry, codec: Codec, outbox: Outbox, clock: Clock) -> None:
        self._storage = storage
        self._registry = registry
        self._codec = codec
        self._outbox = outbox
        self._clock = clock
        self._served: dict[str, _Served] = {}
        self._left: set[str] = set()
        self._next_look = 0.0
        self._changed = asyncio.Event()
        self._changed.set()

    def look_again(self) -> None:
        """Read the schedules again, because one of them may have changed."""
        self._changed.set()

    async def run(self) -> None:
        while True:
            try:
                next_ms = await self.fire_due()
            except* (QueueFull, QueueUnavailable) as errors:
                logger.warning("No periodic tasks for now: %s", errors.exceptions[0])
                self._changed.set()
                await self._clock.wait(asyncio.Event(), _PAUSE_SECONDS)
            else:
                await self._sleep(next_ms)

    async def fire_due(self) -> int | None:
        """Fire all due ticks; return the milliseconds until the next one, None if there is none.

        Raises:
            ExceptionGroup: of ``QueueUnavailable`` and ``QueueFull``.
        """
        # A group, so that a schedule that waits for the answer of a function does not delay the others.
        async with asyncio.TaskGroup() as group:
            if self._changed.is_set() or self._clock.monotonic() >= self._next_look:
                await self._look()
            now_ms = self._clock.now_ms()
            for served in self._served.values():
                if served.next_ms is not None and served.next_ms <= now_ms:
                    group.create_task(self._serve(served))
        now_ms = self._clock.now_ms()
        waits_ms = [served.next_ms - now_ms for served in self._served.values() if served.next_ms is not None]
        return max(min(waits_ms), 0) if waits_ms else None

    async def _sleep(self, next_ms: int | None) -> None:
        if not self._served:
            await self._changed.wait()
            return
        seconds = self._next_look - self._clock.monotonic()
        await self._clock.wait(self._changed, seconds if next_ms is None else min(seconds, next_ms / 1000))

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
        await self._leave_the_future()

    async def _leave_the_future(self) -> None:
        """Go on from now with schedules whose ticks were fired by a clock that was ahead; else they would be silent."""
        now_ms = self._clock.now_ms()
        if any(each.schedule.is_ahead(each.after_ms, now_ms) for each in self._served.values()):
            # Perhaps it is the clock of this machine that is wrong.
            now_ms = await self._storage.now_ms()
        for name, served in self._served.items():
            if not served.schedule.is_ahead(served.after_ms, now_ms):
                continue
            logger.warning(
                "The schedule %s was fired up to %s, by a worker whose clock was ahead. It goes on from now, %s.",
                name,
                *(datetime.fromtimestamp(ms / 1000, UTC).isoformat(" ", "seconds") for ms in (served.after_ms, now_ms)),
            )
            state = served.state._replace(after_ms=now_ms)
            seen = state.encoded(name, self._codec)
            if await self._storage.advance(name, served.seen, seen, []):
                self._served[name] = _Served(served.schedule, seen, state, 0)
            else:
                self._changed.set()

    async def _meet(self, name: str, seen: bytes, after_ms: int) -> _Served | None:
        """Take in a schedule that is new or has changed, with its ticks up to `after_ms` settled."""
        try:
            state = decoded(name, seen, self._codec)
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
            seen = state.encoded(name, self._codec)
            if not await self._storage.advance(name, b"", seen, []):
                # Another worker has just stored the first state.
                self._changed.set()
                return None
        return _Served(schedule, seen, state, after_ms)

    def _leave(self, level: int, name: str, why: str) -> None:
        if name not in self._left:
            self._left.add(name)
            logger.log(level, "The schedule %s %s: it is left to other workers", name, why)

    # -- one schedule

    async def _serve(self, served: _Served) -> None:
        try:
            await self._fire_due_of(served)
        except (QueueFull, QueueUnavailable):
            raise
        except Exception:
            # Only this schedule has a problem, and it may be temporary.
            logger.exception("The schedule %s could not be served, and will be tried again", served.schedule.name)
            served.next_ms = self._clock.now_ms() + _NEXT_TRY_MS

    async def _fire_due_of(self, served: _Served) -> None:
        """Fire the due ticks of one schedule, and compute when the next is due."""
        schedule, now_ms = served.schedule, self._clock.now_ms()
        queues = schedule.policy.overlap == "queue"
        ticks = schedule.due(served.after_ms, now_ms)
        busy = bool(ticks) and await self._is_busy(served)
        while ticks:
            if busy and queues:
                served.next_ms = now_ms + _NEXT_LOOK_MS
                return
            wanted = [] if busy else await self._wanted(schedule, ticks)
            # The store must know of a tick that was skipped, but not of a minute that a function refused.
            if (wanted or busy) and not await self._advance(served, ticks[-1], wanted):
                self._changed.set()
                return
            served.after_ms = ticks[-1]
            busy = (await self._is_busy(served)) if queues else busy
            ticks = schedule.due(served.after_ms, now_ms)
        served.next_ms = schedule.when.next_after(max(served.after_ms, now_ms))

    async def _is_busy(self, served: _Served) -> bool:
        """Whether the last run has no verdict yet and `overlap` takes account of that."""
        if served.schedule.policy.overlap == "parallel" or not served.state.last_id:
            return False
        [record] = await self._storage.records([served.state.last_id])
        return record is not None and record.state not in VERDICTS

    async def _wanted(self, schedule: Schedule, ticks: list[int]) -> list[int]:
        """Those of `ticks` to fire: all of them, unless a function decides."""
        asked = schedule.asked
        if asked is None:
            return ticks
        if schedule.policy.misfire == "all":
            return [tick for tick in ticks if await self._is_wanted(schedule, asked, tick)]
        for tick in reversed(ticks):
            if await self._is_wanted(schedule, asked, tick):
                return [tick]
        return []

    async def _is_wanted(self, schedule: Schedule, asked: ValidateDatetime, tick_ms: int) -> bool:
        """The answer of the function `asked` about a minute; False if it raises or does not answer in time."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = asked(datetime.fromtimestamp(tick_ms / 1000))  # noqa: DTZ006 - local time, as in Huey
                return bool(await answer if inspect.isawaitable(answer) else answer)
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            logger.exception("The schedule %s: %s failed, so nothing is fired", schedule.name, schedule.text)
            return False

    async def _advance(self, served: _Served, after_ms: int, ticks: list[int]) -> bool:
        """Mark the ticks up to `after_ms` as settled, and fire `ticks`; False if the state was outdated."""
        schedule, state = served.schedule, served.state._replace(after_ms=after_ms)
        fired, envelopes = [], []
        for tick in ticks:
            call = schedule.tick(tick)
            try:
                task, envelope = await self._outbox.prepare(call)
            except CancelExecution:
                logger.info("The schedule %s: a pre_enqueue handler refused %s", schedule.name, call.id)
                continue
            fired.append((task, call))
            envelopes.append(envelope)
            state = state._replace(last_ms=tick, last_id=envelope.id)
        seen = state.encoded(schedule.name, self._codec)
        advance = await self._storage.advance(schedule.name, served.seen, seen, envelopes)
        if advance is Advance.REFUSED:
            return False
        served.seen, served.state = seen, state
        if advance is Advance.MADE:
            for task, call in fired:
                await self._outbox.announce(task, call)
        return True
