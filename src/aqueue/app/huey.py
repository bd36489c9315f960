"""The application object: the table of contents of aqueue.

``Huey`` is a face over parts. Its ``__init__`` is the one place that puts them together; every other method is a line
over a part, and has the docstring that users read.
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
    or ``memory://``; without it the environment's ``AQUEUE_URL``, else the file ``<name>.db`` in the current directory.
    `results` and `result_ttl` (seconds or a timedelta) are the defaults of the tasks. What has failed can be run again
    for `dead_letter_ttl`; 0 keeps no dead letters. `serializer` says how arguments and results travel; without it, as
    JSON. `immediate` makes tasks run at once and in this process, for tests and for development; there, with
    `raise_exceptions`, an enqueue raises what the task raised.

    Nothing connects before the first use. ``async with huey:`` closes the connections of the running event loop at the
    end; without it they end with the loop.
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
        self._doctor = Doctor(clients)
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
        """The tasks that are declared here, by name: a view, which grows with them."""
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
            name: what it is called in messages; default is its module and name. Unique in the application.
            retries: how often a failed run is repeated. Default 0.
            retry_delay: the wait before the first retry.
            retry_backoff: each further wait is this many times the one before; 0 keeps it.
            retry_jitter: the share of each wait that is drawn at random, 0 to 1.
            retry_max_delay: the longest wait. Default one day.
            retry_on: the exception class or classes that are worth a retry. Default every ``Exception``.
            timeout: how long one run may take; a coroutine is cancelled, a thread abandoned, a child process killed.
                Default no limit.
            expires: how long after it is due, or until which datetime, it may still start.
            queue: where it waits. Default ``"default"``.
            priority: -100 to 100, higher first. Default 0.
            results: whether to keep what it returns.
            result_ttl: how long to keep it.
            context: whether to pass the current ``TaskRun`` as the argument ``task``.
            pool: where a plain function runs, ``"thread"`` or ``"process"``. Default a thread.
            settings: a dict of your own, which hooks and receivers find as ``task.settings``.

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

        `resource` is an async context manager, a sync one, or a callable that returns either. With `as_argument` what
        entering it gave is the first argument of the function. `name` and `options` are those of ``task``.

        Raises:
            ConfigurationError: `resource` is none of these, or can be entered only once.
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
        """Send a call, made with ``task.s(...)``, or a workflow: what its own ``enqueue`` does."""
        return await item.enqueue()

    async def enqueue_many(self, calls: Iterable[Call[R]]) -> ResultGroup[R]:
        """Send many calls in as few round trips as the store allows, whatever their number.

        Raises like ``Task.enqueue``; when a call cannot be encoded nothing was enqueued.
        """
        return await self._parts.outbox.send_many(calls)

    def result(self, task_id: str) -> Result[Any]:
        """A handle on the task of this id, whoever enqueued it.

        Raises:
            TypeError, ValueError: `task_id` can be no id.
        """
        return Result(check_task_id(task_id), self._parts.outbox.source, created=False)

    @property
    def sync(self) -> SyncHuey:
        """The same calls for code that cannot await: ``huey.sync.enqueue(add.s(1, 2)).get(timeout=5)``."""
        return self._sync

    # -- stopping tasks

    async def revoke(self, what: Revocable, revoke_until: datetime | None = None, revoke_once: bool = False) -> None:
        """Keep `what` from running, before the datetime `revoke_until` (naive means local time) or until ``restore``.

        `what` is a task, which stands for all calls of it, a result, a run, or the id of one call. A call that is
        revoked gets the verdict ``cancelled`` when a worker is about to run it; no hook is called. What runs already is
        not disturbed; see ``cancel``. With `revoke_once` one call is stopped and the next one runs. A later revocation
        takes the place of an earlier one. One of an id that was never enqueued lasts for 30 days.

        Raises:
            TypeError, ValueError: `what` can be no task, or `revoke_until` is no datetime.
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
        """Take a revocation back; True when there was one in force."""
        return await self._cancellation.restore(what)

    async def restore_by_id(self, task_id: str) -> bool:
        """``restore`` for the id of one call."""
        return await self._cancellation.restore(check_task_id(task_id))

    async def restore_all(self, task: Task[..., Any]) -> bool:
        """``restore`` for all calls of `task`."""
        return await self._cancellation.restore(_checked(task))

    async def is_revoked(self, what: Revocable) -> bool:
        """Whether `what` would not run now. By its id alone a call does not tell that all of its task are revoked."""
        return await self._cancellation.is_revoked(what)

    async def cancel(self, what: Cancellable) -> bool:
        """End one call, wherever it is; False when it has its verdict already, or is unknown.

        One that waits gets the verdict ``cancelled`` at once. One that runs is told: its coroutine is cancelled, its
        thread is abandoned, and then it gets that verdict, unless it returns something in spite of it. In a workflow it
        is for those after it as if it had cancelled itself; those before it go on.

        Raises:
            TypeError, ValueError: `what` can be no call.
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
        """Cancel one call and enqueue it anew, under a new id, in one step: due at `eta`, after `delay`, or now.

        The arguments and the options of the call stay. `expires` is that of its task, unless it is given.

        Raises:
            ResultNotFound: it has its verdict already, or is unknown: nothing is left to be run again.
            ConfigurationError: its task is not declared on this application.
            ValueError: in its workflow others wait for it, under its id, or it waits for others itself.
            TypeError, ValueError: an option is out of range, or both `eta` and `delay` are given.
        """
        return await self._cancellation.reschedule(what, eta, delay, expires, priority)

    # -- looking

    async def pending(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks in line: queue by queue, and within each in the order of their turns.

        Lists hold at most `limit` entries (None: all), of `queue` or of all queues. They are read page by page, so that
        no step keeps the store from its work, and what moves meanwhile may be missing.
        """
        return await self._inspection.pending(limit, queue)

    async def scheduled(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that are due later, retries among them: in each queue the first that is due first."""
        return await self._inspection.scheduled(limit, queue)

    async def all_results(self, limit: int | None = LIST_LIMIT) -> list[ResultInfo]:
        """The verdicts that are kept, in no order."""
        return await self._inspection.all_results(limit)

    async def pending_count(self, *, queue: str | None = None) -> int:
        """How many tasks are in line."""
        return await self._inspection.pending_count(queue)

    async def scheduled_count(self, *, queue: str | None = None) -> int:
        """How many tasks are due later."""
        return await self._inspection.scheduled_count(queue)

    async def result_count(self) -> int:
        """How many verdicts are kept. They are counted one by one, page by page."""
        return await self._inspection.result_count()

    async def doctor(self) -> Diagnosis:
        """Prove that every task of the application is in exactly one place, or say which are not.

        The store is read in small steps while it is in use, and nothing is changed. A finding means a bug in the store,
        or data that somebody edited by hand. At most 1,000 findings are returned.
        """
        return await self._doctor.examine()

    async def flush(self) -> int:
        """Forget everything of the application: tasks, results, dead letters, revocations, values, locks and limits.

        Returns how many tasks and results that were. Nobody is told: awaiting one of them raises ``ResultNotFound``.
        What runs goes on, and its result is not kept. Pauses and schedules stay.
        """
        return await flush(self._parts.clients)

    # -- groups of calls

    @property
    def queues(self) -> Queues:
        """The queues: ``depths``, ``running``, ``waiting``, ``workers``, ``pause``, ``resume``, ``purge``."""
        return self._queues

    @property
    def dead(self) -> DeadLetters:
        """What failed for good: ``list``, ``get``, ``retry`` and ``drop``."""
        return self._dead

    @functools.cached_property
    def schedules(self) -> Schedules:
        """The schedules of periodic tasks: ``list``, ``pause``, ``resume``, ``run``, ``add`` and ``remove``."""
        from .schedules import Schedules  # not every application repeats something

        parts = self._parts
        return Schedules(parts.clients, parts.codec, parts.registry, parts.outbox)

    # -- locks and limits

    def lock_task(self, name: str, ttl: float | timedelta | None = None, *, wait: float | timedelta = 0) -> TaskLock:
        """A lock: of all blocks and tasks under it, in whatever process, one runs at a time.

        Use it as ``async with``, as ``with`` where nothing can be awaited, or as a decorator above or below
        ``@huey.task``. A caller that does not get it within `wait` gets ``TaskLockedException``. It is renewed as long
        as it is held, and lapses `ttl` after its holder has died, 60 seconds unless told otherwise. Times are seconds
        or timedeltas.

        Raises:
            TypeError, ValueError: `name` is no text of 1 to 200 characters, or a time is out of range.
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
        """A limit: of all blocks and tasks under it, in whatever process, `limit` begin within `per`.

        Use it as ``async with``, as ``with`` where nothing can be awaited, or as a decorator above or below
        ``@huey.task``. A caller over the limit gets ``RateLimitExceeded``. A task over the limit runs again when the
        limit admits it, or after its own ``retry_delay``: at no cost with `retry`, else for one of its retries.

        `per` is seconds or a timedelta. Windows begin at its multiples, as in Huey, so that twice the limit may begin
        around the end of one. With `sliding`, no period of length `per` admits more than `limit` calls.

        Raises:
            TypeError, ValueError: an argument is of a wrong kind or out of range.
        """
        return self._rate_limits.limit(name, limit, per, retry=retry, sliding=sliding)

    async def is_locked(self, name: str) -> bool:
        """Whether the lock, or a permit of the semaphore, of this name is held."""
        return await self._locks.is_locked(name)

    async def flush_locks(self, *names: str, force: bool = False) -> set[str]:
        """Free what is held by workers that are not alive, of locks of these `names`, or of any; return their names.

        What a live worker holds stays, and so does what is held outside of a worker: that lapses by itself. With
        `force` everything is freed, whoever holds it.
        """
        return await self._locks.flush(*names, force=force)

    # -- values

    async def put(self, key: str, value: Any, ttl: float | timedelta | None = None) -> None:
        """Keep `value` under `key`, in place of any other; `ttl` (seconds or a timedelta) says for how long.

        A key is any text of 1 to 200 characters, a value what can be an argument of a task.

        Raises:
            TypeError, ValueError: `key` or `ttl` is out of range.
            EncodeError: `value` cannot travel.
            QueueFull: the store has no room.
        """
        await self._values.put(key, value, ttl)

    async def put_if_empty(self, key: str, value: Any, ttl: float | timedelta | None = None) -> bool:
        """Like ``put`` where there is no value yet; False where there is one. Of many who try, one gets True."""
        return await self._values.put(key, value, ttl, only_if_empty=True)

    async def get(self, key: str, default: Any = None, *, pop: bool = False) -> Any:
        """The value of `key`, or `default`; with `pop` it is taken away, as in Huey."""
        return await self._values.get(key, default, pop=pop)

    async def delete(self, key: str) -> bool:
        """Empty `key`; False when it was."""
        return await self._values.delete(key)

    async def incr(self, key: str, amount: int = 1) -> int:
        """Add `amount` to the int of `key`, 0 where there is none, and return the sum. A time to live stays.

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

        ``CancelExecution`` keeps the task from being sent, and the caller who enqueues it gets the exception.
        """
        return Hooks.register(self._parts.hooks.pre_enqueue, name)

    def pre_execute(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task before it runs. ``CancelExecution`` cancels it."""
        return Hooks.register(self._parts.hooks.pre_execute, name)

    def post_execute(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task after it ran, its value and its exception."""
        return Hooks.register(self._parts.hooks.post_execute, name)

    def unregister_on_startup(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``on_startup``, by its name or by itself; False when there was none."""
        return Hooks.unregister(self._parts.hooks.startup, name_or_handler)

    def unregister_on_shutdown(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``on_shutdown``, by its name or by itself; False when there was none."""
        return Hooks.unregister(self._parts.hooks.shutdown, name_or_handler)

    def unregister_pre_enqueue(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``pre_enqueue``, by its name or by itself; False when there was none."""
        return Hooks.unregister(self._parts.hooks.pre_enqueue, name_or_handler)

    def unregister_pre_execute(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``pre_execute``, by its name or by itself; False when there was none."""
        return Hooks.unregister(self._parts.hooks.pre_execute, name_or_handler)

    def unregister_post_execute(self, name_or_handler: str | Handler) -> bool:
        """Remove a handler of ``post_execute``, by its name or by itself; False when there was none."""
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
            ConfigurationError: the application is in immediate mode, or gevent or eventlet has replaced the threads of
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

        Setting it closes all connections. True begins with an empty memory store, False goes back to the store of the
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
        """Let `immediate` run the tasks, or workers where it is None; returns what was in force."""
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
        """Close the connections of the running event loop. The next use opens them again."""
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
