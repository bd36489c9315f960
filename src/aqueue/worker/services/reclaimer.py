"""Take over deliveries of workers whose leases ran out, and forget workers that ended long ago.

A suspect is a delivery whose task is declared dead after one more crash. Suspects are taken over one at a time: if a
worker held several of them and crashed, the crash would count against all of them.
"""

from __future__ import annotations

import logging
from random import Random
from typing import TYPE_CHECKING

from ...exceptions import HueyException

if TYPE_CHECKING:
    from ...core.clock import Clock
    from ...storage.protocol import Intake, Storage
    from ..execution.dispatcher import Dispatcher

logger = logging.getLogger("aqueue.worker")

_FORGOTTEN_AFTER_MS = 3_600_000


class Reclaimer:
    """Looks every quarter of a lease, so that a lost task runs again within one and a quarter leases."""

    def __init__(
        self, storage: Storage, intake: Intake, dispatcher: Dispatcher, clock: Clock, max_crashes: int
    ) -> None:
        self._storage = storage
        self._intake = intake
        self._dispatcher = dispatcher
        self._clock = clock
        self._suspect_count = max_crashes - 1
        self._random = Random()

    async def run(self) -> None:
        try:
            await self._forget_the_gone()
        except HueyException as error:
            logger.debug("Looking for workers that have ended failed: %s", error)
        while True:
            try:
                # Asked even without room: only regular calls let the store tell an outage from a quiet time.
                limit = max(self._dispatcher.free, 0)
                suspects = 0 if self._dispatcher.has_suspect else 1
                deliveries = await self._intake.reclaim(limit, self._suspect_count, suspects)
            except HueyException as error:
                logger.debug("Reclaiming failed: %s", error)
            else:
                if deliveries:
                    logger.warning("Took over %d tasks from workers that did not renew their leases", len(deliveries))
                    self._dispatcher.start(deliveries)
            # Jitter keeps workers from asking at the same time; the wait is never longer than a quarter of a lease.
            seconds = self._intake.lease_ms / 4000 * self._random.uniform(0.8, 1.0)
            await self._clock.wait(self._dispatcher.suspect_ended, seconds)
            self._dispatcher.suspect_ended.clear()

    async def _forget_the_gone(self) -> None:
        for worker in await self._storage.workers():
            if worker.seen_ms > _FORGOTTEN_AFTER_MS:
                await self._storage.retire(worker.consumer)
