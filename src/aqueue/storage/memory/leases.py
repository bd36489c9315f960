"""How a worker keeps its leases in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ...core.message import Receipt
    from ..protocol import Renewal


class MemoryLeaseKeeper:
    """Implements ``storage.protocol.LeaseKeeper``, by means of `renew`."""

    def __init__(self, renew: Callable[[Collection[Receipt], bytes], Renewal]) -> None:
        self._renew = renew

    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        return self._renew(receipts, description)

    def close(self) -> None:
        """Nothing to give back."""
