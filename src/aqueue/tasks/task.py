"""A declared task: a function with a name and options, and the ways to run it here or to enqueue it."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from ..core.clock import instant_ms, span_ms
from ..core.ids import check_task_id
from ..exceptions import ConfigurationError
from .signatures import arguments_checker, takes_keyword

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import datetime, timedelta

    from ..client.results import Owner, Result, ResultGroup, ResultSource
    from ..client.sync import SyncResult
    from .options import CallKeywords, TaskOptions
    from .resources import Resource
    from .workflow.graph import Workflow
    from .workflow.steps import Following, JoinedTask, OnFailure, Pipeline, Step

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Call(Generic[R_co]):
    """A task with its arguments, not sent yet. It is due after `delay_ms` or at `eta_ms`; 0 and 0 mean at once."""

    __slots__ = ("args", "delay_ms", "eta_ms", "id", "kwargs", "options", "task")

    def __init__(
        self,
        task: Task[..., R_co],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        task_id: str | None = None,
        delay_ms: int = 0,
        eta_ms: int = 0,
    ) -> None:
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.options = options
        self.id = task_id
        self.delay_ms = delay_ms
        self.eta_ms = eta_ms

    def __repr__(self) -> str:
        return f"<Call of {self.task.name}>"

    def enqueue(self) -> Coroutine[Any, Any, Result[R_co]]:
        """Send it; see ``Task.enqueue``."""
        return self.task._outbox.send(self)

    def then(self, target: Following[T], /, *args: Any, **kwargs: Any) -> Pipeline[T]:
        """A pipeline: this, then `target` with `args` and the return value of this; see ``Pipeline.then``."""
        return self._step().then(target, *args, **kwargs)

    def error(self, handler: Following[Any], /, *args: Any, **kwargs: Any) -> Step[R_co]:
        """This, with a handler: if it fails, `handler` runs with `args` and the ``TaskException``."""
        return self._step().error(handler, *args, **kwargs)

    def _as_pipeline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R_co]:
        """This call with more arguments, as a part of a workflow that follows another part."""
        return self._step()._as_pipeline(args, kwargs)

    def _as_member(self) -> Pipeline[R_co]:
        """This call as a member of a group or chord."""
        return self._step()._as_member()

    def _extended(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[R_co]:
        """This call with more arguments; missing ones will come from the task before it in the workflow.

        Raises:
            TypeError: the function does not take these arguments.
        """
        args, kwargs = self.args + args, {**self.kwargs, **kwargs}
        try:
            inspect.signature(self.task._check_arguments).bind_partial(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.task.name}: {error}") from None
        return Call(self.task, args, kwargs, self.options, self.id, self.delay_ms, self.eta_ms)

    def _named(self, task_id: str) -> Call[R_co]:
        """This call under an id of its own."""
        return Call(self.task, self.args, self.kwargs, self.options, task_id, self.delay_ms, self.eta_ms)

    def _step(self) -> Step[R_co]:
        from .workflow.steps import Step

        return Step(self)


class Outlet(Protocol):
    """How a task is sent: the outbox, which imports this module and so cannot be imported here."""

    @property
    def source(self) -> ResultSource: ...

    async def send(self, call: Call[R]) -> Result[R]: ...

    async def send_many(self, calls: Iterable[Call[R]]) -> ResultGroup[R]: ...

    async def send_workflow(self, workflow: Workflow[T]) -> T: ...


class Task(Generic[P, R]):
    """A task. Calling it runs the function here; ``enqueue`` sends it to a worker.

    Made by ``@huey.task`` of the application `owner`; `options` are those of its declaration. `function` may be a task,
    of another application or under another name: then this one has its function.
    """

    def __init__(
        self,
        owner: Owner,
        outbox: Outlet,
        function: Callable[..., Any],
        name: str,
        options: TaskOptions,
        resource: Resource | None = None,
    ) -> None:
        if isinstance(function, Task):
            resource = resource or function._resource
            function = function.func
        self._owner = owner
        self._outbox = outbox
        self.func: Callable[..., Any] = function
        self.name = name
        self.declared = options
        self._resource: Resource | None = resource
        self._check_arguments = arguments_checker(function, self._injected())
        # updated=(): attributes of the function must not overwrite those of the task.
        functools.update_wrapper(self, function, updated=())

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    @property
    def is_coroutine(self) -> bool:
        """Whether the function is ``async def``; otherwise a worker runs it in a thread or in a child process."""
        return inspect.iscoroutinefunction(self.func)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the function here and now, inside its resource, without queue, hooks or retries."""
        if self._resource is None:
            return self.func(*args, **kwargs)
        if self.is_coroutine:
            return self._resource.await_call(self.func, args, kwargs)
        return self._resource.call(self.func, args, kwargs)

    def call_local(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Huey's name for calling the task."""
        return self(*args, **kwargs)

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Result[R]]:
        """Send the task to a worker. All arguments go to the function.

        Await it; when it returns, the task is in the store.

        Raises:
            TypeError: the arguments do not fit the function.
            EncodeError: an argument cannot be encoded.
            QueueUnavailable: the store could not be reached in time.
            QueueFull: the store has no room.
        """
        self._check_arguments(*args, **kwargs)
        return self._outbox.send(Call(self, args, kwargs, self.declared))

    def enqueue_sync(self, /, *args: P.args, **kwargs: P.kwargs) -> SyncResult[R]:
        """``enqueue`` for code that cannot await: a Flask or Django view, a script, a plain function as a task."""
        from ..client.sync import SyncResult

        result = self._outbox.source.portal.call(self.enqueue(*args, **kwargs))
        return SyncResult(result)

    def s(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """The task with these arguments, to be sent later with its ``enqueue`` or with ``huey.enqueue_many``."""
        self._check_arguments(*args, **kwargs)
        return Call(self, args, kwargs, self.declared)

    def options(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Huey's name
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        **overrides: Unpack[CallKeywords],
    ) -> ConfiguredTask[P, R]:
        """This task with other options, which apply to calls made through the returned object.

        `eta` (a datetime; naive means local time) or `delay` (seconds or a timedelta) says when the call is due. `id`
        is its id; enqueueing an id that the store knows gives a handle on the known task. The rest are options of
        ``@huey.task``.

        Raises:
            TypeError, ValueError: an option is unknown, out of range, or both `eta` and `delay` are given.
        """
        delay_ms, eta_ms = due(eta, delay)
        return ConfiguredTask(
            self,
            self.declared.changed(**overrides),
            None if id is None else check_task_id(id),
            delay_ms,
            eta_ms,
        )

    def after(self, /, *members: Any, on_failure: OnFailure = "fail_fast") -> JoinedTask[R]:
        """This task, run after `members`; the result of each member is one more argument.

        `members` are calls, steps, pipelines and chords. A member that is part of the same workflow runs once; any
        other is added to the workflow. `on_failure` is that of ``chord``.

        Raises:
            TypeError, ValueError: there are no `members`, one has the wrong type, or `on_failure` is unknown.
        """
        return self.options().after(*members, on_failure=on_failure)

    def _as_pipeline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R]:
        """This task as a part of a workflow that follows another part, with `args` and the results from there."""
        return self.options()._as_pipeline(args, kwargs)

    async def schedule(
        self,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        *,
        convert_utc: bool = True,
        id: str | None = None,  # noqa: A002 - Huey's name
        **overrides: Unpack[CallKeywords],
    ) -> Result[R]:
        """Huey's spelling of a delayed call: arguments as a tuple and a dict, due at `eta` or after `delay`.

        A naive `eta` is local time; with ``convert_utc=False`` it is UTC.

        Raises:
            TypeError: `args` is not a tuple, `kwargs` is not a dict, or they do not fit the function.
            ValueError: neither or both of `eta` and `delay` are given.
        """
        if not isinstance(args, tuple):
            raise TypeError(f"schedule() takes args as a tuple, not {args!r}: write args=({args!r},)")
        if kwargs is not None and not isinstance(kwargs, dict):
            raise TypeError(f"schedule() takes kwargs as a dict, not {kwargs!r}")
        if eta is None and delay is None:
            raise ValueError("schedule() needs eta= or delay=")
        delay_ms, eta_ms = due(eta, delay, convert_utc=convert_utc)
        self._check_arguments(*args, **(kwargs or {}))
        return await self._outbox.send(
            Call(
                self,
                args,
                kwargs or {},
                self.declared.changed(**overrides),
                None if id is None else check_task_id(id),
                delay_ms,
                eta_ms,
            )
        )

    async def map(self, items: Iterable[Any]) -> ResultGroup[R]:
        """Enqueue one call per item, in one step. A tuple holds all arguments of a call, any other item its only one.

        Raises:
            TypeError: an item does not fit the function; nothing is enqueued.
        """
        # Type checkers cannot check a tuple against the signature; `_check_arguments` does, call by call.
        make = cast("Callable[..., Call[R]]", self.s)
        return await self._outbox.send_many([make(*item) if isinstance(item, tuple) else make(item) for item in items])

    async def revoke(self, revoke_until: datetime | None = None, revoke_once: bool = False) -> None:
        """Keep all calls of this task from running; see ``Huey.revoke``."""
        await self._owner.revoke(self, revoke_until, revoke_once)

    async def restore(self) -> bool:
        """Undo a revocation of the task; True if one was in force."""
        return await self._owner.restore(self)

    async def is_revoked(self) -> bool:
        """Whether the task as a whole is revoked now."""
        return await self._owner.is_revoked(self)

    def _injected(self) -> frozenset[str]:
        """The parameters of the function that the worker fills in; callers do not pass them."""
        injected = set()
        parameters = list(inspect.signature(self.func).parameters.values())
        if self.declared.context:
            if not any(takes_keyword(parameter, "task") for parameter in parameters):
                raise ConfigurationError(f"{self.name} takes no argument 'task': context=True gives it the run")
            injected.add("task")
        if self._resource is not None and self._resource.as_argument:
            first = parameters[0] if parameters else None
            if first is None or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
                raise ConfigurationError(f"{self.name} takes no argument: as_argument=True gives it the resource")
            if first.kind is not first.VAR_POSITIONAL:
                injected.add(first.name)
        return frozenset(injected)


