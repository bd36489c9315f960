"""The application object: where tasks are declared, enqueued and looked up. Everything else is reached from here."""

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
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from ..client.loops import Clients
from ..client.results import Result
from ..coordination.locks import Locks
from ..coordination.rate_limits import Limits
from ..coordination.values import Values
from ..core import codec
from ..core.clock import SystemClock, span_ms
from ..core.ids import check_name, check_task_id
from ..exceptions import ConfigurationError
from ..storage import open_storage
from ..tasks.hooks import HookDecorators, Hooks
from ..tasks.options import TaskKeywords, TaskOptions, check_known
from ..tasks.registry import Registry
from ..tasks.resources import Resource
from ..tasks.signatures import check_function, check_pool, task_name
from ..tasks.task import AsyncTask, SyncTask, Task
from .cancellation import Control
from .dead_letters import DeadLetters
from .doctor import Diagnostics
from .inspection import Inspection
from .outbox import Enqueueing
from .queues import Upkeep
from .repeating import PeriodicTasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from datetime import timedelta
    from types import TracebackType

    from ..client.client import Client
    from ..client.sync import SyncHuey
    from ..core.clock import Clock
    from ..core.codec import Codec
    from ..core.serializers import Serializer
    from ..storage.protocol import Record, Storage
    from ..tasks.task import TaskDecorator
    from ..worker.immediate import Immediate
    from ..worker.options import WorkerKeywords
    from ..worker.worker import Worker


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


class Huey(
    HookDecorators,
    Enqueueing,
    PeriodicTasks,
    Control,
    Inspection,
    DeadLetters,
    Diagnostics,
    Upkeep,
    Locks,
    Limits,
    Values,
):
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
        self.name = check_name(name, "the name of the application")
        self.url = url or os.environ.get(URL_VARIABLE, "").strip() or f"sqlite:///{name}.db"
        self.results = results
        self.result_ttl_ms = span_ms(result_ttl, "result_ttl")
        self.dead_ttl_ms = span_ms(dead_letter_ttl, "dead_letter_ttl")
        self.codec: Codec = codec if serializer is None else _codec_of(serializer, self.name)
        self.registry = Registry()
        self.hooks = Hooks()
        self.raise_exceptions = raise_exceptions
        self._clock: Clock = SystemClock()
        self._immediate: Immediate | None = None
        self._clients = Clients(self._take_storage)
        # Made now so that a bad URL is an error here; each event loop gets one of its own.
        self._first_storage: Storage | None = self._make_storage()
        self.immediate = immediate

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

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
        given.setdefault("results", self.results)
        return TaskOptions(**given)

    def _declare(
        self, function: Callable[..., Any], name: str | None, declared: TaskOptions, resource: Resource | None = None
    ) -> Task[..., Any]:
        check_function(function)
        check_pool(function, declared.pool)
        task: Task[..., Any] = Task(self, function, task_name(function, name), declared, resource)
        self.registry.add(task)
        return task

    # -- results

    def result(self, task_id: str) -> Result[Any]:
        """A handle on the task of this id, whoever enqueued it.

        Raises:
            TypeError, ValueError: `task_id` can be no id.
        """
        return Result(check_task_id(task_id), self, created=False)

    async def look(self, task_id: str) -> Record | None:
        return await (await self.client()).look(task_id)

    async def wait_all(self, task_ids: list[str], timeout: float | None, foreign: bool) -> list[Record]:
        return await (await self.client()).wait_all(task_ids, timeout, foreign)

    async def follow(self, task_id: str, foreign: bool) -> AsyncIterator[bytes]:
        client = await self.client()
        async for progress in client.follow(task_id, foreign):
            yield progress

    @property
    def sync(self) -> SyncHuey:
        """The same calls for code that cannot await: ``huey.sync.enqueue(add.s(1, 2)).get(timeout=5)``."""
        return self._sync

    @functools.cached_property
    def _sync(self) -> SyncHuey:
        from ..client.sync import SyncHuey

        return SyncHuey(self)

    # -- immediate mode

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

            self.switch(Immediate(self, SystemClock()) if immediate else None)

    def switch(self, immediate: Immediate | None) -> Immediate | None:
        """Let `immediate` run the tasks, or workers where it is None; returns what was in force."""
        self._clients.close_all()
        self._clients = Clients(self._take_storage if immediate is None else lambda: immediate.storage)
        self._clock = SystemClock() if immediate is None else immediate.clock
        before, self._immediate = self._immediate, immediate
        return before

    # -- lifetime

    async def __aenter__(self) -> Self:
        (await self.client()).entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client = self._clients.get(asyncio.get_running_loop())
        if client is not None:
            client.entered -= 1
            if client.entered <= 0:
                await self.close()

    async def close(self) -> None:
        """Close the connections of the running event loop. The next use opens them again."""
        await self._clients.close()

    async def client(self) -> Client:
        """The line of the running event loop to the store, opened on first use.

        Raises:
            QueueUnavailable: the store cannot be reached.
            ConfigurationError: it can be, but cannot serve as a queue.
        """
        return await self._clients.open()

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

        return Worker(self, WorkerOptions(**options))

    def _make_storage(self) -> Storage:
        return open_storage(self.url, self.name)

    def _take_storage(self) -> Storage:
        storage, self._first_storage = self._first_storage, None
        return storage or self._make_storage()


def _codec_of(serializer: Serializer, name: str) -> Codec:
    from ..core.serializers import codec_of  # most applications have no use for its imports

    return codec_of(serializer, name)


def _quoted(part: str, safe: str = "") -> str:
    """`part` as it stands in a URL."""
    from urllib.parse import quote  # takes 2 ms to import, and few applications are named by parts

    return quote(part, safe)


class HueyKeywords(TypedDict, total=False):
    """The options of every application, whatever its store; ``Huey`` describes them."""

    results: bool
    result_ttl: float | timedelta
    dead_letter_ttl: float | timedelta
    serializer: Serializer | None
    immediate: bool
    raise_exceptions: bool


class RedisHuey(Huey):
    """An application on a Redis or Valkey server, at `url` or at `host`, `port`, `db`, `password`."""

    def __init__(
        self,
        name: str = "huey",
        url: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        username: str | None = None,
        password: str | None = None,
        **options: Unpack[HueyKeywords],
    ) -> None:

        parts = (host, port, db, username, password)
        if url is not None and any(part is not None for part in parts):
            raise ConfigurationError("give url=, or host=, port=, db=, username= and password=, not both")
        if url is None and any(part is not None for part in parts):
            login = f"{_quoted(username or '')}:{_quoted(password)}@" if password else ""
            url = f"redis://{login}{host or 'localhost'}:{port or 6379}/{db or 0}"
        environment = os.environ.get(URL_VARIABLE, "").strip()
        super().__init__(name, url or environment or "redis://localhost:6379/0", **options)


class SqliteHuey(Huey):
    """An application on a file of this machine; several processes may share it."""

    def __init__(
        self, name: str = "huey", filename: str | os.PathLike[str] | None = None, **options: Unpack[HueyKeywords]
    ) -> None:
        path = f"{name}.db" if filename is None else _quoted(os.fspath(filename), "/")
        super().__init__(name, f"sqlite:///{path}", **options)


class MemoryHuey(Huey):
    """An application inside this process: for tests, and for work that need not survive it."""

    def __init__(self, name: str = "huey", **options: Unpack[HueyKeywords]) -> None:
        super().__init__(name, "memory://", **options)

    def _take_storage(self) -> Storage:
        # One store for every event loop, since it is the process that holds the tasks.
        if self._first_storage is None:
            self._first_storage = self._make_storage()
        return self._first_storage
