"""How a worker keeps its leases: with a connection of its own, in a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...exceptions import HueyException, QueueUnavailable
from .connection import Link
from .steps import leases

if TYPE_CHECKING:
    from collections.abc import Collection

    from ...core.clock import Clock
    from ...core.message import Receipt
    from ..protocol import Borrower, Renewal
    from .location import Location


class SqliteLeaseKeeper:
    """Implements ``storage.protocol.LeaseKeeper``. Connects when it is first used, and again after an error."""

    def __init__(self, location: Location, namespace: str, clock: Clock, borrower: Borrower) -> None:
        self._location = location
        self._namespace = namespace
        self._clock = clock
        self._borrower = borrower
        self._link: Link | None = None

    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        try:
            if self._link is None:
                self._link = Link(self._location, self._namespace, create=False)
            with self._link.transaction(self._clock) as transaction:
                return leases.renew(transaction, self._borrower, receipts, description)
        except HueyException as error:
            self.close()
            raise QueueUnavailable(f"the leases could not be renewed: {error}") from error

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
