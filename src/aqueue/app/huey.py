"""The application object: the table of contents of aqueue.

``Huey`` is a face over parts. Its ``__init__`` is the one place that puts them together; every other method calls one
part, and carries the docstring that users read.
"""

from __future__ import annotations

import asyncio
import functools
import os
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from ..client.loops import ClientPerLoop
from ..client.portal import Portal
from ..client.results import Result, ResultSource
from ..client.sync import SyncHuey
from ..coordination.locks import Locks
from ..coordination.rate_limits import RateLimits
from ..coordination.values import Values
from ..core import codec
from ..core.clock import SystemClock, span_ms
from ..core.ids import check_name, check_task_id
from ..exceptions import ConfigurationError
from ..signals import check_signals
from ..storage import open_storage
from ..tasks.hooks import Hooks
from ..tasks.options import TaskKeywords, TaskOptions, check_known
from ..tasks.outbox import Outbox
from ..tasks.parts import Parts
from ..tasks.registry import Registry
from ..tasks.resources import Resource
from ..tasks.signatures import check_function, check_pool, task_name
from ..tasks.task import AsyncTask, SyncTask, Task
from .cancellation import Cancellation
from .dead_letters import DeadLetters
from .doctor import Doctor
from .inspection import LIST_LIMIT, Inspection
from .queues import Queues, flush

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from datetime import datetime, timedelta
    from types import TracebackType

    from ..client.results import ResultGroup, Sendable
    from ..coordination.locks import TaskLock
    from ..coordination.rate_limits import RateLimit
    from ..core.codec import Codec
    from ..core.serializers import Serializer
    from ..signals import SignalName
    from ..storage.protocol import Storage
    from ..tasks.cron import When
    from ..tasks.options import Span
    from ..tasks.schedule import Misfire, Overlap, ValidateDatetime
    from ..tasks.task import Call, TaskDecorator
    from ..worker.immediate import Immediate
    from ..worker.options import WorkerKeywords
    from ..worker.worker import Worker
    from .cancellation import Cancellable, Revocable
    from .doctor import Diagnosis
    from .inspection import ResultInfo, TaskInfo
    from .schedules import Schedules

    Handler = Callable[..., Any]

H = TypeVar("H", bound="Callable[..., Any]")
T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

if TYPE_CHECKING:

    class _ResourceDecorator(Protocol):
        """The type of ``huey.context_task(resource, True)``: callers do not pass the first argument."""

        @overload
        def __call__(  # type: ignore[overload-overlap]  # a coroutine function is the narrower case
            self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
        ) -> AsyncTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> SyncTask[P, R]: ...


URL_VARIABLE = "AQUEUE_URL"


