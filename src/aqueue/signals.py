"""Signals: what becomes of tasks, told to whoever asked. Their names are Huey's.

A receiver is a function, sync or async, that is called as ``receiver(signal, task, *arguments)``. ``SIGNAL_ERROR``
alone has an argument: the exception. What a receiver does wrong is logged and disturbs nobody.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

Receiver: TypeAlias = "Callable[..., Any]"

SignalName = Literal[
    "canceled",
    "complete",
    "enqueued",
    "error",
    "executing",
    "expired",
    "interrupted",
    "locked",
    "rate-limited",
    "retrying",
    "revoked",
    "scheduled",
    "timeout",
]

SIGNAL_CANCELED: Final = "canceled"
SIGNAL_COMPLETE: Final = "complete"
SIGNAL_ENQUEUED: Final = "enqueued"
SIGNAL_ERROR: Final = "error"
SIGNAL_EXECUTING: Final = "executing"
SIGNAL_EXPIRED: Final = "expired"
SIGNAL_INTERRUPTED: Final = "interrupted"
SIGNAL_LOCKED: Final = "locked"
SIGNAL_RATE_LIMITED: Final = "rate-limited"
SIGNAL_RETRYING: Final = "retrying"
SIGNAL_REVOKED: Final = "revoked"
SIGNAL_SCHEDULED: Final = "scheduled"
SIGNAL_TIMEOUT: Final = "timeout"

SIGNALS: tuple[SignalName, ...] = get_args(SignalName)

_ANY = "any"

logger = logging.getLogger("aqueue.signals")


class Signals:
    """The receivers of one application. `receivers` has them by signal, and is empty where nobody asked."""

    def __init__(self) -> None:
        self.receivers: dict[str, list[Receiver]] = {}

    def connect(self, receiver: Receiver, *signals: str) -> None:
        """Call `receiver` for each of `signals`, or for all where none is named.

        Raises:
            TypeError: `receiver` is no function, or a signal no str.
            ValueError: there is no such signal.
        """
        if not callable(receiver):
            raise TypeError(f"a receiver must be a function, not {receiver!r}")
        check_signals(signals)
        for signal in signals or (_ANY,):
            receivers = self.receivers.setdefault(signal, [])
            if receiver not in receivers:
                receivers.append(receiver)

    def disconnect(self, receiver: Receiver, *signals: str) -> None:
        """Call `receiver` no more for `signals`, or for any where none is named. Nothing happens where it was not."""
        for signal in signals or tuple(self.receivers):
            receivers = self.receivers.get(signal, [])
            if receiver in receivers:
                receivers.remove(receiver)
                if not receivers:
                    del self.receivers[signal]

    def is_heard(self, signal: str) -> bool:
        """Whether anybody is called for `signal`."""
        return signal in self.receivers or _ANY in self.receivers

    async def send(self, signal: str, task: Any, *arguments: Any) -> None:
        """Call the receivers of `signal`, then those of every signal, each in order of registration."""
        for receiver in [*self.receivers.get(signal, ()), *self.receivers.get(_ANY, ())]:
            try:
                outcome = receiver(signal, task, *arguments)
                if inspect.isawaitable(outcome):
                    await outcome
            except (Exception, SystemExit, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                name = getattr(receiver, "__qualname__", repr(receiver))
                logger.exception("The receiver %s of the signal %r failed", name, signal)


def check_signals(signals: tuple[str, ...]) -> None:
    """Refuse what is no signal.

    Raises:
        TypeError: one of `signals` is no str (the decorator was written without parentheses).
        ValueError: there is no such signal; the message names the nearest.
    """
    for signal in signals:
        if not isinstance(signal, str):
            raise TypeError(f"a signal must be a str, not {signal!r}: write the decorator with parentheses")
        if signal not in SIGNALS:
            import difflib  # only where something is wrong

            near = difflib.get_close_matches(signal, SIGNALS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"signals are {', '.join(SIGNALS)}"
            raise ValueError(f"there is no signal {signal!r}: {hint}")


def _is_cancelled() -> bool:
    """Whether the task that runs here was asked to end, and not just something that a receiver waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
