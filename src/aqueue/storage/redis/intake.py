"""How one worker gets its tasks: new ones over a reader of its own, lent ones over the command connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.lifecycle import Settlement, State
from .connections.leases import RedisLeaseKeeper
from .connections.reader import Reader, delivery_of, flagged_if
from .packing import BATCH
from .scripts import ADOPT, RECLAIM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from ...core.message import Delivery, Receipt
    from ..protocol import Borrower
    from .connections.primary import Primary
    from .connections.server import Server
    from .keys import Keys
    from .server_info import ServerInfo


class RedisIntake:
    """Implements ``storage.protocol.Intake``. `settle` is that of the storage."""

    def __init__(
        self,
        primary: Primary,
        server: Server,
        info: ServerInfo,
        keys: Keys,
        settle: Callable[[Sequence[Settlement]], Awaitable[list[bool]]],
        borrower: Borrower,
    ) -> None:
        self.lease_ms = borrower.lease_ms
        self._borrower = borrower
        self._primary = primary
        self._server = server
        self._info = info
        self._keys = keys
        self._settle = settle
        self._reader = Reader(primary, server, keys, borrower)

    async def pull(self, limit: int, wait_ms: int) -> list[Delivery]:
        if limit <= 0:
            return []
        deliveries = await self._reader.pull(limit, wait_ms)
        if len(deliveries) > limit:
            await self._settle([_untouched(delivery) for delivery in deliveries[limit:]])
        return deliveries[:limit]

    async def load(self, delivery: Delivery) -> bytes:
        return await self._server.fetch(self._keys.tasks + delivery.id, "p", delivery.unread) or b""

    async def interrupt(self) -> None:
        await self._reader.interrupt()

    def hear_of(self, lane: str) -> None:
        """A task is in `lane`, for the first time ever."""
        self._reader.hear_of(lane)

    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        consumer, queues, lease_ms = self._borrower
        lanes = (await self._info.lanes()).of(queues)
        entries = [f"{receipt.place} {receipt.entry}" for receipt in held]
        most = len(entries) + BATCH
        return self._deliveries(
            lanes, await self._server.run(ADOPT, consumer, lease_ms, most, len(lanes), *lanes, *entries)
        )

    async def reclaim(self, limit: int, suspect_count: int = 0, most_suspects: int = 0) -> list[Delivery]:
        consumer, queues, lease_ms = self._borrower
        lanes = (await self._info.lanes()).of(queues)
        limits = (min(limit, BATCH), suspect_count, most_suspects)
        return self._deliveries(lanes, await self._server.run(RECLAIM, consumer, lease_ms, *limits, *lanes))

    def lease_keeper(self) -> RedisLeaseKeeper:
        return RedisLeaseKeeper(self._primary, self._keys, self._borrower)

    async def close(self) -> None:
        await self._reader.close()

    def _deliveries(self, lanes: list[str], reply: list[Any]) -> list[Delivery]:
        revocations, *found = reply
        deliveries = [
            delivery_of(self._borrower.consumer, lanes[number - 1], entry, count, fields)
            for number, entry, count, fields in found
        ]
        return flagged_if(revocations, deliveries)


def _untouched(delivery: Delivery) -> Settlement:
    """The settlement that returns a delivery that no worker began."""
    return Settlement(delivery.receipt, delivery.id, State.QUEUED, failures=delivery.failures)
