"""Load payloads that the store keeps back when it lends their tasks, because they are large.

They come a flight at a time (see ``core.patience``), in the order in which they were asked for. A worker that has more
of them to load than its line carries at once takes no further tasks: others may have a line that is free.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...core.patience import FLIGHT_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ...core.message import Delivery

# As many may always be asked for, whatever their size, so that one large payload does not keep small tasks out.
_MOST_ASKED = 4


class Loader:
    """Loads payloads with ``fetch``, which is that of ``Intake.load``."""

    def __init__(self, fetch: Callable[[Delivery], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._asked = 0
        self._asked_bytes = 0
        self._under_way = 0
        self._turn = asyncio.Lock()
        self._landed = asyncio.Event()

    async def load(self, delivery: Delivery) -> bytes:
        """The payload of `delivery`. Raises like ``Intake.load``."""
        size = delivery.unread
        self._asked += 1
        self._asked_bytes += size
        try:
            async with self._turn:
                while self._under_way and self._under_way + size > FLIGHT_BYTES:
                    self._landed.clear()
                    await self._landed.wait()
                self._under_way += size
            try:
                return await self._fetch(delivery)
            finally:
                self._under_way -= size
        finally:
            self._asked -= 1
            self._asked_bytes -= size
            self._landed.set()

    def surplus(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Those of `deliveries` whose payloads would have to wait for others: another worker may load them sooner."""
        asked, size, surplus = self._asked, self._asked_bytes, []
        for delivery in deliveries:
            if delivery.unread:
                asked, size = asked + 1, size + delivery.unread
                if _is_too_much(asked, size):
                    surplus.append(delivery)
        return surplus

    @property
    def is_full(self) -> bool:
        """Whether any further payload would be surplus."""
        return _is_too_much(self._asked + 1, self._asked_bytes)


def _is_too_much(number: int, size: int) -> bool:
    return number > _MOST_ASKED and size > FLIGHT_BYTES
