"""The sign of life of a worker on the memory storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from ...core.message import Receipt
    from ..protocol import Renewal
    from .store import MemoryStorage


class MemoryLeaseKeeper:
    """Implements ``storage.protocol.LeaseKeeper``."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    def renew(self, receipts: Collection[Receipt], consumer: str, description: bytes) -> Renewal:
        return self._storage.renew(receipts, consumer, description)

    def close(self) -> None:
        """Nothing to give back."""
