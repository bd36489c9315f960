"""Slots of the kinds that are scarcer than `concurrency`: threads, and child processes.

A worker does not know of which kind a task is before it has pulled it. So a run waits in line for a slot of its kind,
and as many may wait as there are slots, so that no slot is idle between two pulls. What comes beyond that goes back to
the store, where a worker with free slots finds it, and the fetcher asks for fewer tasks from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class NoSlot(Exception):
    """The run cannot have a slot here, and goes back to the store."""


class Slots:
    """`size` slots, given to runs in the order in which they ask.

    `lost` is the number of slots whose run has ended while its body goes on. `is_crowded` is set when a run was turned
    away; the fetcher resets it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.lost = 0
        self.is_crowded = False
        # Below 0 after a run took a slot back without waiting for it.
        self._free = size
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def places(self) -> int:
        """How many more runs may come, to use a slot or to wait for one."""
        return 0 if self.lost >= self.size else self._free + self.size - len(self._line)

    @property
    def waiting(self) -> int:
        """How many runs wait for a slot."""
        return len(self._line)

    @contextlib.asynccontextmanager
    async def hold(self, may_turn_away: bool) -> AsyncIterator[None]:
        """A context in which the run has a slot.

        Raises:
            NoSlot: too many runs wait already and this one `may_turn_away`, or no slot is left to wait for.
        """
        if may_turn_away and self.places <= 0:
            self.is_crowded = True
            raise NoSlot
        await self.take()
        try:
            yield
        finally:
            self.give()

    async def take(self) -> None:
        """Take a slot, as soon as there is one; raises like ``hold``."""
        if self._free > 0:
            self._free -= 1
            return
        if self.lost >= self.size:
            self.is_crowded = True
            raise NoSlot
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._line:
                self._line.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self.give()
            raise

    def take_at_once(self) -> None:
        """Take a slot even if none is free; then the next ones that are given stay taken."""
        self._free -= 1

    def give(self) -> None:
        """Give a slot back, to the run that has waited longest."""
        self._free += 1
        while self._free > 0 and self._line:
            turn = self._line.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)

    def lose(self) -> None:
        """Keep the slot of a run occupied after its end, until ``regain``. With the last slot, all that wait go."""
        self.take_at_once()
        self.lost += 1
        if self.lost >= self.size:
            self.is_crowded = True
            while self._line:
                turn = self._line.popleft()
                if not turn.done():
                    turn.set_exception(NoSlot())

    def regain(self) -> None:
        """The body that occupied a lost slot has ended."""
        self.lost -= 1
        self.give()
