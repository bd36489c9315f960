"""Renew the leases of all deliveries that this worker holds, from a thread of its own.

A task that blocks the event loop blocks every coroutine in it, but not this thread: the leases are renewed, and other
workers do not run this worker's tasks a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from ...exceptions import HueyException

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ...core.message import Receipt
    from ...storage.protocol import Intake

logger = logging.getLogger("aqueue.worker")

_PAUSE_SECONDS = 1.0


class Heartbeat:
    """Beats every third of a lease until cancelled.

    In the event loop, it calls `lose` with the deliveries whose leases were lost, and `cancel` with those whose tasks
    were cancelled.
    """

    def __init__(
        self,
        intake: Intake,
        describe: Callable[[], bytes],
        held: Collection[Receipt],
        lose: Callable[[list[Receipt]], None],
        cancel: Callable[[list[Receipt]], None],
    ) -> None:
        self._intake = intake
        self._describe = describe
        self._held = held
        self._lose = lose
        self._cancel = cancel
        self._description = b""
        self._renewed = time.monotonic()
        self._woken = threading.Event()
        self._stopping = False

    @property
    def silence_seconds(self) -> float:
        """For how long the store has not taken a sign of life; from any thread."""
        return time.monotonic() - self._renewed

    def beat_now(self) -> None:
        """Beat at once, because something that `describe` says has changed; from any thread."""
        self._woken.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def beat_until_stopped() -> None:
            try:
                self._beat(loop)
            finally:
                self._in_loop(loop, ended.set)

        # A daemon, so that a store that does not answer cannot keep the process from exiting.
        thread = threading.Thread(target=beat_until_stopped, name="aqueue-heartbeat", daemon=True)
        thread.start()
        try:
            await ended.wait()
        finally:
            self._stopping = True
            self._woken.set()
            # A renewal that is still under way would list this worker again after it has been retired.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await ended.wait()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        interval = self._intake.lease_ms / 3000
        keeper = self._intake.lease_keeper()
        try:
            wait = 0.0
            while True:
                self._woken.wait(wait)
                self._woken.clear()
                if self._stopping:
                    break
                # Copied in one step of the interpreter, because the loop changes it meanwhile.
                receipts = list(self._held)
                try:
                    lost, to_cancel = keeper.renew(receipts, self._described())
                except HueyException as error:
                    logger.warning("The leases of %d tasks could not be renewed: %s", len(receipts), error)
                    wait = min(_PAUSE_SECONDS, interval)
                    continue
                except Exception:
                    # If the heartbeat ended, other workers would run this worker's tasks a second time.
                    logger.exception("The heartbeat failed, and goes on")
                    wait = min(_PAUSE_SECONDS, interval)
                    continue
                self._renewed = time.monotonic()
                wait = interval
                if lost:
                    self._in_loop(loop, self._lose, lost)
                if to_cancel:
                    self._in_loop(loop, self._cancel, to_cancel)
        finally:
            keeper.close()

    def _described(self) -> bytes:
        """What the worker says about itself; what it said last if that cannot be written now: the leases come first."""
        try:
            self._description = self._describe()
        except Exception:
            logger.exception("The worker cannot describe itself")
        return self._description

    def _in_loop(self, loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> None:
        # A slow store can delay this thread until the loop is closed; then nothing is left to call.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(callback, *arguments)
