"""The base class of locks and rate limits, which guard a block of code or a task."""

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
    """Used with ``async with``, with ``with`` in code that cannot await, or as a decorator.

    It decorates coroutine functions, plain functions, and tasks, above or below ``@huey.task``. One guard may be
    entered many times at once.
    """

    def __init__(self, clients: ClientPerLoop, portal: Portal) -> None:
        self._clients = clients
        self._portal = portal
        self._entered: dict[object, list[T]] = {}

    @abstractmethod
    async def _enter(self) -> T:
        """Enter the guard; ``_leave`` gets the returned value."""

    @abstractmethod
    async def _leave(self, entered: T) -> None:
        """Leave the guard; `entered` is what ``_enter`` returned."""

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
            TypeError: `function` is not a function, or is a generator function.
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
        """The value of the caller's last entry; if it entered in another task or thread, that of the last entry."""
        caller = _caller()
        if caller not in self._entered:
            caller = next(reversed(self._entered))
        entered = self._entered[caller]
        last = entered.pop()
        if not entered:
            del self._entered[caller]
        return last


def _caller() -> object:
    """The running asyncio task, or the thread if there is none."""
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:
        return threading.get_ident()
