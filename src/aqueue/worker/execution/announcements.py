"""Who is told what of a run, once its fate is decided. The order of the signals is Huey's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...core.lifecycle import Cancelled, Expired, Raised, Returned, Revoked, State, Unusable
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
    from .runner import Ran

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


def announcements(hooks: Hooks, ran: Ran, settlement: Settlement) -> list[Callable[[], Awaitable[None]]]:
    """The calls that tell handlers, then receivers, of a run that came to `settlement`; none where nobody asked."""
    run = ran.run
    if run is None:
        return []
    calls: list[Callable[[], Awaitable[None]]] = []
    if hooks.post_execute and run.started and settlement.state is not State.QUEUED:
        calls.append(partial(hooks.run_post_execute, run))
    for signal in _signals(ran.outcome, run.exception, settlement):
        if hooks.signals.is_heard(signal):
            arguments = (run.exception or HueyException(ran.why),) if signal is SIGNAL_ERROR else ()
            calls.append(partial(hooks.signals.send, signal, run, *arguments))
    return calls


def _signals(outcome: Outcome, exception: BaseException | None, settlement: Settlement) -> Iterator[str]:
    if settlement.state is State.QUEUED:
        # Whatever came of it while it was interrupted.
        yield SIGNAL_INTERRUPTED
        return
    own = (signal for kind, signal in _OF_EXCEPTION.items() if isinstance(exception, kind))
    if signal := next(own, _OF_OUTCOME.get(type(outcome))):
        yield signal
    if settlement.state is State.RETRYING:
        yield SIGNAL_RETRYING
        yield SIGNAL_SCHEDULED if settlement.delay_ms or settlement.eta_ms else SIGNAL_ENQUEUED
