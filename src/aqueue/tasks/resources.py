"""The resources of tasks that are declared with ``context_task``.

A resource is an async or sync context manager, or a factory: a callable that returns one, such as ``pool.acquire``. It
is entered anew for each run of the task.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Resource:
    """The resource of a task, entered around each run. With `as_argument` the task gets the value of entering it."""

    def __init__(self, source: Any, as_argument: bool) -> None:
        # These managers can be entered once, so the second run of the task would fail.
        if isinstance(source, (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)):
            raise ConfigurationError(
                f"{source!r} can be entered only once: pass the function that makes it, without calling it"
            )
        # The protocol is looked up on the type: a class that defines a context manager is a factory.
        if not (is_async_manager(source) or is_sync_manager(source) or callable(source)):
            raise ConfigurationError(
                f"{source!r} is not a context manager: accepted are an async or sync one, or a callable that makes one"
            )
        self.source = source
        self.as_argument = as_argument

    def make(self) -> Any:
        """The manager for one run."""
        if is_async_manager(self.source) or is_sync_manager(self.source):
            return self.source
        made = self.source()
        if not (is_async_manager(made) or is_sync_manager(made)):
            raise ConfigurationError(f"{self.source!r} returned {made!r}, which is not a context manager")
        return made

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a plain `function` inside the resource. Both run in this thread, for resources bound to a thread."""
        manager = self.make()
        if not is_sync_manager(manager):
            raise ConfigurationError(
                f"{manager!r} is an async context manager: it cannot be entered without an event loop"
            )
        return self.call_inside(manager, function, args, kwargs)

    def call_inside(
        self, manager: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a plain `function` inside a sync `manager` that ``make`` returned."""
        with manager as value:
            return function(*self._given(value, args), **kwargs)

    async def await_call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Await a coroutine `function` inside the resource. If it has both protocols, the async one is used."""
        return await self.await_inside(self.make(), function, args, kwargs)

    async def await_inside(
        self, manager: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Await a coroutine `function` inside a `manager` that ``make`` returned."""
        if is_async_manager(manager):
            async with manager as value:
                return await function(*self._given(value, args), **kwargs)
        with manager as value:
            return await function(*self._given(value, args), **kwargs)

    def _given(self, value: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (value, *args) if self.as_argument else args


def is_async_manager(value: Any) -> bool:
    return hasattr(type(value), "__aenter__") and hasattr(type(value), "__aexit__")


def is_sync_manager(value: Any) -> bool:
    return hasattr(type(value), "__enter__") and hasattr(type(value), "__exit__")
