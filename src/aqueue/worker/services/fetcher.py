"""Pull exactly as many tasks as there are free slots, and hand them to the dispatcher."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from ...exceptions import HueyException

if TYPE_CHECKING:
    from collections.abc import Collection

    from ...core.clock import Clock
    from ...core.message import Delivery
    from ...storage.protocol import Intake, Storage
    from ..execution.dispatcher import Dispatcher
    from ..execution.loader import Loader
    from ..execution.settler import Settler
    from ..execution.slots import Slots

logger = logging.getLogger("aqueue.worker")

LARGEST_PULL = 500
LONGEST_WAIT_MS = 5_000
_BURST_WAIT_MS = 100
_MOST_UNSETTLED = 2_000
_PAUSE_SECONDS = 0.5


class Fetcher:
    """Feeds the dispatcher until it is stopped, has started `most` tasks or, in a burst, has no task left."""

    def __init__(
        self,
        storage: Storage,
        intake: Intake,
        dispatcher: Dispatcher,
        loader: Loader,
        settler: Settler,
        clock: Clock,
        slots: Collection[Slots],
        burst: bool,
        most: int | None = None,
    ) -> None:
        self._storage = storage
        self._intake = intake
        self._dispatcher = dispatcher
        self._loader = loader
        self._settler = settler
        self._clock = clock
        self._slots = slots
        self._burst = burst
        self._most = most
        self._largest_pull = LARGEST_PULL
        self._wait_ms = _BURST_WAIT_MS if burst else min(LONGEST_WAIT_MS, intake.lease_ms // 3)
        self._stopped = asyncio.Event()

    async def stop(self) -> None:
        """Stop pulling; deliveries of a pull that is under way go back to the store."""
        self._stopped.set()
        self._dispatcher.nudge()
        with contextlib.suppress(HueyException):
            await self._intake.interrupt()

    async def run(self) -> None:
        unheard = False
        while not self._stopped.is_set():
            await self._wait_for_room()
            if self._stopped.is_set():
                break
            if self._left <= 0:
                logger.info("Stopping, as asked to after %d tasks", self._dispatcher.taken)
                break
            asked = self._clock.monotonic()
            room = min(self._dispatcher.free, self._places or LARGEST_PULL, self._largest_pull, self._left)
            try:
                deliveries = await (self._adopt() if unheard else self._pull(room))
            except HueyException as error:
                logger.warning("No new tasks for now: %s", error)
                unheard = True
                await self._clock.wait(self._stopped, _PAUSE_SECONDS)
                continue
            # This process was frozen for a lease meanwhile: another worker may own these already, so ask again.
            unheard = (self._clock.monotonic() - asked) * 1000 >= self._intake.lease_ms
            if unheard:
                continue
            if len(deliveries) < room:
                self._forget_crowds()
            self._take(deliveries)
            if len(deliveries) < room:
                # The queues are empty: send verdicts first, because callers may wait for them.
                await asyncio.sleep(0)
            if self._burst and not deliveries and await self._is_over():
                break

    @property
    def _left(self) -> int:
        """How many more tasks may be started here."""
        return LARGEST_PULL if self._most is None else self._most - self._dispatcher.taken

    async def _wait_for_room(self) -> None:
        while not self._stopped.is_set() and (self._dispatcher.free <= 0 or self._loader.is_full):
            await self._dispatcher.next_move()
        await self._settler.wait_until_below(_MOST_UNSETTLED)
        crowded = [slots for slots in self._slots if slots.is_crowded]
        if crowded or self._most is not None:
            # A run learns in its first step whether it has a place. So let the runs that were just taken make theirs.
            await asyncio.sleep(0)
        if crowded:
            await self._wait_for_place()

    @property
    def _places(self) -> int:
        """How many more runs fit into the kind that is crowded most, at most `LARGEST_PULL`."""
        return max(min((slots.places for slots in self._slots if slots.is_crowded), default=LARGEST_PULL), 0)

    async def _wait_for_place(self) -> None:
        """Wait for a place in each crowded kind, but not long: tasks of other kinds may be in line behind those."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PAUSE_SECONDS):
                while not self._places and not self._stopped.is_set():
                    await self._dispatcher.next_move()

    def _forget_crowds(self) -> None:
        """Ask for as many as usual again: the line that a crowd came from has ended."""
        for slots in self._slots:
            slots.is_crowded = False

    async def _pull(self, room: int) -> list[Delivery]:
        return await self._intake.pull(room, self._wait_ms) if room > 0 else []

    async def _adopt(self) -> list[Delivery]:
        """The deliveries that the store lent to this worker in a reply that got lost."""
        return await self._intake.adopt(self._dispatcher.held)

    def _take(self, deliveries: list[Delivery]) -> None:
        surplus = deliveries if self._stopped.is_set() else self._loader.surplus(deliveries)
        if surplus:
            for delivery in surplus:
                self._dispatcher.give_back(delivery)
            # What comes next may be as large: one at a time, until more prove to be small.
            self._largest_pull = 1
            deliveries = [delivery for delivery in deliveries if delivery not in surplus]
        elif self._largest_pull < LARGEST_PULL and deliveries and not any(each.unread for each in deliveries):
            self._largest_pull = min(2 * self._largest_pull, LARGEST_PULL)
        self._dispatcher.start(deliveries)

    async def _is_over(self) -> bool:
        if self._dispatcher.is_busy or self._settler.backlog:
            return False
        try:
            return (await self._storage.promote(LARGEST_PULL)).moved == 0
        except HueyException as error:
            logger.warning("Whether tasks are left is not known for now: %s", error)
            return False
