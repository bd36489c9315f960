"""Periodic tasks, as an application offers them: declared in the code, and changed at run time.

The state of a schedule is replaced only by who has seen it. So whoever changes one looks, and looks again when somebody
else was faster. Workers are told that something changed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .exceptions import DecodeError
from .ids import new_task_id
from .periodic import Policy, Schedule, ScheduleState, check_when, declared_schedule, decoded
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .client import Client
    from .clock import Clock
    from .codec import Codec
    from .hooks import Hooks
    from .message import Envelope
    from .options import Span
    from .periodic import Misfire, Overlap, ValidateDatetime
    from .registry import Registry
    from .result import Result
    from .storage.protocol import Advance, Storage
    from .task import Call, TaskDecorator
    from .when import When


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """One schedule.

    `when` reads as it was written, and `tz` names the time zone in which it counts, ``"local"`` for that of the
    workers' machines. `last` is the instant that its last run was for, `next` that of its next tick, both in UTC; None
    where there is none, or where only a function knows.
    """

    name: str
    when: str
    tz: str = ""
    task: str = ""
    paused: bool = False
    last: datetime | None = None
    next: datetime | None = None


class PeriodicTasks:
    """The part of ``Huey`` that repeats tasks."""

    registry: Registry
    hooks: Hooks
    codec: Codec
    _clock: Clock

    def periodic_task(
        self,
        validate_datetime: When | ValidateDatetime,
        *,
        name: str | None = None,
        misfire: Misfire = "latest",
        window: Span | None = None,
        overlap: Overlap = "skip",
        jitter: Span = 0,
        **options: Any,
    ) -> TaskDecorator:
        """Declare a task that is enqueued at each tick, once, however many workers there are.

        `validate_datetime` is ``crontab(...)``, ``cron(...)`` or ``every(...)``; or a function, sync or async, that is
        asked once a minute, with the local time as a naive datetime, whether to enqueue the task. `misfire`, `window`,
        `overlap` and `jitter` are those of ``Policy``. The rest is that of ``task``, and so are the errors. Above
        another decorator of tasks (``context_task``, say) it repeats that task, which has its options already.

        Raises:
            TypeError, ValueError: an argument is of a wrong kind or out of range, or the task needs arguments.
        """
        policy = Policy(misfire=misfire, window=window, overlap=overlap, jitter=jitter)
        check_when(validate_datetime)
        declare_task = self.task(name=name, **options)

        def declare(function: Callable[..., Any]) -> Task[..., Any]:
            if isinstance(function, Task) and self.registry.get(function.name) is function and name is None:
                if options:
                    raise TypeError(f"{function.name} is a task already: give its options to the decorator below")
                task: Task[..., Any] = function
            else:
                task = declare_task(function)
            self.registry.schedules[task.name] = declared_schedule(task, validate_datetime, policy)
            return task

        return declare  # type: ignore[return-value]  # as of `task`, it tells coroutine functions from plain ones

    @functools.cached_property
    def schedules(self) -> Schedules:
        """The schedules of periodic tasks: ``list``, ``pause``, ``resume``, ``run``, ``add`` and ``remove``."""
        return Schedules(self)

    # -- for who fires them

    def now_ms(self) -> int:
        """The present instant."""
        return self._clock.now_ms()

    async def prepare(self, call: Call[Any]) -> Envelope:
        """`call` as a store keeps it, for nobody who waits.

        Raises:
            CancelExecution: a pre-enqueue handler refuses it.
        """
        envelope = self._envelope(call, "")
        if self.hooks.pre_enqueue:
            await self._before_push([call], [envelope])
        return envelope

    async def announce(self, call: Call[Any], envelope: Envelope) -> None:
        """Tell of a task that the store has now."""
        if self.hooks.signals.receivers:
            await self._announce([call], [envelope], [True])

    # -- what the application brings

    async def client(self) -> Client:
        raise NotImplementedError

    def task(self, /, *, name: str | None = None, **options: Any) -> Any:
        raise NotImplementedError

    def result(self, task_id: str) -> Result[Any]:
        raise NotImplementedError

    def _envelope(self, call: Call[Any], reply: str) -> Envelope:
        raise NotImplementedError

    async def _before_push(self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope]) -> None:
        raise NotImplementedError

    async def _after_push(
        self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope], created: Sequence[bool]
    ) -> None:
        raise NotImplementedError

    async def _announce(
        self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope], entered: Sequence[bool]
    ) -> None:
        raise NotImplementedError


class Schedules:
    """``huey.schedules``: those that the code declares with ``@huey.periodic_task``, and those added at run time."""

    def __init__(self, application: PeriodicTasks) -> None:
        self._application = application
        self._registry = application.registry

    async def list(self) -> Sequence[ScheduleInfo]:
        """All schedules, by name; also those that this application does not know."""
        kept = await (await self._storage()).schedules()
        names = sorted({*self._registry.schedules, *kept})
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
            return known._replace(paused=False, after_ms=self._application.now_ms()) if known.paused else known

        await self._change(name, resumed)

    async def run(self, name: str) -> Result[Any]:
        """Fire it now, beside its ticks, even while it is paused or runs.

        Raises:
            ValueError: there is no such schedule, or its task is not known here.
            CancelExecution: a pre-enqueue handler refuses the task.
        """
        storage, task_id = await self._storage(), new_task_id()
        state, seen = await self._seen(storage, name)
        schedule = self._registry.schedule(name, self._known(name, state))
        if schedule is None:
            raise ValueError(f"the task of the schedule {name!r} is not known here")
        call = schedule.run(task_id)
        envelope = await self._application.prepare(call)
        while True:
            ran = self._known(name, state)._replace(last_ms=self._application.now_ms(), last_id=task_id)
            if await self._advance(storage, name, seen, ran, [envelope]):
                break
            state, seen = await self._seen(storage, name)
        await self._application._after_push([call], [envelope], [True])
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
        if name in self._registry.schedules:
            raise ValueError(f"{name!r} is a periodic task that the code declares: add it under another name")
        if self._registry.get(call.task.name) is None:
            raise ValueError(f"{call.task!r} is no task of this application")

        def added(state: ScheduleState | None) -> ScheduleState:
            now_ms = self._application.now_ms()
            if state is None:
                return ScheduleState(now_ms, added=described)
            return state if state.added == described else state._replace(after_ms=now_ms, added=described)

        await self._change(name, added)

    async def remove(self, name: str) -> bool:
        """Forget a schedule that was added, or one that the code does not declare any more; False if there is none.

        Raises:
            ValueError: the code declares it.
        """
        if name in self._registry.schedules:
            raise ValueError(f"{name!r} is a periodic task that the code declares: pause it")
        storage = await self._storage()
        while seen := (await storage.schedules()).get(name):
            if await storage.advance(name, seen, b"", []):
                return True
        return False

    async def _storage(self) -> Storage:
        return (await self._application.client()).storage

    async def _seen(self, storage: Storage, name: str) -> tuple[ScheduleState | None, bytes]:
        seen = (await storage.schedules()).get(name, b"")
        return decoded(name, seen, self._application.codec), seen

    async def _advance(
        self, storage: Storage, name: str, seen: bytes, state: ScheduleState, envelopes: Sequence[Envelope]
    ) -> Advance:
        return await storage.advance(name, seen, state.encoded(name, self._application.codec), envelopes)

    async def _change(self, name: str, change: Callable[[ScheduleState | None], ScheduleState]) -> None:
        storage = await self._storage()
        while True:
            state, seen = await self._seen(storage, name)
            if await self._advance(storage, name, seen, change(state), []):
                return

    def _known(self, name: str, state: ScheduleState | None) -> ScheduleState:
        """The state of a schedule that may not have been served yet."""
        if state is None and name not in self._registry.schedules:
            raise ValueError(f"there is no schedule {name!r}: huey.schedules.list() tells which there are")
        return state or ScheduleState(self._application.now_ms())

    def _info(self, name: str, kept: bytes) -> ScheduleInfo:
        try:
            state = decoded(name, kept, self._application.codec)
            schedule = self._registry.schedule(name, state)
        except (DecodeError, KeyError, TypeError, ValueError):
            return ScheduleInfo(name, "not understood here")
        now_ms = self._application.now_ms()
        state = state or ScheduleState(now_ms)
        last = _instant(state.last_ms or None)
        if schedule is None:
            return ScheduleInfo(name, "not known here", paused=state.paused, last=last)
        knows = schedule.asked is None and not state.paused
        next_ms = schedule.when.next_after(max(state.after_ms, now_ms)) if knows else None
        task = schedule.call.task.name
        return ScheduleInfo(name, schedule.text, schedule.tz, task, state.paused, last, _instant(next_ms))


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
