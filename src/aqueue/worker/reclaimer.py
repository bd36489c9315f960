"""Take over deliveries whose worker gives no sign of life any more, and forget workers that are long gone."""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import TYPE_CHECKING

from ..exceptions import HueyException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..clock import Clock
    from ..storage.protocol import Storage
    from .dispatcher import Dispatcher

logger = logging.getLogger("aqueue.worker")

_FORGOTTEN_AFTER_MS = 3_600_000


class Reclaimer:
    """Looks every quarter of a lease, so that a lost task runs again within one and a quarter leases."""

    def __init__(
        self, storage: Storage, dispatcher: Dispatcher, clock: Clock, consumer: str, queues: Sequence[str]
    ) -> None:
        self._storage = storage
        self._dispatcher = dispatcher
        self._clock = clock
        self._consumer = consumer
        self._queues = queues
        self._random = Random()

    async def run(self) -> None:
        never = asyncio.Event()
        try:
            await self._forget_the_gone()
        except HueyException as error:
            logger.debug("Looking for workers that are gone failed: %s", error)
        while True:
            try:
                # Asked even without room: that somebody looks regularly is what tells an outage from a quiet time.
                limit = max(self._dispatcher.free, 0)
                deliveries = await self._storage.reclaim(self._consumer, self._queues, limit)
            except HueyException as error:
                logger.debug("Reclaiming failed: %s", error)
            else:
                if deliveries:
                    logger.warning("Took over %d tasks from workers that gave no sign of life", len(deliveries))
                    self._dispatcher.start(deliveries)
            # Jitter keeps the workers of one fleet from looking in step; never later than a quarter of a lease.
            await self._clock.wait(never, self._storage.lease_ms / 4000 * self._random.uniform(0.8, 1.0))

    async def _forget_the_gone(self) -> None:
        for worker in await self._storage.workers():
            if worker.seen_ms > _FORGOTTEN_AFTER_MS:
                await self._storage.retire(worker.consumer)
