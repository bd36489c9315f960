"""What is said about a run once its fate is decided: to handlers, to receivers of signals, and in the log.

The order of the signals is Huey's.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from ...core.failures import exception_text
from ...core.lifecycle import (
    Blocked,
    Cancelled,
    Expired,
    Raised,
    RetryAsked,
    Returned,
    Revoked,
    State,
    Unknown,
    Unreadable,
    Unusable,
)
from ...core.outline import is_large, outline
from ...exceptions import HueyException, RateLimitExceeded, TaskLockedException, TaskTimeout
from ...signals import (
    SIGNAL_CANCELED,
    SIGNAL_COMPLETE,
    SIGNAL_ENQUEUED,
    SIGNAL_ERROR,
    SIGNAL_EXPIRED,
    SIGNAL_INTERRUPTED,
    SIGNAL_LOCKED,
    SIGNAL_RATE_LIMITED,
    SIGNAL_RETRYING,
    SIGNAL_REVOKED,
    SIGNAL_SCHEDULED,
    SIGNAL_TIMEOUT,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ...core.lifecycle import Outcome, Settlement
    from ...tasks.hooks import Hooks
    from ...tasks.registry import Registry
    from .report import RunReport

    Call = Callable[[], Awaitable[None]]

logger = logging.getLogger("aqueue.worker")

# A retry that the task asked for is not here: Huey has no signal for it, beside those of every retry.
_OF_OUTCOME: dict[type[Outcome], str] = {
    Returned: SIGNAL_COMPLETE,
    Raised: SIGNAL_ERROR,
    Cancelled: SIGNAL_CANCELED,
    Revoked: SIGNAL_REVOKED,
    Expired: SIGNAL_EXPIRED,
    Unusable: SIGNAL_ERROR,
}
# Exceptions that have a signal of their own.
_OF_EXCEPTION: dict[type[BaseException], str] = {
    RateLimitExceeded: SIGNAL_RATE_LIMITED,
    TaskLockedException: SIGNAL_LOCKED,
    TaskTimeout: SIGNAL_TIMEOUT,
}


def calls_to_make(hooks: Hooks, report: RunReport, settlement: Settlement) -> list[Call]:
    """The calls of handlers, then of receivers, that announce `settlement`; none if nobody listens."""
    run = report.run
    if run is None:
        return []
    calls: list[Call] = []
    if hooks.post_execute and run.started and settlement.state is not State.QUEUED:
        calls.append(partial(hooks.run_post_execute, run))
    for signal in _signals(report.outcome, run.exception, settlement):
        if hooks.signals.is_heard(signal):
            arguments = (run.exception or HueyException(report.why),) if signal is SIGNAL_ERROR else ()
            calls.append(partial(hooks.signals.send, signal, run, *arguments))
    return calls


async def make(calls: list[Call]) -> None:
    """Make `calls`, one after the other."""
    for call in calls:
        await call()


def log_settlement(settlement: Settlement, report: RunReport, registry: Registry) -> None:
    """Log what becomes of a run that was not simply done."""
    run = report.run
    name = run.name if run is not None else ""
    exception = run.exception if run is not None else None
    why = report.why if exception is None else exception_text(exception)
    if isinstance(report.outcome, Unknown):
        near = registry.nearest(report.outcome.task)
        hint = f"; did you mean {near!r}?" if near else "."
        logger.warning(
            "Task %s: no task is named %r here%s It is kept, and offered again in %.0f s: is its module imported "
            "where the application object is?",
            settlement.id,
            report.outcome.task,
            hint,
            settlement.delay_ms / 1000,
        )
    elif isinstance(report.outcome, Unreadable):
        seconds = settlement.delay_ms / 1000
        logger.warning(
            "Task %s cannot be read: %s. It is kept, and offered again in %.0f s.", settlement.id, why, seconds
        )
    elif settlement.state is State.RETRYING:
        # To wait for a lock or for a limit is what the task was written to do.
        level = logging.INFO if isinstance(report.outcome, Blocked | RetryAsked) else logging.WARNING
        logger.log(level, "Task %s (%s) will be retried: %s", settlement.id, name, why)
    elif settlement.state is State.FAILED:
        _log_failure(settlement.id, name, exception)
    elif settlement.state is not State.QUEUED:
        logger.warning("Task %s (%s) is %s: %s", settlement.id, name, settlement.state, why)


def _log_failure(task_id: str, name: str, exception: BaseException | None) -> None:
    if exception is not None and is_large(exception):
        # Whatever formats it would block the event loop.
        logger.error("Task %s (%s) failed\n%s", task_id, name, outline(exception).rstrip())
    else:
        logger.error("Task %s (%s) failed", task_id, name, exc_info=exception)


def _signals(outcome: Outcome, exception: BaseException | None, settlement: Settlement) -> Iterator[str]:
    if settlement.state is State.QUEUED:
        # Its outcome does not count: the task runs again.
        yield SIGNAL_INTERRUPTED
        return
    own = (signal for kind, signal in _OF_EXCEPTION.items() if isinstance(exception, kind))
    if signal := next(own, _OF_OUTCOME.get(type(outcome))):
        yield signal
    if settlement.state is State.RETRYING:
        yield SIGNAL_RETRYING
        yield SIGNAL_SCHEDULED if settlement.delay_ms or settlement.eta_ms else SIGNAL_ENQUEUED
