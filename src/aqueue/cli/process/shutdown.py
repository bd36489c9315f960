"""The three steps of ending a process: stop, interrupt, exit. Each SIGTERM, SIGINT or SIGHUP takes the next step."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

from ...worker.forks import leave_signals_in_forks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

LAST = 3

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STOPPED_EARLY = b"aqueue: stopped before the worker began\n"


class Steps:
    """Counts the steps and passes each of them on. Until ``pass_to`` nothing has begun: a step ends the process.

    The interpreter's signal handlers count the signals, not the event loop, so step 3 works even if the loop is
    blocked.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: Callable[[int], None] | None = None
        self._exit_at_last = False
        self._at_once: Callable[[], None] | None = None
        self._signals = 0
        self._handled = 0
        # What each of our signals did before; also SIGINT, which asyncio handles in its own way for a while.
        self._before: dict[signal.Signals, Any] = {}

    def catch_signals(self) -> None:
        """Take a step at each SIGTERM and SIGHUP, but not in what this process forks.

        Without a handler the kernel drops these signals in the first process of a container. SIGINT is caught by
        ``pass_to``: until then it raises ``KeyboardInterrupt``, as in any program.
        """
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        # Under nohup the end of a terminal is nothing to end for.
        if self._before[signal.SIGHUP] is signal.SIG_IGN:
            del self._before[signal.SIGHUP]
        self._catch(self._before.keys() - {signal.SIGINT})
        leave_signals_in_forks(self._receive, self._before)

    def pass_to(
        self, handle: Callable[[int], None], *, exit_at_last: bool = False, at_once: Callable[[], None] | None = None
    ) -> None:
        """From now on call `handle` with 1, 2 and 3, in the running event loop.

        With `exit_at_last` the third step ends the process instead. Each step also calls `at_once`, in whatever thread
        it is taken and even if the loop is blocked.
        """
        self._handle, self._exit_at_last, self._at_once = handle, exit_at_last, at_once
        self._loop = asyncio.get_running_loop()
        # Again, because the application may have handlers of its own, from when it was imported.
        self._catch(self._before)

    def take(self, step: int) -> None:
        """Go to `step`, unless that has been done already; from any thread."""
        if self._loop is None:
            os.write(2, _STOPPED_EARLY)
            os._exit(0)
        if step >= LAST and self._exit_at_last:
            os._exit(128 + signal.SIGTERM)
        if self._at_once is not None:
            self._at_once()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._pass_on, min(step, LAST))

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self.take(self._signals)

    def _pass_on(self, step: int) -> None:
        if step > self._handled and self._handle is not None:
            self._handled = step
            self._handle(step)

    def _catch(self, numbers: Iterable[signal.Signals]) -> None:
        for number in numbers:
            signal.signal(number, self._receive)
