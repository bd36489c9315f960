"""The three steps of ending a process: stop, interrupt, exit. Each SIGTERM, SIGINT or SIGHUP takes the next step."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType

LAST = 3


class Steps:
    """Calls `handle` with 1, 2 and 3 in the event loop. With `exit_at_last` step 3 ends the process instead.

    The interpreter's signal handlers count the signals, not the event loop, so step 3 works even if the loop is
    blocked.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, handle: Callable[[int], None], *, exit_at_last: bool = False
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._exit_at_last = exit_at_last
        self._signals = 0
        self._handled = 0

    def catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)
        # nohup ignores SIGHUP, so that the process survives its terminal.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._receive)

    def take(self, step: int) -> None:
        """Go to `step`, unless it has been taken already. Safe to call from any thread."""
        if step >= LAST and self._exit_at_last:
            os._exit(128 + signal.SIGTERM)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._pass_on, min(step, LAST))

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self.take(self._signals)

    def _pass_on(self, step: int) -> None:
        if step > self._handled:
            self._handled = step
            self._handle(step)
