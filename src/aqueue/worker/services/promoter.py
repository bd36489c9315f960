"""Make scheduled tasks ready when they are due.

Each promotion returns the next due instant, and the promoter sleeps until then. An event wakes it when an earlier task
is scheduled.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...exceptions import HueyException

if TYPE_CHECKING:
    from ...core.clock import Clock
    from ...storage.protocol import Storage

logger = logging.getLogger("aqueue.worker")

LARGEST_STEP = 500
# An event may get lost, and the clock of the host that set a due instant may differ.
LONGEST_SLEEP_SECONDS = 10.0
_PAUSE_SECONDS = 1.0


class Promoter:
    """Promotes until cancelled."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._earlier = asyncio.Event()

    def look_again(self) -> None:
        """Promote again now, because a task was scheduled that may be due before all others."""
        self._earlier.set()

    async def run(self) -> None:
        while True:
            self._earlier.clear()
            try:
                moved, next_ms = await self._storage.promote(LARGEST_STEP)
            except HueyException as error:
                logger.debug("Promotion failed: %s", error)
                await self._clock.wait(self._earlier, _PAUSE_SECONDS)
                continue
            if moved < LARGEST_STEP:
                seconds = LONGEST_SLEEP_SECONDS if next_ms is None else min(next_ms / 1000, LONGEST_SLEEP_SECONDS)
                await self._clock.wait(self._earlier, seconds)
