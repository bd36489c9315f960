"""Signals: what happens to tasks, announced to receivers. The names of the signals are Huey's.

A receiver is a sync or async function that is called as ``receiver(signal, task, *arguments)``. Only ``SIGNAL_ERROR``
has an argument, the exception. An error in a receiver is logged and affects neither the task nor other receivers.
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
    """The receivers of one application. `receivers` maps each signal that has receivers to a list of them."""

    def __init__(self) -> None:
        self.receivers: dict[str, list[Receiver]] = {}

    def connect(self, receiver: Receiver, *signals: str) -> None:
        """Call `receiver` for each of `signals`, or for all signals if none is named.

        Raises:
            TypeError: `receiver` is not a function, or a signal is not a str.
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
        """Stop calling `receiver` for `signals`, or for any signal if none is named.

        It is not an error if `receiver` is not connected.
        """
        for signal in signals or tuple(self.receivers):
            receivers = self.receivers.get(signal, [])
            if receiver in receivers:
                receivers.remove(receiver)
                if not receivers:
                    del self.receivers[signal]

    def is_heard(self, signal: str) -> bool:
        """Whether `signal` has a receiver."""
        return signal in self.receivers or _ANY in self.receivers

    async def send(self, signal: str, task: Any, *arguments: Any) -> None:
        """Call the receivers of `signal`, then the receivers of all signals, each in order of registration."""
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
    """Refuse unknown signals.

    Raises:
        TypeError: one of `signals` is not a str (the decorator was written without parentheses).
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
    """Whether the current event loop task is being cancelled, and not only something that a receiver awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
