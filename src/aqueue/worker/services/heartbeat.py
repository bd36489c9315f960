"""Renew the leases of all that this worker holds, from a thread of its own.

A task that blocks the event loop blocks every coroutine in it, but not this thread: the lease survives, and the fleet
does not run the worker's tasks a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
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

    In the loop, `lose` is called with what is not ours any more, and `cancel` with what was cancelled meanwhile.
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
        self._stopped = threading.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def beat_until_stopped() -> None:
            try:
                self._beat(loop)
            finally:
                self._in_loop(loop, ended.set)

        # A daemon: a store that does not answer must not keep the process from exiting.
        thread = threading.Thread(target=beat_until_stopped, name="aqueue-heartbeat", daemon=True)
        thread.start()
        try:
            await ended.wait()
        finally:
            self._stopped.set()
            # A renewal that is still under way would list a worker again that has just been retired.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await ended.wait()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        interval = self._intake.lease_ms / 3000
        keeper = self._intake.lease_keeper()
        try:
            wait = 0.0
            while not self._stopped.wait(wait):
                # Copied in one step of the interpreter, while the loop goes on changing it.
                receipts = list(self._held)
                try:
                    lost, to_cancel = keeper.renew(receipts, self._describe())
                except HueyException as error:
                    logger.warning("The leases of %d tasks could not be renewed: %s", len(receipts), error)
                    wait = min(_PAUSE_SECONDS, interval)
                    continue
                except Exception:
                    # Whatever it is, giving up would make the fleet run what runs here a second time.
                    logger.exception("The heartbeat failed, and goes on")
                    wait = min(_PAUSE_SECONDS, interval)
                    continue
                wait = interval
                if lost:
                    self._in_loop(loop, self._lose, lost)
                if to_cancel:
                    self._in_loop(loop, self._cancel, to_cancel)
        finally:
            keeper.close()

    def _in_loop(self, loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> None:
        # A slow store can hold this thread back until the loop is closed; then there is nobody left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(callback, *arguments)
