"""Several worker processes under one parent, which restarts those that die and passes its signals on.

The parent does not import the application. The other children start only when the first one is ready, so a mistake in
the application is reported once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from typing import TYPE_CHECKING

from ..failures import CONFIGURATION, OS_ERROR, UNAVAILABLE, USAGE
from .lifeline import STOP_SLACK, WorkerProcess
from .shutdown import LAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .shutdown import Steps

logger = logging.getLogger("aqueue.supervisor")

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_LONG_LIFE = 60.0
_LAST_SECONDS = 1.0
# Exit codes that are not errors while stopping: stopped, terminated while it was starting, or without a store.
_HARMLESS = {0, -signal.SIGTERM, UNAVAILABLE}


class Supervisor:
    """Keeps `processes` workers with these `arguments` alive. Each gets `patience` seconds to stop.

    In a `burst` a worker that ends without an error is not replaced; otherwise each worker that ends is.
    """

    def __init__(self, arguments: Sequence[str], processes: int, patience: float, *, burst: bool) -> None:
        self._arguments = arguments
        self._processes = processes
        self._patience = patience + STOP_SLACK
        self._burst = burst
        self._children: dict[int, WorkerProcess] = {}
        self._proven = asyncio.Event()
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self, steps: Steps) -> int:
        """Supervise until `steps` say stop; the exit code, 0 when every child ended gracefully."""
        steps.pass_to(self._handle)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(1))
            await self._proven.wait()
            for place in range(2, self._processes + 1):
                group.create_task(self._keep(place))
        return self._code

    async def _keep(self, place: int) -> None:
        """Keep one worker alive; `place` is its number."""
        pause = _FIRST_PAUSE
        try:
            while not self._stopping.is_set():
                born = time.monotonic()
                code, has_worked = await self._live(place)
                if self._is_last(code):
                    break
                if time.monotonic() - born > _LONG_LIFE:
                    pause = _FIRST_PAUSE
                if code == 0 and has_worked:
                    logger.info("Worker process %d has finished; another one takes its place", place)
                    continue
                logger.warning("Worker process %d %s; restarting it in %g s", place, _ended(code), pause)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._proven.set()

    async def _live(self, place: int) -> tuple[int, bool]:
        """Run one child to its end. Returns its exit code, and whether it was ever ready."""
        try:
            child = await WorkerProcess.start(self._arguments)
        except OSError as error:
            logger.error("Worker process %d cannot be started: %s", place, error)
            return OS_ERROR, False
        logger.info("Worker process %d of %d is pid %d", place, self._processes, child.pid)
        self._children[place] = child
        if self._stopping.is_set():
            # The other children were asked to stop while this one was starting.
            child.take_step()
        is_ready = await child.is_ready()
        if is_ready:
            self._proven.set()
        code = await child.wait()
        del self._children[place]
        return code, is_ready

    def _is_last(self, code: int) -> bool:
        """Whether a child that ended with `code` is not replaced."""
        if code in {USAGE, CONFIGURATION}:
            # A new one would end in the same way. The child has printed the reason.
            self._code = code
            self._stop()
        elif self._stopping.is_set() and code not in _HARMLESS and not self._code:
            logger.error("A worker process %s while stopping", _ended(code))
            self._code = 1
        return self._stopping.is_set() or (self._burst and code == 0)

    # -- stopping

    def _handle(self, step: int) -> None:
        if step == LAST:
            self._code = 128 + signal.SIGTERM
            asyncio.get_running_loop().call_later(_LAST_SECONDS, self._kill)
        self._stop()

    def _stop(self) -> None:
        """Take every child one step further, and kill those that do not end in time."""
        if not self._stopping.is_set():
            if self._children:
                logger.info("Stopping %d worker processes", len(self._children))
            self._stopping.set()
            asyncio.get_running_loop().call_later(self._patience, self._kill)
        for child in self._children.values():
            child.take_step()

    def _kill(self) -> None:
        for child in self._children.values():
            child.kill()


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"ended with exit code {code}"
