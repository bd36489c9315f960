"""What may stand around a block of code or around a task: locks and rate limits are made of this."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from ..tasks.signatures import check_function
from ..tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ..client.permits import Permits
    from ..client.sync import SyncHuey
    from ..storage.protocol import Storage

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")


class Line(Protocol):
    """An event loop's line to the store, as far as guards use it."""

    @property
    def storage(self) -> Storage: ...
    @property
    def permits(self) -> Permits: ...


class Application(Protocol):
    """What guards need of the application that made them."""

    async def client(self) -> Line: ...
    @property
    def sync(self) -> SyncHuey: ...


class Guard(Generic[T]):
    """To be used as ``async with``; as ``with``, where nothing can be awaited; and as a decorator.

    It decorates coroutine functions, plain ones, and tasks: it may stand above ``@huey.task`` or below. One guard may
    be entered many times at once.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._entered: dict[object, list[T]] = {}

    async def _enter(self) -> T:
        raise NotImplementedError

    async def _leave(self, entered: T) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> T:
        return self._push(await self._enter())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(self._pop())

    def __enter__(self) -> T:
        return self._push(self._application.sync.run(self._enter()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._application.sync.run(self._leave(self._pop()))

    def __call__(self, function: F) -> F:
        """Guard each call of `function`, which may be a task.

        Raises:
            TypeError: it is no function, or a generator.
        """
        if isinstance(function, Task):
            function.func = self(function.func)
            return function
        check_function(function)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                entered = await self._enter()
                try:
                    return await function(*args, **kwargs)
                finally:
                    await self._leave(entered)

            return cast("F", guarded)

        @functools.wraps(function)
        def guarded_in_thread(*args: Any, **kwargs: Any) -> Any:
            run = self._application.sync.run
            entered = run(self._enter())
            try:
                return function(*args, **kwargs)
            finally:
                run(self._leave(entered))

        return cast("F", guarded_in_thread)

    def _push(self, entered: T) -> T:
        self._entered.setdefault(_caller(), []).append(entered)
        return entered

    def _pop(self) -> T:
        """What the caller entered last; if it entered in another task than it leaves in, what anybody entered last."""
        caller = _caller()
        if caller not in self._entered:
            caller = next(reversed(self._entered))
        entered = self._entered[caller]
        last = entered.pop()
        if not entered:
            del self._entered[caller]
        return last


def _caller() -> object:
    """The running asyncio task, or the thread where there is none."""
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:
        return threading.get_ident()
