"""Load payloads that the store keeps back when it lends their tasks, because they are large.

They come a flight at a time (see ``core.patience``), in the order in which they were asked for, and freight comes apart
from what is small. While it has more than a few to load, and more bytes than one flight, the worker takes no further
tasks: the line of another worker may be free.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ...core.patience import FLIGHT_BYTES, FREIGHT_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from ...core.message import Delivery

# As many may always be asked for, whatever their size, so that one large payload does not keep small tasks out.
_MOST_ASKED = 4


class Loader:
    """Loads payloads with ``fetch``, which is that of ``Intake.load``."""

    def __init__(self, fetch: Callable[[Delivery], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._asked = 0
        self._asked_bytes = 0
        self._small = _Room()
        self._freight = _Room()

    async def load(self, delivery: Delivery) -> bytes:
        """The payload of `delivery`. Raises like ``Intake.load``."""
        size = delivery.unread
        self._asked += 1
        self._asked_bytes += size
        try:
            async with (self._small if size <= FREIGHT_BYTES else self._freight).for_bytes(size):
                return await self._fetch(delivery)
        finally:
            self._asked -= 1
            self._asked_bytes -= size

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


class _Room:
    """Room for the bytes of one flight, given in the order in which it is asked for."""

    def __init__(self) -> None:
        self._taken = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def for_bytes(self, size: int) -> AsyncIterator[None]:
        """Room for `size` bytes during the block; what is larger than a flight gets all of it."""
        async with self._turn:
            while self._taken and self._taken + size > FLIGHT_BYTES:
                self._freed.clear()
                await self._freed.wait()
            self._taken += size
        try:
            yield
        finally:
            self._taken -= size
            self._freed.set()


def _is_too_much(number: int, size: int) -> bool:
    return number > _MOST_ASKED and size > FLIGHT_BYTES
