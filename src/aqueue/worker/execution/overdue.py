"""Verdicts for runs that were stopped and do not end.

A body can catch its cancellation and go on, or clean up without an end. Nothing can take its slot from it. So after a
grace the task gets its verdict, and callers their answer, while the slot stays occupied until the body ends.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...core.failures import exception_text

if TYPE_CHECKING:
    from ...core.message import Delivery, Receipt
    from .dispatcher import Dispatcher
    from .runner import Runner

logger = logging.getLogger("aqueue.worker")

# Enough to clean up in.
GRACE_SECONDS = 10.0


class Overdue:
    """Watches bodies that were stopped: by `runner`, because their time was up, or by `dispatcher`, on request."""

    def __init__(self, dispatcher: Dispatcher, runner: Runner) -> None:
        self._dispatcher = dispatcher
        self._runner = runner
        dispatcher.on_stop = runner.on_stop = self._watch

    def _watch(self, delivery: Delivery, error: Exception) -> None:
        # Not the delivery: its payload may be large, and most bodies end long before the grace does.
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._give_up, delivery.receipt, error)

    def _give_up(self, receipt: Receipt, error: Exception) -> None:
        held = self._dispatcher.held.get(receipt)
        if held is None or held.phase != "running":
            return
        report = self._runner.report_on(held.delivery, error)
        logger.error(
            "Task %s (%s) goes on %g s after it was stopped (%s): does it catch CancelledError? It gets its verdict, "
            "and occupies its slot until it ends.",
            held.delivery.id,
            report.run.name if report.run is not None else "?",
            GRACE_SECONDS,
            exception_text(error),
        )
        self._dispatcher.conclude(held, report)
