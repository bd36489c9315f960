"""Send settlements to the store, in batches, until the store has them.

A settlement that does not arrive is not lost work but repeated work: the lease runs out, and another worker runs the
task again. So the settler waits out an outage, for as long as the worker lives.

Settlements leave in two lines at the same time: small ones in batches, and freight one by one, so that a large result
delays no other verdict. A batch that fails is tried again by halves, and what fails alone goes on with the freight: if
there is something that the store never takes, it holds up nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, TypeAlias

from ...core.patience import FREIGHT_BYTES, next_flight
from ...exceptions import HueyException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.clock import Clock
    from ...core.lifecycle import Settlement
    from ...core.message import Receipt
    from ...storage.protocol import Storage
    from .held import HeldDelivery

_Waiting: TypeAlias = "tuple[Settlement, asyncio.Future[bool] | None]"

logger = logging.getLogger("aqueue.worker")

LARGEST_BATCH = 500
_PAUSE_SECONDS = 1.0


class _Line:
    """Settlements on their way, each with the future of the caller that waits for it, if any."""

    def __init__(self) -> None:
        self.waiting: list[_Waiting] = []
        self.arrived = asyncio.Event()


class Settler:
    """Settles what the dispatcher hands over, and removes it from `held` once the store has it."""

    def __init__(self, storage: Storage, clock: Clock, held: dict[Receipt, HeldDelivery]) -> None:
        self._storage = storage
        self._clock = clock
        self._held = held
        self._small = _Line()
        self._freight = _Line()
        self._moved = asyncio.Event()
        self._failed = asyncio.Event()

    @property
    def backlog(self) -> int:
        """How many settlements the store does not have yet."""
        return len(self._small.waiting) + len(self._freight.waiting)

    def put(self, settlement: Settlement, settled: asyncio.Future[bool] | None = None) -> None:
        """Settle soon, without a wait. `settled` gets what ``settle`` returns."""
        line = self._small if len(settlement.result) <= FREIGHT_BYTES else self._freight
        line.waiting.append((settlement, settled))
        line.arrived.set()

    async def settle(self, settlement: Settlement) -> bool:
        """Settle, and wait until the store has it. False if the receipt did not hold any more."""
        settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.put(settlement, settled)
        return await settled

    async def wait_until_below(self, backlog: int) -> None:
        """Wait until fewer than `backlog` settlements are left."""
        while self.backlog >= backlog:
            self._moved.clear()
            await self._moved.wait()

    async def finish(self, seconds: float) -> bool:
        """Wait until the store has everything: for these seconds, and beyond them until a call fails.

        A large result on a slow line takes as long as it takes. Returns whether the store has everything.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait_until_below(1)
        self._failed.clear()
        while self.backlog and not self._failed.is_set():
            self._moved.clear()
            await self._moved.wait()
        return not self.backlog

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(self._small, LARGEST_BATCH))
            group.create_task(self._serve(self._freight, 1))

    async def _serve(self, line: _Line, largest: int) -> None:
        most = largest
        while True:
            await line.arrived.wait()
            line.arrived.clear()
            while line.waiting:
                flight = next_flight(line.waiting, 0, most, _result_of)
                if await self._settle(flight):
                    del line.waiting[: len(flight)]
                    most = min(2 * most, largest)
                else:
                    self._failed.set()
                    self._moved.set()
                    most = max(len(flight) // 2, 1)
                    if len(flight) == 1:
                        self._freight.waiting.append(line.waiting.pop(0))
                        self._freight.arrived.set()
                    await self._clock.wait(asyncio.Event(), _PAUSE_SECONDS)
                self._moved.set()

    async def _settle(self, flight: Sequence[_Waiting]) -> bool:
        """Whether the store has `flight`; if so, every caller that waits for a part of it has its answer."""
        try:
            accepted = await self._storage.settle([settlement for settlement, _ in flight])
        except HueyException as error:
            logger.warning("%d verdicts wait for the store: %s", self.backlog, error)
            return False
        for (settlement, future), ours in zip(flight, accepted, strict=True):
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
        return True


def _result_of(waiting: _Waiting) -> bytes:
    return waiting[0].result
