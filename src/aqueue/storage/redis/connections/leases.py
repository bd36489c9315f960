"""A worker's sign of life: a connection of its own, used from a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, NoScriptError, RedisError

from ....core.patience import STILL_SECONDS
from ...protocol import Renewal
from ..packing import batches
from ..scripts import RENEW
from .errors import is_wrong_server, unavailable
from .primary import run_id

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ....core.message import Receipt
    from ...protocol import Borrower
    from ..keys import Keys
    from .primary import Primary


class RedisLeaseKeeper:
    """Implements ``storage.protocol.LeaseKeeper`` over a blocking connection."""

    def __init__(self, primary: Primary, keys: Keys, borrower: Borrower) -> None:
        self._primary = primary
        self._connection = primary.address.sync_connection(f"aq:{keys.namespace}:leases", STILL_SECONDS)
        self._term = -1
        self._prefix = keys.prefix
        self._borrower = borrower

    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        ours = list(receipts)
        renewal = Renewal([], [])
        try:
            if self._term != self._primary.term:
                self._connect()
            # Without a delivery, too: the worker is alive.
            for batch in list(batches(ours)) or [ours]:
                lost, to_cancel = self._renew(batch, description)
                renewal.lost.extend(batch[position - 1] for position in lost)
                renewal.to_cancel.extend(batch[position - 1] for position in to_cancel)
        except (RedisError, OSError) as error:
            self._connection.disconnect()
            if is_wrong_server(error):
                self._primary.leave(self._term)
            self._term = -1
            raise unavailable(self._primary, error) from error
        return renewal

    def close(self) -> None:
        self._connection.disconnect()

    def _connect(self) -> None:
        """Connect to the server to which the other connections are, or that the address leads to from now on."""
        self._connection.disconnect()
        try:
            info = self._call("INFO", "server")
        except NoPermissionError:
            info = b""
        # Nothing to end: it looks at the term before each use.
        self._term = self._primary.join(self, run_id(info), lambda: None)

    def _renew(self, batch: Sequence[Receipt], description: bytes) -> tuple[list[int], list[int]]:
        arguments: list[Any] = [self._borrower.consumer, self._borrower.lease_ms, description]
        for receipt in batch:
            arguments += (receipt.place, receipt.entry, receipt.count)
        by_digest, by_source = RENEW.commands(self._prefix, *arguments)
        try:
            lost, to_cancel = self._call(*by_digest)
        except NoScriptError:
            lost, to_cancel = self._call(*by_source)
        return lost, to_cancel

    def _call(self, *command: Any) -> Any:
        self._connection.send_command(*command, check_health=False)
        return self._connection.read_response()
