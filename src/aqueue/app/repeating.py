"""The part of an application that repeats: periodic tasks are declared here, and enqueued from here."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Unpack

from ..tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..client.client import Client
    from ..client.results import Result
    from ..core.clock import Clock
    from ..core.codec import Codec
    from ..core.message import Envelope
    from ..tasks.cron import When
    from ..tasks.hooks import Hooks
    from ..tasks.options import Span, TaskKeywords
    from ..tasks.registry import Registry
    from ..tasks.schedule import Misfire, Overlap, ValidateDatetime
    from ..tasks.task import Call, TaskDecorator
    from .schedules import Schedules


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
        **options: Unpack[TaskKeywords],
    ) -> TaskDecorator:
        """Declare a task that is enqueued at each tick, once, however many workers there are.

        `validate_datetime` is ``crontab(...)``, ``cron(...)`` or ``every(...)``; or a function, sync or async, that is
        asked once a minute, with the local time as a naive datetime, whether to enqueue the task. `misfire`, `window`,
        `overlap` and `jitter` are those of ``Policy``. The rest is that of ``task``, and so are the errors. Above
        another decorator of tasks (``context_task``, say) it repeats that task, which has its options already.

        Raises:
            TypeError, ValueError: an argument is of a wrong kind or out of range, or the task needs arguments.
        """
        from ..tasks.schedule import Policy, check_when, declared_schedule  # not every application repeats something

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
        from .schedules import Schedules

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

    async def follow_up(self, call: Call[Any], envelope: Envelope) -> None:
        """``announce``, and run the task in immediate mode."""
        await self._after_push([call], [envelope], [True])

    # -- what the application brings

    async def client(self) -> Client:
        raise NotImplementedError

    def task(self, /, *, name: str | None = None, **options: Unpack[TaskKeywords]) -> Any:
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
