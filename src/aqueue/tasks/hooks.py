"""The hooks of an application: handlers that run around its tasks, and the receivers of its signals.

Handlers may be sync or async. A second handler with the same name replaces the first, as in Huey. An exception from a
handler is logged and otherwise ignored, except ``CancelExecution`` from a pre-enqueue or a pre-execute handler.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import CancelExecution
from ..signals import Signals, check_signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..signals import SignalName
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


class HookDecorators:
    """The methods of an application that register its handlers and receivers."""

    hooks: Hooks

    def on_startup(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that each worker process calls before its first task."""
        return self.hooks.register(self.hooks.startup, name)

    def on_shutdown(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that each worker process calls after its last task."""
        return self.hooks.register(self.hooks.shutdown, name)

    def pre_enqueue(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task before it is sent, in the process that sends it.

        ``CancelExecution`` keeps the task from being sent, and the caller who enqueues it gets the exception.
        """
        return self.hooks.register(self.hooks.pre_enqueue, name)

    def pre_execute(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task before it runs. ``CancelExecution`` cancels it."""
        return self.hooks.register(self.hooks.pre_execute, name)

    def post_execute(self, name: str | None = None) -> Callable[[H], H]:
        """Register a handler, sync or async, that gets each task after it ran, its value and its exception."""
        return self.hooks.register(self.hooks.post_execute, name)

    def unregister_on_startup(self, name_or_handler: str | Handler) -> bool:
        return self.hooks.unregister(self.hooks.startup, name_or_handler)

    def unregister_on_shutdown(self, name_or_handler: str | Handler) -> bool:
        return self.hooks.unregister(self.hooks.shutdown, name_or_handler)

    def unregister_pre_enqueue(self, name_or_handler: str | Handler) -> bool:
        return self.hooks.unregister(self.hooks.pre_enqueue, name_or_handler)

    def unregister_pre_execute(self, name_or_handler: str | Handler) -> bool:
        return self.hooks.unregister(self.hooks.pre_execute, name_or_handler)

    def unregister_post_execute(self, name_or_handler: str | Handler) -> bool:
        return self.hooks.unregister(self.hooks.post_execute, name_or_handler)

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
            self.hooks.signals.connect(receiver, *signals)
            return receiver

        return decorate

    def disconnect_signal(self, receiver: Handler, *signals: SignalName) -> None:
        """Stop calling `receiver` for `signals`, or for any signal if none is named."""
        self.hooks.signals.disconnect(receiver, *signals)
