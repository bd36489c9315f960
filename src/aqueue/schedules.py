"""Schedules at run time: what there is, and what is changed by hand.

The state of a schedule is replaced only by who has seen it. So whoever changes one looks, and looks again when somebody
else was faster. Workers are told that something changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .ids import new_task_id
from .periodic import Policy, Schedule, ScheduleState, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .clock import Clock
    from .message import Envelope
    from .options import Span
    from .periodic import Misfire, Overlap
    from .registry import Registry
    from .result import Result
    from .storage.protocol import Storage
    from .task import Call
    from .when import When


class Line(Protocol):
    """The way to the store."""

    @property
    def storage(self) -> Storage: ...


class Application(Protocol):
    """What is needed of the application whose schedules these are."""

    @property
    def registry(self) -> Registry: ...

    async def client(self) -> Line: ...
    def envelope(self, call: Call[Any]) -> Envelope: ...
    def result(self, task_id: str) -> Result[Any]: ...


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """One schedule. `when` reads as it was written; instants are milliseconds since the epoch.

    `last_ms` is the instant that its last run was for, `next_ms` its next tick; None where there is none, or where only
    a function knows.
    """

    name: str
    when: str
    paused: bool = False
    last_ms: int | None = None
    next_ms: int | None = None


class Schedules:
    """``huey.schedules``: those that the code declares with ``@huey.periodic_task``, and those added at run time."""

    def __init__(self, application: Application, clock: Clock) -> None:
        self._application = application
        self._clock = clock

    async def list(self) -> Sequence[ScheduleInfo]:
        """All schedules, by name; also those that this application does not know."""
        kept = await (await self._storage()).schedules()
        names = sorted({*self._application.registry.schedules, *kept})
        return [self._info(name, kept.get(name, b"")) for name in names]

    async def pause(self, name: str) -> None:
        """Fire none of its ticks until it is resumed.

        Raises:
            ValueError: there is no such schedule.
        """
        await self._change(name, lambda state: self._known(name, state)._replace(paused=True))

    async def resume(self, name: str) -> None:
        """Fire its ticks again, from now on: those that the pause left out are not made up for.

        Raises:
            ValueError: there is no such schedule.
        """

        def resumed(state: ScheduleState | None) -> ScheduleState:
            known = self._known(name, state)
            return known._replace(paused=False, after_ms=self._clock.now_ms()) if known.paused else known

        await self._change(name, resumed)

    async def run(self, name: str) -> Result[Any]:
        """Fire it now, beside its ticks, even while it is paused or runs.

        Raises:
            ValueError: there is no such schedule, or its task is not known here.
        """
        storage, task_id = await self._storage(), new_task_id()
        made = False
        while not made:
            seen = (await storage.schedules()).get(name, b"")
            state = self._known(name, decoded(seen))
            schedule = self._application.registry.schedule(name, state)
            if schedule is None:
                raise ValueError(f"the task of the schedule {name!r} is not known here")
            envelope = self._application.envelope(schedule.run(task_id))
            state = state._replace(last_ms=self._clock.now_ms(), last_id=task_id)
            made = await storage.advance(name, seen, state.encoded(), [envelope])
        return self._application.result(task_id)

    async def add(
        self,
        name: str,
        when: When,
        call: Call[Any],
        *,
        misfire: Misfire = "latest",
        window: Span | None = None,
        overlap: Overlap = "skip",
        jitter: Span = 0,
    ) -> None:
        """Keep a schedule in the store: every worker that knows the task of `call` serves it.

        `when` is a ``crontab``, a ``cron`` or an ``every``, `call` is made with ``task.s(...)``, and the rest is that
        of ``@huey.periodic_task``. Adding the same again changes nothing, so an application may do it whenever it
        starts; adding something else under a known name replaces that, from now on.

        Raises:
            TypeError, ValueError: an argument is out of range, `when` is a function, or the code declares the name.
            EncodeError: an argument of the call cannot travel.
        """
        policy = Policy(misfire=misfire, window=window, overlap=overlap, jitter=jitter)
        described = Schedule(name, when, call, policy).described()
        if name in self._application.registry.schedules:
            raise ValueError(f"{name!r} is a periodic task that the code declares: add it under another name")
        if self._application.registry.get(call.task.name) is None:
            raise ValueError(f"{call.task!r} is no task of this application")

        def added(state: ScheduleState | None) -> ScheduleState:
            if state is None:
                return ScheduleState(self._clock.now_ms(), added=described)
            return state if state.added == described else state._replace(after_ms=self._clock.now_ms(), added=described)

        await self._change(name, added)

    async def remove(self, name: str) -> bool:
        """Forget a schedule that was added, or one that the code does not declare any more; False if there is none.

        Raises:
            ValueError: the code declares it.
        """
        if name in self._application.registry.schedules:
            raise ValueError(f"{name!r} is a periodic task that the code declares: pause it")
        storage = await self._storage()
        while seen := (await storage.schedules()).get(name):
            if await storage.advance(name, seen, b"", []):
                return True
        return False

    async def _storage(self) -> Storage:
        return (await self._application.client()).storage

    async def _change(self, name: str, change: Callable[[ScheduleState | None], ScheduleState]) -> None:
        storage = await self._storage()
        made = False
        while not made:
            seen = (await storage.schedules()).get(name, b"")
            made = await storage.advance(name, seen, change(decoded(seen)).encoded(), [])

    def _known(self, name: str, state: ScheduleState | None) -> ScheduleState:
        """The state of a schedule that may not have been served yet."""
        if state is None and name not in self._application.registry.schedules:
            raise ValueError(f"there is no schedule {name!r}: huey.schedules.list() tells which there are")
        return state or ScheduleState(self._clock.now_ms())

    def _info(self, name: str, kept: bytes) -> ScheduleInfo:
        try:
            state = decoded(kept)
            schedule = self._application.registry.schedule(name, state)
        except (KeyError, TypeError, ValueError):
            return ScheduleInfo(name, "not understood here")
        now_ms = self._clock.now_ms()
        state = state or ScheduleState(now_ms)
        last_ms = state.last_ms or None
        if schedule is None:
            return ScheduleInfo(name, "not known here", state.paused, last_ms)
        knows = schedule.asked is None and not state.paused
        next_ms = schedule.when.next_after(max(state.after_ms, now_ms)) if knows else None
        return ScheduleInfo(name, schedule.text, state.paused, last_ms, next_ms)