class AsyncTask(Task[P, R]):
    """A task whose function is ``async def``: calling it gives a coroutine."""

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
        def call_local(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...


class SyncTask(Task[P, R]):
    """A task whose function is a plain ``def``: calling it gives what it returns."""

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
        def call_local(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...


if TYPE_CHECKING:

    class TaskDecorator(Protocol):
        """The type of ``huey.task(...)`` with parentheses: it distinguishes coroutine functions from plain ones."""

        @overload
        def __call__(  # type: ignore[overload-overlap]  # a coroutine function is the narrower case
            self, function: Callable[P, Coroutine[Any, Any, R]], /
        ) -> AsyncTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...


class ConfiguredTask(Generic[P, R]):
    """A task with options that differ from its declaration; made by ``Task.options``."""

    __slots__ = ("_delay_ms", "_eta_ms", "_id", "_options", "_task")

    def __init__(self, task: Task[P, R], options: TaskOptions, task_id: str | None, delay_ms: int, eta_ms: int) -> None:
        self._task = task
        self._options = options
        self._id = task_id
        self._delay_ms = delay_ms
        self._eta_ms = eta_ms

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Result[R]]:
        """Send the task with these options; see ``Task.enqueue``."""
        return self._task._outbox.send(self.s(*args, **kwargs))

    def s(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """The task with these options and arguments, to be sent later."""
        self._task._check_arguments(*args, **kwargs)
        return self._call(args, kwargs)

    def after(self, /, *members: Any, on_failure: OnFailure = "fail_fast") -> JoinedTask[R]:
        """This task, with these options, run after others; see ``Task.after``."""
        from .workflow.steps import JoinedTask

        return JoinedTask(self._call((), {}), members, on_failure)

    def _as_pipeline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R]:
        """This task, with these options, as a part of a workflow that follows another part."""
        return self._call((), {})._extended(args, kwargs)._as_pipeline((), {})

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[R]:
        return Call(self._task, args, kwargs, self._options, self._id, self._delay_ms, self._eta_ms)


def due(eta: datetime | None, delay: float | timedelta | None, *, convert_utc: bool = True) -> tuple[int, int]:
    """When a call is due, as (delay in ms, instant in ms); at most one of them is not 0.

    Raises:
        ValueError: both `eta` and `delay` are given, or one is out of range.
    """
    if eta is not None and delay is not None:
        raise ValueError("give eta= or delay=, not both")
    if eta is not None:
        return 0, max(instant_ms(eta, "eta", convert_utc=convert_utc), 1)
    return (0 if delay is None else span_ms(delay, "delay")), 0
