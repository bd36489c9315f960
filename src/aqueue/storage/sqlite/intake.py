"""One worker's way to its tasks in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...exceptions import QueueUnavailable
from .leases import SqliteLeaseKeeper
from .steps import leases
from .wakeup import READY

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    from ...core.clock import Clock
    from ...core.message import Delivery, Receipt
    from ..protocol import Borrower
    from .location import Location
    from .session import Session


class SqliteIntake:
    """Implements ``storage.protocol.Intake``. `session` gives the present session of the storage."""

    def __init__(
        self, session: Callable[[], Session], location: Location, namespace: str, clock: Clock, borrower: Borrower
    ) -> None:
        self.lease_ms = borrower.lease_ms
        self._borrower = borrower
        self._session = session
        self._location = location
        self._namespace = namespace
        self._clock = clock
        self._called: asyncio.Event | None = None
        self._interrupted = False

    async def pull(self, limit: int, wait_ms: int) -> list[Delivery]:
        session = self._session()
        deadline = self._clock.monotonic() + wait_ms / 1000
        self._interrupted = False
        with session.waiters.waiting(READY) as called:
            self._called = called
            while True:
                called.clear()
                deliveries = await session.writer.change(leases.claim, self._borrower, limit)
                seconds = deadline - self._clock.monotonic()
                if deliveries or seconds <= 0 or self._interrupted:
                    return deliveries
                # A new socket has missed what was pushed before it was there.
                if not session.peers.listen_for(READY):
                    await self._clock.wait(called, seconds)
                if session.is_closed:
                    raise QueueUnavailable(f"{self._location.path} was closed")

    async def load(self, delivery: Delivery) -> bytes:
        return await self._session().writer.look(leases.load, delivery.receipt)

    async def interrupt(self) -> None:
        self._interrupted = True
        if self._called is not None:
            self._called.set()

    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        return await self._session().writer.change(leases.adopt, self._borrower, held)

    async def reclaim(self, limit: int, suspect_count: int = 0, most_suspects: int = 0) -> list[Delivery]:
        limits = (limit, suspect_count, most_suspects)
        return await self._session().writer.change(leases.reclaim, self._borrower, limits)

    def lease_keeper(self) -> SqliteLeaseKeeper:
        return SqliteLeaseKeeper(self._location, self._namespace, self._clock, self._borrower)

    async def close(self) -> None:
        """Nothing to give back: the storage has the connection."""
