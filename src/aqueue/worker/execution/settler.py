"""Send settlements to the store, in batches, until the store has them.

A settlement that does not arrive is not lost work but repeated work: the lease runs out, and another worker runs the
task again. So the settler waits out an outage, for as long as the worker lives.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...exceptions import HueyException

if TYPE_CHECKING:
    from ...core.clock import Clock
    from ...core.lifecycle import Settlement
    from ...core.message import Receipt
    from ...storage.protocol import Storage
    from .held import HeldDelivery

logger = logging.getLogger("aqueue.worker")

LARGEST_BATCH = 500
_PAUSE_SECONDS = 1.0


class Settler:
    """Settles what the dispatcher hands over, and removes it from `held` once the store has it."""

    def __init__(self, storage: Storage, clock: Clock, held: dict[Receipt, HeldDelivery]) -> None:
        self._storage = storage
        self._clock = clock
        self._held = held
        self._waiting: list[tuple[Settlement, asyncio.Future[bool] | None]] = []
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()

    @property
    def backlog(self) -> int:
        """How many settlements the store does not have yet."""
        return len(self._waiting)

    def put(self, settlement: Settlement) -> None:
        """Settle soon, without a wait."""
        self._waiting.append((settlement, None))
        self._arrived.set()

    async def settle(self, settlement: Settlement) -> bool:
        """Settle, and wait until the store has it. False if the receipt did not hold any more."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, future))
        self._arrived.set()
        return await future

    async def wait_until_below(self, backlog: int) -> None:
        """Wait until fewer than `backlog` settlements are left."""
        while len(self._waiting) >= backlog:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch = self._waiting[:LARGEST_BATCH]
                accepted = await self._insist([settlement for settlement, _ in batch])
                del self._waiting[: len(batch)]
                for (settlement, future), ours in zip(batch, accepted, strict=True):
                    self._held.pop(settlement.receipt, None)
                    if not ours:
                        logger.warning(
                            "Task %s: %s changes nothing, the task is not ours any more (its lease ran out, or the "
                            "store lost it)",
                            settlement.id,
                            settlement.state,
                        )
                    if future is not None and not future.done():
                        future.set_result(ours)
                self._moved.set()

    async def _insist(self, settlements: list[Settlement]) -> list[bool]:
        while True:
            try:
                return await self._storage.settle(settlements)
            except HueyException as error:
                logger.warning("%d verdicts wait for the store: %s", len(settlements), error)
                await self._clock.wait(asyncio.Event(), _PAUSE_SECONDS)
