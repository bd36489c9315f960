"""The handlers of an application that run around its tasks, by kind and by name.

Handlers may be sync or async. A second handler of the same name replaces the first, as in Huey. A handler that raises
is logged and passed over; only ``CancelExecution`` from a pre-execute handler has a meaning.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from .exceptions import CancelExecution

if TYPE_CHECKING:
    from collections.abc import Callable

    from .context import TaskRun

    Handler = Callable[..., Any]

H = TypeVar("H", bound="Callable[..., Any]")

logger = logging.getLogger("aqueue.hooks")


class Hooks:
    """The four kinds of handlers: startup, shutdown, pre-execute, post-execute. Each runs in order of registration."""

    def __init__(self) -> None:
        self.startup: dict[str, Handler] = {}
        self.shutdown: dict[str, Handler] = {}
        self.pre_execute: dict[str, Handler] = {}
        self.post_execute: dict[str, Handler] = {}

    @staticmethod
    def register(handlers: dict[str, Handler], name: str | None) -> Callable[[H], H]:
        """A decorator that adds a handler to `handlers` and returns it unchanged.

        Raises:
            TypeError: `name` is no str (the decorator was written without parentheses), or the handler no function.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a hook must be a str, not {name!r}: write the decorator with parentheses")

        def decorate(handler: H) -> H:
            if not callable(handler):
                raise TypeError(f"a hook must be a function, not {handler!r}")
            own_name = name or getattr(handler, "__name__", None)
            if own_name is None:
                raise TypeError(f"{handler!r} has no name of its own: give the decorator one")
            handlers[own_name] = handler
            return handler

        return decorate

    @staticmethod
    def unregister(handlers: dict[str, Handler], name_or_handler: str | Handler) -> bool:
        """Remove a handler by its name or by itself; False when there was none."""
        names = [name for name, handler in handlers.items() if name_or_handler in (name, handler)]
        for name in names:
            del handlers[name]
        return bool(names)

    async def run_startup(self) -> None:
        await self._run_all("on_startup", self.startup)

    async def run_shutdown(self) -> None:
        await self._run_all("on_shutdown", self.shutdown)

    async def run_pre_execute(self, run: TaskRun) -> None:
        """Call every pre-execute handler with `run`.

        Raises:
            CancelExecution: a handler said that the task must not run.
        """
        await self._run_all("pre_execute", self.pre_execute, run)

    async def run_post_execute(self, run: TaskRun) -> None:
        """Call every post-execute handler with the task, what it returned, and the exception it raised (or None)."""
        await self._run_all("post_execute", self.post_execute, run, run.value, run.exception)

    async def _run_all(self, kind: str, handlers: dict[str, Handler], *arguments: Any) -> None:
        for name, handler in list(handlers.items()):
            try:
                outcome = handler(*arguments)
                if inspect.isawaitable(outcome):
                    await outcome
            except CancelExecution:
                if kind == "pre_execute":
                    raise
                logger.exception("%s hook %r raised CancelExecution, which only a pre_execute hook may", kind, name)
            except (Exception, SystemExit):
                # A hook does not end its worker either.
                logger.exception("%s hook %r failed", kind, name)