class Huey:
    """An application: a namespace in a store, and the tasks that are declared on it.

    `name` is the namespace. `url` says where the store is: ``redis://``, ``rediss://``, ``unix://``, ``sqlite:///file``
    or ``memory://``. Its default is the environment variable ``AQUEUE_URL``, and without that the file ``<name>.db`` in
    the current directory. `results` and `result_ttl` (seconds or a timedelta) are the defaults for the tasks. A failed
    task can be run again for `dead_letter_ttl`; 0 keeps no dead letters. `serializer` encodes arguments and results;
    the default is JSON. With `immediate`, tasks run at once and in this process, for tests and for development; there,
    with `raise_exceptions`, an enqueue raises what the task raised.

    Nothing connects before the first use. ``async with huey:`` closes the connections of the running event loop at the
    end; without it they are closed when the loop ends.
    """

    def __init__(
        self,
        name: str = "huey",
        url: str | None = None,
        *,
        results: bool = True,
        result_ttl: float | timedelta = 3600,
        dead_letter_ttl: float | timedelta = 7 * 24 * 3600,
        serializer: Serializer | None = None,
        immediate: bool = False,
        raise_exceptions: bool = False,
    ) -> None:
        self._name = check_name(name, "the name of the application")
        self._url = url or os.environ.get(URL_VARIABLE, "").strip() or f"sqlite:///{name}.db"
        self._results = results
        self._raise_exceptions = raise_exceptions
        result_ttl_ms, dead_ttl_ms = span_ms(result_ttl, "result_ttl"), span_ms(dead_letter_ttl, "dead_letter_ttl")
        # Made now so that a bad URL is an error here; each event loop gets one of its own.
        self._first_storage: Storage | None = self._make_storage()
        own_codec: Codec = codec if serializer is None else _codec_of(serializer, name)
        clients, portal = ClientPerLoop(self._take_storage, SystemClock()), Portal()
        registry, hooks = Registry(), Hooks()
        outbox = Outbox(ResultSource(clients, own_codec, portal, self), hooks)
        self._parts = Parts(name, registry, hooks, own_codec, clients, outbox, result_ttl_ms, dead_ttl_ms)
        self._sync = SyncHuey(self, portal)
        self._cancellation = Cancellation(clients, own_codec, registry, outbox, result_ttl_ms)
        self._inspection = Inspection(clients, own_codec)
        self._queues = Queues(clients, self._inspection, self._cancellation, outbox)
        self._dead = DeadLetters(clients, own_codec, registry, outbox)
        self._doctor = Doctor(clients, own_codec, registry)
        self._locks = Locks(clients, portal)
        self._rate_limits = RateLimits(clients, portal)
        self._values = Values(clients)
        self._immediate: Immediate | None = None
        self.immediate = immediate

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def name(self) -> str:
        """The namespace in the store."""
        return self._name

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The tasks that are declared here, by name: a live view."""
        return self._parts.registry.tasks

    # -- declaring

    @overload
    def task(  # type: ignore[overload-overlap]  # a coroutine function is the narrower case
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...
    @overload
    def task(self, /, *, name: str | None = None, **options: Unpack[TaskKeywords]) -> TaskDecorator: ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        **options: Unpack[TaskKeywords],
    ) -> Any:
        """Declare a task, with or without parentheses. Times are seconds or timedeltas.

        Args:
            name: the task's name in messages, unique in the application. Default the function's module and name.
            retries: how often a failed run is repeated. Default 0.
            retry_delay: the wait before the first retry.
            retry_backoff: the factor by which each wait is longer than the one before; 0 keeps all waits the same.
            retry_jitter: the share of each wait that is drawn at random, 0 to 1.
            retry_max_delay: the longest wait. Default one day.
            retry_on: the exception class or classes after which the task is retried. Default every ``Exception``.
            timeout: how long one run may take. After that a coroutine is cancelled, a thread is abandoned, a child
                process is killed. Default no limit.
            expires: how long after it is due, or until which datetime, the task may still start.
            queue: the queue in which the task waits. Default ``"default"``.
            priority: -100 to 100, higher first. Default 0.
            results: whether to keep the return value.
            result_ttl: how long to keep the return value.
            context: whether to pass the current ``TaskRun`` as the argument ``task``.
            pool: where a plain function runs, ``"thread"`` or ``"process"``. Default a thread.
            settings: a dict of your own; hooks and receivers find it as ``task.settings``.

        Raises:
            TypeError, ValueError: an option is unknown or out of range, or the function cannot be a task.
        """
        declared = self._options(options)

        def declare(function: Callable[..., Any]) -> Task[..., Any]:
            return self._declare(function, name, declared)

        return declare if function is None else declare(function)

    @overload
    def context_task(
        self,
        resource: Any,
        as_argument: Literal[False] = False,
        *,
        name: str | None = None,
        **options: Unpack[TaskKeywords],
    ) -> TaskDecorator: ...
    @overload
    def context_task(
        self, resource: Any, as_argument: Literal[True], *, name: str | None = None, **options: Unpack[TaskKeywords]
    ) -> _ResourceDecorator: ...

    def context_task(
        self, resource: Any, as_argument: bool = False, *, name: str | None = None, **options: Unpack[TaskKeywords]
    ) -> Any:
        """Declare a task that runs inside `resource`, entered anew for each run.

        `resource` is an async context manager, a sync one, or a callable that returns either. With `as_argument`, the
        value that entering it returns is the first argument of the function. `name` and `options` are those of
        ``task``.

        Raises:
            ConfigurationError: `resource` is not a context manager, or can be entered only once.
        """
        declared = self._options(options)
        entered = Resource(resource, as_argument)

        def declare(function: Callable[..., Any]) -> Task[..., Any]:
            return self._declare(function, name, declared, entered)

        return declare

    def _options(self, given: TaskKeywords) -> TaskOptions:
        check_known(given)
        given.setdefault("results", self._results)
        return TaskOptions(**given)

    def _declare(
        self, function: Callable[..., Any], name: str | None, declared: TaskOptions, resource: Resource | None = None
    ) -> Task[..., Any]:
        check_function(function)
        check_pool(function, declared.pool)
        task: Task[..., Any] = Task(self, self._parts.outbox, function, task_name(function, name), declared, resource)
        self._parts.registry.add(task)
        return task

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
        """Declare a task that is enqueued once at each tick, no matter how many workers there are.

        `validate_datetime` is ``crontab(...)``, ``cron(...)`` or ``every(...)``; or a function, sync or async, that a
        worker calls once a minute, with the local time as a naive datetime, and that returns whether to enqueue the
        task. `misfire`, `window`, `overlap` and `jitter` are those of ``Policy``; `name` and `options` are those of
        ``task``. Above another decorator that declares a task (``context_task``, say) it makes that task periodic, and
        takes no options of its own.

        Raises:
            TypeError, ValueError: an argument has the wrong type or is out of range, or the task needs arguments.
        """
        from ..tasks.schedule import Policy, check_when, declared_schedule  # not every application repeats something

        policy = Policy(misfire=misfire, window=window, overlap=overlap, jitter=jitter)
        check_when(validate_datetime)
        declare_task, registry = self.task(name=name, **options), self._parts.registry

        def declare(function: Callable[..., Any]) -> Task[..., Any]:
            if isinstance(function, Task) and registry.get(function.name) is function and name is None:
                if options:
                    raise TypeError(f"{function.name} is a task already: give its options to the decorator below")
                task: Task[..., Any] = function
            else:
                task = declare_task(function)
            registry.schedules[task.name] = declared_schedule(task, validate_datetime, policy)
            return task

        return declare  # type: ignore[return-value]  # as of `task`, it tells coroutine functions from plain ones

    # -- sending

    async def enqueue(self, item: Sendable[T]) -> T:
        """Send a call, made with ``task.s(...)``, or a workflow; the same as ``item.enqueue()``."""
        return await item.enqueue()

    async def enqueue_many(self, calls: Iterable[Call[R]]) -> ResultGroup[R]:
        """Send any number of calls in as few round trips as the store allows.

        Raises like ``Task.enqueue``. If a call cannot be encoded, nothing is enqueued. If the store fails in between,
        the exception has the ids of the calls: see ``QueueUnavailable``.
        """
        return await self._parts.outbox.send_many(calls)

    def result(self, task_id: str) -> Result[Any]:
        """A handle on the task with this id, no matter which process enqueued it.

        Raises:
            TypeError, ValueError: `task_id` is not a valid id.
        """
        return Result(check_task_id(task_id), self._parts.outbox.source, created=False)

    @property
    def sync(self) -> SyncHuey:
        """The same calls for code that cannot await: ``huey.sync.enqueue(add.s(1, 2)).get(timeout=5)``."""
        return self._sync

    # -- stopping tasks

    async def revoke(self, what: Revocable, revoke_until: datetime | None = None, revoke_once: bool = False) -> None:
        """Keep `what` from running, until the datetime `revoke_until` (naive means local time) or until ``restore``.

        `what` is a task, which stands for all its calls, a result, a run, or the id of one call. A revoked call gets
        the verdict ``cancelled`` when a worker is about to run it; no hook is called. A call that already runs is not
        disturbed; ``cancel`` stops that. With `revoke_once`, one call is stopped and the next one runs. A later
        revocation replaces an earlier one. A revocation of an id that was never enqueued lasts for 30 days.

        Raises:
            TypeError, ValueError: `what` cannot be revoked, or `revoke_until` is not a datetime.
            QueueUnavailable: the store could not be reached in time.
        """
        await self._cancellation.revoke(what, revoke_until, revoke_once)

    async def revoke_by_id(self, task_id: str, revoke_until: datetime | None = None, revoke_once: bool = False) -> None:
        """``revoke`` for the id of one call."""
        await self._cancellation.revoke(check_task_id(task_id), revoke_until, revoke_once)

    async def revoke_all(
        self, task: Task[..., Any], revoke_until: datetime | None = None, revoke_once: bool = False
    ) -> None:
        """``revoke`` for all calls of `task`."""
        await self._cancellation.revoke(_checked(task), revoke_until, revoke_once)

    async def restore(self, what: Revocable) -> bool:
        """Undo a revocation; True if one was in force."""
        return await self._cancellation.restore(what)

    async def restore_by_id(self, task_id: str) -> bool:
        """``restore`` for the id of one call."""
        return await self._cancellation.restore(check_task_id(task_id))

    async def restore_all(self, task: Task[..., Any]) -> bool:
        """``restore`` for all calls of `task`."""
        return await self._cancellation.restore(_checked(task))

    async def is_revoked(self, what: Revocable) -> bool:
        """Whether `what` would not run now. An id alone does not say whether the whole task is revoked."""
        return await self._cancellation.is_revoked(what)

    async def cancel(self, what: Cancellable) -> bool:
        """End one call, wherever it is; False if it has its verdict already, or is unknown.

        A waiting call gets the verdict ``cancelled`` at once. For a running call, its worker cancels the coroutine or
        abandons the thread; the call then gets that verdict, unless it returns a value nevertheless. In a workflow, the
        tasks after it behave as if it had cancelled itself, and the tasks before it go on.

        Raises:
            TypeError, ValueError: `what` is not a result, a run, an entry of a list or an id.
            QueueUnavailable: the store could not be reached in time.
        """
        return await self._cancellation.cancel(what)

    async def reschedule(
        self,
        what: Cancellable,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        expires: float | timedelta | datetime | None = None,
        priority: int | None = None,
    ) -> Result[Any]:
        """Cancel one call and enqueue it again under a new id, in one step: due at `eta`, after `delay`, or now.

        The call keeps its arguments and options. `expires` defaults to that of its task.

        Raises:
            ResultNotFound: the call has its verdict already, or is unknown.
            ConfigurationError: its task is not declared on this application.
            ValueError: the call waits for other tasks of its workflow, or others wait for it under its id.
            TypeError, ValueError: an option is out of range, or both `eta` and `delay` are given.
        """
        return await self._cancellation.reschedule(what, eta, delay, expires, priority)

    # -- looking

    async def pending(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that are ready to run: queue by queue, and within each in the order in which they will run.

        The list has at most `limit` entries (None: all), of `queue` or of all queues. It is read page by page, so that
        the store is never blocked for long; a task that moves meanwhile may be missing.
        """
        return await self._inspection.pending(limit, queue)

    async def scheduled(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that are due later, including retries: queue by queue, and within each by due time."""
        return await self._inspection.scheduled(limit, queue)

    async def all_results(self, limit: int | None = LIST_LIMIT) -> list[ResultInfo]:
        """The stored verdicts, in no particular order."""
        return await self._inspection.all_results(limit)

    async def pending_count(self, *, queue: str | None = None) -> int:
        """How many tasks are ready to run."""
        return await self._inspection.pending_count(queue)

    async def scheduled_count(self, *, queue: str | None = None) -> int:
        """How many tasks are due later."""
        return await self._inspection.scheduled_count(queue)

    async def result_count(self) -> int:
        """How many verdicts are stored. This reads them all, page by page."""
        return await self._inspection.result_count()

    async def doctor(self) -> Diagnosis:
        """Prove that every task of the application is in exactly one place, or say which are not.

        The store is read in small steps while it is in use, and nothing is changed. A finding means a bug in the store,
        or data that somebody edited by hand. At most 1,000 findings are returned.
        """
        return await self._doctor.examine()

    async def flush(self) -> int:
        """Delete everything of the application: tasks, results, dead letters, revocations, values, locks and limits.

        Returns the number of deleted tasks and results. Waiting callers are not notified; awaiting a deleted task
        raises ``ResultNotFound``. Running tasks go on, and their results are not kept. Pauses and schedules stay.
        """
        return await flush(self._parts.clients)

    # -- groups of calls

    @property
    def queues(self) -> Queues:
        """The queues: ``depths``, ``running``, ``waiting``, ``workers``, ``pause``, ``resume``, ``purge``."""
        return self._queues

    @property
    def dead(self) -> DeadLetters:
        """The tasks that failed for good: ``list``, ``get``, ``retry`` and ``drop``."""
        return self._dead

    @functools.cached_property
    def schedules(self) -> Schedules:
        """The schedules of periodic tasks: ``list``, ``pause``, ``resume``, ``run``, ``add`` and ``remove``."""
        from .schedules import Schedules  # not every application repeats something

        parts = self._parts
        return Schedules(parts.clients, parts.codec, parts.registry, parts.outbox)

    # -- locks and limits

    def lock_task(self, name: str, ttl: float | timedelta | None = None, *, wait: float | timedelta = 0) -> TaskLock:
        """A lock: of all blocks and tasks under this name, in all processes, one runs at a time.

        Use it with ``async with``, with ``with`` in code that cannot await, or as a decorator above or below
        ``@huey.task``. A caller that does not get the lock within `wait` gets ``TaskLockedException``. The lock is
        renewed as long as it is held; if its holder dies, it lapses after `ttl` (default 60 seconds). Times are seconds
        or timedeltas.

        Raises:
            TypeError, ValueError: `name` is not a text of 1 to 200 characters, or a time is out of range.
        """
        return self._locks.lock(name, ttl, wait)

    def semaphore(
        self, name: str, value: int, ttl: float | timedelta | None = None, wait: float | timedelta = 0
    ) -> TaskLock:
        """Like ``lock_task``, with room for `value` holders at a time.

        Raises:
            TypeError, ValueError: `name`, `value` or a time is out of range.
        """
        return self._locks.lock(name, ttl, wait, value)

    def rate_limit(
        self, name: str, limit: int, per: float | timedelta, retry: bool = True, *, sliding: bool = False
    ) -> RateLimit:
        """A rate limit: of all blocks and tasks under this name, in all processes, at most `limit` start per period.

        Use it with ``async with``, with ``with`` in code that cannot await, or as a decorator above or below
        ``@huey.task``. A caller over the limit gets ``RateLimitExceeded``. A task over the limit runs again when the
        limit admits it, or after its own ``retry_delay``. With `retry` this costs nothing, else one of its retries.

        `per` is the length of the period, in seconds or as a timedelta. Periods begin at multiples of `per`, as in
        Huey, so up to twice `limit` may start around the border of two periods. With `sliding`, no period of length
        `per` admits more than `limit` calls.

        Raises:
            TypeError, ValueError: an argument has the wrong type or is out of range.
        """
        return self._rate_limits.limit(name, limit, per, retry=retry, sliding=sliding)

    async def is_locked(self, name: str) -> bool:
        """Whether the lock, or a permit of the semaphore, of this name is held."""
        return await self._locks.is_locked(name)

    async def flush_locks(self, *names: str, force: bool = False) -> set[str]:
        """Free the locks of these `names`, or all locks, that dead workers hold; return the names of the freed ones.

        Locks of live workers stay, and so do locks held outside of workers, which lapse by themselves. With `force` all
        are freed, no matter who holds them.
        """
        return await self._locks.flush(*names, force=force)

    # -- values

    async def put(self, key: str, value: Any, ttl: float | timedelta | None = None) -> None:
        """Store `value` under `key`, replacing any other, for `ttl` (seconds or a timedelta) or forever.

        A key is any text of 1 to 200 characters. A value is anything that can be an argument of a task.

        Raises:
            TypeError, ValueError: `key` or `ttl` is out of range.
            EncodeError: `value` cannot be encoded.
            QueueFull: the store has no room.
        """
        await self._values.put(key, value, ttl)

    async def put_if_empty(self, key: str, value: Any, ttl: float | timedelta | None = None) -> bool:
        """``put``, unless `key` has a value; False if it has one. Of several concurrent callers, one gets True."""
        return await self._values.put(key, value, ttl, only_if_empty=True)

    async def get(self, key: str, default: Any = None, *, pop: bool = False) -> Any:
        """The value of `key`, or `default`. With `pop` the value is removed, as in Huey."""
        return await self._values.get(key, default, pop=pop)

    async def delete(self, key: str) -> bool:
        """Remove the value of `key`; False if there was none."""
        return await self._values.delete(key)

    async def incr(self, key: str, amount: int = 1) -> int:
        """Add `amount` to the int under `key` (0 if there is none) and return the sum. A time to live stays.

        Raises:
            TypeError: `amount` is not an int, or the stored value or the sum does not fit in a signed 64-bit integer.
        """
        return await self._values.incr(key, amount)

    # -- handlers and receivers

    def on_startup(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that each worker process calls before its first task."""
        return Hooks.register(self._parts.hooks.startup, name)

    def on_shutdown(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that each worker process calls after its last task."""
        return Hooks.register(self._parts.hooks.shutdown, name)

    def pre_enqueue(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task before it is sent, in the process that sends it.

        If a handler raises ``CancelExecution``, the task is not sent, and the caller of ``enqueue`` gets the exception.
        """
        return Hooks.register(self._parts.hooks.pre_enqueue, name)

    def pre_execute(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task before it runs, and may raise ``CancelExecution``."""
        return Hooks.register(self._parts.hooks.pre_execute, name)

    def post_execute(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task after its run, with its value and its exception."""
        return Hooks.register(self._parts.hooks.post_execute, name)

    def unregister_on_startup(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``on_startup``, given itself or its name; False if there was none."""
        return Hooks.unregister(self._parts.hooks.startup, name_or_handler)

    def unregister_on_shutdown(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``on_shutdown``, given itself or its name; False if there was none."""
        return Hooks.unregister(self._parts.hooks.shutdown, name_or_handler)

    def unregister_pre_enqueue(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``pre_enqueue``, given itself or its name; False if there was none."""
        return Hooks.unregister(self._parts.hooks.pre_enqueue, name_or_handler)

    def unregister_pre_execute(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``pre_execute``, given itself or its name; False if there was none."""
        return Hooks.unregister(self._parts.hooks.pre_execute, name_or_handler)

    def unregister_post_execute(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``post_execute``, given itself or its name; False if there was none."""
        return Hooks.unregister(self._parts.hooks.post_execute, name_or_handler)

    def signal(self, *signals: SignalName) -> Callable[[H], H]:
        """Register a receiver, sync or async, of `signals`, or of all signals if none is named.

        It is called as ``receiver(signal, task, *arguments)``. The names of the signals are in ``aqueue.signals``.

        Raises:
            TypeError: a signal is not a str (the decorator was written without parentheses), or the receiver is not a
                function.
            ValueError: there is no such signal.
        """
        check_signals(signals)

        def decorate(receiver: H) -> H:
            self._parts.hooks.signals.connect(receiver, *signals)
            return receiver

        return decorate

    def disconnect_signal(self, receiver: Handler, *signals: SignalName) -> None:
        """Stop calling `receiver` for `signals`, or for any signal if none is named."""
        self._parts.hooks.signals.disconnect(receiver, *signals)

    # -- running

    def create_worker(self, **options: Unpack[WorkerKeywords]) -> Worker:
        """A worker to run in the current event loop, with ``await worker.run()``.

        Raises:
            TypeError, ValueError: an option is unknown or out of range; see ``WorkerOptions``.
            ConfigurationError: the application is in immediate mode, or gevent or eventlet has patched the threads of
                this process.
        """
        if self.immediate:
            raise ConfigurationError(
                f"{self.name} is in immediate mode and runs its tasks itself: a worker needs immediate=False"
            )
        from ..worker.options import WorkerOptions
        from ..worker.worker import Worker

        return Worker(self._parts, WorkerOptions(**options))

    @property
    def immediate(self) -> bool:
        """Whether tasks run at once and in this process; may be set at any time.

        Setting it closes all connections. True starts with an empty memory store, False returns to the store of the
        URL.
        """
        return self._immediate is not None

    @immediate.setter
    def immediate(self, immediate: bool) -> None:
        if not isinstance(immediate, bool):
            raise TypeError(f"immediate must be True or False, not {immediate!r}")
        if immediate is not self.immediate:
            from ..worker.immediate import Immediate

            self._switch(Immediate(self._parts, SystemClock()) if immediate else None)

    @property
    def raise_exceptions(self) -> bool:
        """Whether an enqueue in immediate mode raises what the task raised; may be set at any time."""
        return self._raise_exceptions

    @raise_exceptions.setter
    def raise_exceptions(self, raise_exceptions: bool) -> None:
        self._raise_exceptions = raise_exceptions
        if self._immediate is not None:
            self._immediate.raise_exceptions = raise_exceptions

    def _switch(self, immediate: Immediate | None) -> Immediate | None:
        """Let `immediate` run the tasks, or workers if it is None; returns the previous one."""
        clients, outbox = self._parts.clients, self._parts.outbox
        if immediate is None:
            clients.switch(self._take_storage, SystemClock())
            outbox.on_created = None
        else:
            clients.switch(lambda: immediate.storage, immediate.clock)
            outbox.on_created = immediate.run_ready
            immediate.raise_exceptions = self._raise_exceptions
        before, self._immediate = self._immediate, immediate
        return before

    # -- lifetime

    async def __aenter__(self) -> Self:
        (await self._parts.clients.open()).entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client = self._parts.clients.get(asyncio.get_running_loop())
        if client is not None:
            client.entered -= 1
            if client.entered <= 0:
                await self.close()

    async def close(self) -> None:
        """Close the connections of the running event loop. The next use opens them again.

        Those of a worker that runs in this event loop are closed when it ends.
        """
        await self._parts.clients.close()

    def _make_storage(self) -> Storage:
        return open_storage(self._url, self._name)

    def _take_storage(self) -> Storage:
        storage, self._first_storage = self._first_storage, None
        return storage or self._make_storage()


def _codec_of(serializer: Serializer, name: str) -> Codec:
    from ..core.serializers import codec_of  # most applications have no use for its imports

    return codec_of(serializer, name)


def _checked(task: Task[..., Any]) -> Task[..., Any]:
    if not isinstance(task, Task):
        raise TypeError(f"a task is needed, not {task!r}")
    return task
