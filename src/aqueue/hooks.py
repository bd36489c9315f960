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
        """A decorator that adds a handler to `handlers` and returns it unchanged."""

        def decorate(handler: H) -> H:
            if not callable(handler):
                raise TypeError(f"a hook must be a function, not {handler!r}: write the decorator with parentheses")
            handlers[name or handler.__name__] = handler
            return handler

        return decorate

    @staticmethod
    def unregister(handlers: dict[str, Handler], name_or_handler: str | Handler) -> bool:
        """Remove a handler by its name or by itself; False when there was none."""
        name = name_or_handler if isinstance(name_or_handler, str) else name_or_handler.__name__
        return handlers.pop(name, None) is not None

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
            except Exception:
                logger.exception("%s hook %r failed", kind, name)
