"""What ``context_task`` accepts, brought to one form.

An async context manager, a sync one, or a callable that returns either (a factory: ``pool.acquire``) is entered anew
for each run of the task.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Resource:
    """One resource of a task, entered around each run of it; with `as_argument` the task gets what entering gave."""

    def __init__(self, source: Any, as_argument: bool) -> None:
        # One-shot managers have been called already: the second run of the task would find them used up.
        if isinstance(source, (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)):
            raise ConfigurationError(
                f"{source!r} can be entered only once: pass the function that makes it, without calling it"
            )
        # Looked up on the type: a class that defines a context manager is a factory of them.
        if not (is_async_manager(source) or is_sync_manager(source) or callable(source)):
            raise ConfigurationError(
                f"{source!r} is no context manager: accepted are an async or sync one, or a callable that makes one"
            )
        self.source = source
        self.as_argument = as_argument

    def make(self) -> Any:
        """The manager for one run."""
        if is_async_manager(self.source) or is_sync_manager(self.source):
            return self.source
        made = self.source()
        if not (is_async_manager(made) or is_sync_manager(made)):
            raise ConfigurationError(f"{self.source!r} returned {made!r}, which is no context manager")
        return made

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a plain `function` inside the resource, in this thread, where thread-bound state belongs."""
        manager = self.make()
        if not is_sync_manager(manager):
            raise ConfigurationError(
                f"{manager!r} is an async context manager: it cannot be entered without an event loop"
            )
        return self.call_inside(manager, function, args, kwargs)

    def call_inside(
        self, manager: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a plain `function` inside a sync `manager` that ``make`` gave."""
        with manager as value:
            return function(*self._given(value, args), **kwargs)

    async def await_call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Await a coroutine `function` inside the resource; an async protocol is preferred where there are both."""
        return await self.await_inside(self.make(), function, args, kwargs)

    async def await_inside(
        self, manager: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Await a coroutine `function` inside a `manager` that ``make`` gave."""
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
