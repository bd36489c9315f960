"""A worker's sign of life: a connection of its own, used from a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError

from ...protocol import Renewal
from ..keys import GROUP
from ..scripts import RENEW
from .commands import REPLY_SECONDS
from .server import unavailable

if TYPE_CHECKING:
    from collections.abc import Collection

    from ....core.message import Receipt
    from ..keys import Keys
    from .address import Address

# A script blocks the server for everybody: 500 renewals take about 2 ms.
_BATCH = 500


class RedisLeaseKeeper:
    """Implements ``storage.protocol.LeaseKeeper`` over a blocking connection."""

    def __init__(self, address: Address, name: str, keys: Keys) -> None:
        self._address = address
        self._connection = address.sync_connection(name, REPLY_SECONDS)
        self._keys = keys

    def renew(self, receipts: Collection[Receipt], consumer: str, description: bytes) -> Renewal:
        ours = list(receipts)
        renewal = Renewal([], [])
        try:
            for start in range(0, max(len(ours), 1), _BATCH):
                batch = ours[start : start + _BATCH]
                lost, to_cancel = self._renew(batch, consumer, description)
                renewal.lost.extend(batch[position - 1] for position in lost)
                renewal.to_cancel.extend(batch[position - 1] for position in to_cancel)
        except (RedisError, OSError) as error:
            self._connection.disconnect()
            raise unavailable(self._address, error) from error
        return renewal

    def close(self) -> None:
        self._connection.disconnect()

    def _renew(self, batch: list[Receipt], consumer: str, description: bytes) -> tuple[list[int], list[int]]:
        places = sorted({receipt.place for receipt in batch})
        number = {place: index for index, place in enumerate(places, start=1)}
        keys = (self._keys.workers, self._keys.to_cancel, *map(self._keys.stream, places))
        arguments: list[Any] = [len(keys), *keys, GROUP, consumer, description]
        for receipt in batch:
            arguments += (number[receipt.place], receipt.entry, receipt.count)
        try:
            lost, to_cancel = self._call("EVALSHA", RENEW.digest, *arguments)
        except NoScriptError:
            lost, to_cancel = self._call("EVAL", RENEW.source, *arguments)
        return lost, to_cancel

    def _call(self, *command: Any) -> Any:
        self._connection.send_command(*command, check_health=False)
        return self._connection.read_response()
