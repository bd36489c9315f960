"""What may stand around a block of code or around a task: locks and rate limits are made of this."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ..tasks.signatures import check_function
from ..tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ..client.loops import ClientPerLoop
    from ..client.portal import Portal

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")


class Guard(ABC, Generic[T]):
    """To be used as ``async with``; as ``with``, where nothing can be awaited; and as a decorator.

    It decorates coroutine functions, plain ones, and tasks: it may stand above ``@huey.task`` or below. One guard may
    be entered many times at once.
    """

    def __init__(self, clients: ClientPerLoop, portal: Portal) -> None:
        self._clients = clients
        self._portal = portal
        self._entered: dict[object, list[T]] = {}

    @abstractmethod
    async def _enter(self) -> T:
        """Begin what is guarded; what this returns is given to ``_leave``."""

    @abstractmethod
    async def _leave(self, entered: T) -> None:
        """End what ``_enter`` began."""

    async def __aenter__(self) -> T:
        return self._push(await self._enter())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(self._pop())

    def __enter__(self) -> T:
        return self._push(self._portal.call(self._enter()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._leave(self._pop()))

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
            run = self._portal.call
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
