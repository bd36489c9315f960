"""The hooks of an application: handlers that run around its tasks, and the receivers of its signals.

Handlers may be sync or async. A second handler with the same name replaces the first, as in Huey. An exception from a
handler is logged and otherwise ignored, except ``CancelExecution`` from a pre-enqueue or a pre-execute handler.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import CancelExecution
from ..signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from .context import TaskRun, TaskView

    Handler = Callable[..., Any]

H = TypeVar("H", bound="Callable[..., Any]")

logger = logging.getLogger("aqueue.hooks")


# Handlers of these kinds may raise CancelExecution.
_CANCELLING = frozenset({"pre_enqueue", "pre_execute"})


class Hooks:
    """The five kinds of handlers and the receivers of signals. Each kind runs in order of registration."""

    def __init__(self) -> None:
        self.startup: dict[str, Handler] = {}
        self.shutdown: dict[str, Handler] = {}
        self.pre_enqueue: dict[str, Handler] = {}
        self.pre_execute: dict[str, Handler] = {}
        self.post_execute: dict[str, Handler] = {}
        self.signals = Signals()

    @staticmethod
    def register(handlers: dict[str, Handler], name: str | None) -> Callable[[H], H]:
        """A decorator that adds a handler to `handlers` and returns it unchanged.

        Raises:
            TypeError: `name` is not a str (the decorator was written without parentheses), or the handler is not a
                function.
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
        """Remove a handler, given its name or the handler itself. Returns False if it is not registered."""
        names = [name for name, handler in handlers.items() if name_or_handler in (name, handler)]
        for name in names:
            del handlers[name]
        return bool(names)

    async def run_startup(self) -> None:
        await self._run_all("on_startup", self.startup)

    async def run_shutdown(self) -> None:
        await self._run_all("on_shutdown", self.shutdown)

    async def run_pre_enqueue(self, task: TaskView) -> None:
        """Call every pre-enqueue handler with `task`.

        Raises:
            CancelExecution: a handler refused to send the task.
        """
        await self._run_all("pre_enqueue", self.pre_enqueue, task)

    async def run_pre_execute(self, run: TaskRun) -> None:
        """Call every pre-execute handler with `run`.

        Raises:
            CancelExecution: a handler refused to run the task.
        """
        await self._run_all("pre_execute", self.pre_execute, run)

    async def run_post_execute(self, run: TaskRun) -> None:
        """Call every post-execute handler with the task, its return value, and the exception it raised (or None)."""
        await self._run_all("post_execute", self.post_execute, run, run.value, run.exception)

    async def _run_all(self, kind: str, handlers: dict[str, Handler], *arguments: Any) -> None:
        for name, handler in list(handlers.items()):
            try:
                outcome = handler(*arguments)
                if inspect.isawaitable(outcome):
                    await outcome
            except CancelExecution:
                if kind in _CANCELLING:
                    raise
                logger.exception("%s hook %r raised CancelExecution, which only a pre_ hook may", kind, name)
            except (Exception, SystemExit):
                # SystemExit in a hook must not end the worker.
                logger.exception("%s hook %r failed", kind, name)
