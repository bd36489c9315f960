"""Signals in processes that a task forks, with multiprocessing for example: they work there as in any program."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType


def leave_signals_in_forks(
    handler: Callable[[int, FrameType | None], None], before: Mapping[signal.Signals, Any]
) -> None:
    """In every process that this one forks, restore the handlers of these signals from `before`, in place of `handler`.

    Otherwise ``Process.terminate()`` would do nothing, and the end of ``with Pool()`` would wait for ever.
    """
    forking = threading.local()

    def block() -> None:
        # The interpreter drops a signal that arrives in the child before it is ready to handle one.
        forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, before)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, forking.mask)

    def leave() -> None:
        # The descriptor is that of our event loop, which would see the signals of the child.
        signal.set_wakeup_fd(-1)
        for number, earlier in before.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, earlier)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=leave)
