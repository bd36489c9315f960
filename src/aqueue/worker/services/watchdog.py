"""Notice that the event loop stands still, from a thread that neither the loop nor the store can hold up.

Twice a second the thread asks the loop to answer. While the loop does not, a task of this worker blocks it: no other
task goes on, and no verdict leaves. Then the watchdog names the task, and ends the process if it has to.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import math
import os
import signal
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from ...tasks.context import run_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from ...core.message import Receipt
    from ...tasks.context import TaskRun
    from ..execution.held import HeldDelivery

logger = logging.getLogger("aqueue.worker")

_TICK_SECONDS = 0.5
# An event loop that has not turned for this long is blocked.
BLOCKED_SECONDS = 1.0

_STDERR = 2
_MOST_LINES = 3
_MACHINERY = {"aqueue", "anyio", "uvloop"}
_INSTALLED = {"site-packages", "dist-packages"}


class Stall(NamedTuple):
    """An event loop that is blocked since the instant `since_ms`.

    `task` and `id` are those of the task that blocks it, empty if that is not known, and `where` is the innermost line
    of the application that runs.
    """

    since_ms: int
    task: str
    id: str
    where: str

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since_ms / 1000, UTC).isoformat(timespec="seconds")
        return f"blocked since {since}{_by(self)}, at {self.where}"

    @property
    def seconds(self) -> float:
        """How long it lasts so far."""
        return time.time() - self.since_ms / 1000


class Watchdog:
    """Watches the event loop in which it is entered, until it is left.

    `held` has the deliveries that run in the loop. The watchdog calls `changed`, in its thread, when the loop is
    blocked and when it turns again. It ends the process once the loop was blocked for `stall_seconds`,
    unless that is infinite.
    """

    def __init__(self, held: Mapping[Receipt, HeldDelivery], stall_seconds: float, changed: Callable[[], None]) -> None:
        self._held = held
        self._stall_seconds = stall_seconds
        self._changed = changed
        self._asked = self._answered = 0.0
        self._end_at = math.inf
        self._stopped = threading.Event()
        self.stall: Stall | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._arm()
        self._thread = threading.Thread(target=self._watch, name="aqueue-watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def end_after(self, seconds: float) -> None:
        """End this process as soon as the loop is blocked, but not before `seconds` have passed; from any thread."""
        self._end_at = min(self._end_at, time.monotonic() + seconds)

    # -- in the thread

    def _watch(self) -> None:
        ticked = time.monotonic()
        while True:
            now = time.monotonic()
            try:
                if now - ticked - _TICK_SECONDS >= BLOCKED_SECONDS:
                    self._report_gap(now - ticked)
                self._tick(now)
            except Exception:
                # If the watchdog ended, nothing would keep the time in which a blocked worker has to stop.
                logger.exception("The watchdog failed, and goes on")
            ticked = now
            if self._stopped.wait(_TICK_SECONDS):
                break
        self._disarm()

    def _tick(self, now: float) -> None:
        if self._answered >= self._asked:
            if self.stall is not None:
                self._report_end(self.stall)
            self._arm()
            self._asked = now
            # A loop that is closed has nothing left to run.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._answer)
            return
        if self.stall is None and now - self._asked >= BLOCKED_SECONDS:
            self._report_stall(now - self._asked)
        if self.stall is not None and now >= self._end_at:
            self._end(self.stall)

    def _answer(self) -> None:
        self._answered = time.monotonic()

    def _arm(self) -> None:
        """Let C code end the process, unless this is called again in time. It works even if no thread of Python can."""
        if math.isfinite(self._stall_seconds):
            faulthandler.dump_traceback_later(self._stall_seconds + _TICK_SECONDS, exit=True, file=_STDERR)

    def _disarm(self) -> None:
        # Without the option the timer, of which a process has one, belongs to the application.
        if math.isfinite(self._stall_seconds):
            faulthandler.cancel_dump_traceback_later()

    # -- what it says

    def _report_stall(self, seconds: float) -> None:
        run, frames = self._blocker(), self._frames()
        lines = "".join(traceback.format_list(frames)).rstrip()
        where = f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
        # A path need not be text.
        where = where.encode("utf-8", "backslashreplace").decode()
        since_ms = int((time.time() - seconds) * 1000)
        self.stall = Stall(since_ms, run.name if run else "", run.id if run else "", where)
        text = "The event loop has been blocked for %.1f s%s:\n%s"
        logger.warning(text, seconds, _by(self.stall), lines, extra=_fields(run))
        self._changed()

    def _report_end(self, stall: Stall) -> None:
        logger.info("The event loop turns again: it was blocked for %.1f s%s", stall.seconds, _by(stall))
        self.stall = None
        self._changed()

    def _report_gap(self, seconds: float) -> None:
        lines = "".join(traceback.format_list(self._frames())).rstrip()
        logger.warning(
            "No thread of this process has run for %.1f s: C code held the interpreter, or the process was frozen. "
            "The event loop is now at:\n%s",
            seconds,
            lines,
        )

    def _end(self, stall: Stall) -> None:
        logger.error(
            "Ending: the time to stop is over, and the event loop has been blocked for %.1f s%s. Other workers run "
            "the tasks of this one again",
            stall.seconds,
            _by(stall),
        )
        os._exit(128 + signal.SIGTERM)

    def _blocker(self) -> TaskRun | None:
        """The run that blocks the loop; from Python 3.12 on also if it is in an asyncio task that the body started."""
        task = asyncio.current_task(self._loop)
        if task is None:
            return None
        for held in list(self._held.values()):
            if held.task is task:
                return held.run
        get_context = getattr(task, "get_context", None)
        return None if get_context is None else run_in(get_context())

    def _frames(self) -> list[traceback.FrameSummary]:
        """The innermost lines of the loop's thread: those of the application, or of anything if it has none there."""
        innermost = sys._current_frames().get(self._loop_thread)
        frames = list(traceback.walk_stack(innermost))
        ours = [pair for pair in frames if _is_of_application(pair[0])] or frames
        return traceback.StackSummary.extract(iter(ours[_MOST_LINES - 1 :: -1]), lookup_lines=True)


def _is_of_application(frame: FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    if package in _MACHINERY or package in sys.stdlib_module_names:
        return False
    return _INSTALLED.isdisjoint(Path(frame.f_code.co_filename).parts)


def _by(stall: Stall) -> str:
    return f", by the task {stall.task} ({stall.id})" if stall.id else ""


def _fields(run: TaskRun | None) -> dict[str, str] | None:
    """What a record that this thread logs says about a task, as records do that the task logs."""
    return None if run is None else {"task_id": run.id, "task": run.name, "queue": run.queue}
