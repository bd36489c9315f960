"""The blocking reader: one connection on which a worker waits for new tasks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError, ResponseError

from ....core.message import Delivery, Receipt
from ....core.patience import LANES_SECONDS, UNBLOCK_SECONDS
from ....exceptions import QueueUnavailable
from ..keys import GROUP, Lanes, queue_of
from ..scripts import JOIN, PULL
from .errors import BROKEN, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...protocol import Borrower
    from ..keys import Keys
    from .primary import Primary
    from .server import Server


class Reader:
    """Pulls deliveries for one worker. One call at a time."""

    def __init__(self, primary: Primary, server: Server, keys: Keys, borrower: Borrower) -> None:
        self._primary = primary
        self._connection = primary.connection("reader")
        self._connection_id: int | None = None
        self._server = server
        self._keys = keys
        self._borrower = borrower
        self._lanes = Lanes()
        self._look_at = 0.0
        self._waiting = False
        self._interrupted = False
        self._has_new_lane = False
        self._waking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        await self._connection.close()

    async def pull(self, limit: int, wait_ms: int) -> list[Delivery]:
        """See ``Intake.pull``; gives a few more than `limit` where several lanes wake it at once."""
        try:
            if not self._connection.is_connected:
                await self._connect()
            try:
                return await self._pull(limit, wait_ms)
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            # A new namespace, or one that was flushed.
            await self._join()
            return await self._pull(limit, wait_ms)
        except (*BROKEN, RedisError) as error:
            await self._connection.give_up(error)
            raise unavailable(self._primary, error) from error
        except asyncio.CancelledError:
            # The reply is still to come, and nobody will read it.
            await self._connection.give_up()
            raise

    async def interrupt(self) -> None:
        """End the wait of a ``pull``; what it was just given is returned, not lost."""
        self._interrupted = True
        await self._end_wait()

    def hear_of(self, lane: str) -> None:
        """`lane` is new: a `pull` that waits begins to read it, if it is one of ours."""
        queues = self._borrower.queues
        if queue_of(lane) in queues and lane not in self._lanes.of(queues):
            self._has_new_lane = True
            if self._waking is None or self._waking.done():
                self._waking = asyncio.create_task(self._wake())

    async def _wake(self) -> None:
        # During an outage nothing waits for long.
        with contextlib.suppress(QueueUnavailable):
            await self._end_wait()

    async def _end_wait(self) -> None:
        while self._waiting:
            if await self._server.call("CLIENT", "UNBLOCK", self._connection_id):
                break
            await asyncio.sleep(UNBLOCK_SECONDS)

    async def _pull(self, limit: int, wait_ms: int) -> list[Delivery]:
        deadline = time.monotonic() + wait_ms / 1000
        while True:
            if self._has_new_lane or time.monotonic() >= self._look_at:
                await self._learn_lanes()
            lanes = self._lanes.of(self._borrower.queues)
            if len(lanes) > 1 and (deliveries := await self._read_in_order(lanes, limit)):
                return deliveries
            if self._has_new_lane:
                continue
            left_ms = 0 if self._interrupted else round((deadline - time.monotonic()) * 1000)
            if len(lanes) > 1 and left_ms <= 0:
                self._interrupted = False
                return []
            deliveries = await self._read(lanes, limit, left_ms)
            if deliveries or not self._has_new_lane:
                # Nothing more for now: whatever comes next may be on a lane that is new.
                self._look_at = self._look_at if deliveries else 0.0
                return deliveries

    async def _learn_lanes(self) -> None:
        self._has_new_lane = False
        self._lanes.learn(await self._call("SMEMBERS", self._keys.lanes))
        self._look_at = time.monotonic() + LANES_SECONDS

    async def _read_in_order(self, lanes: list[str], limit: int) -> list[Delivery]:
        """Without waiting, the ready tasks of several lanes, highest priority first."""
        revocations, is_new, *found = await self._run_pull(lanes, limit)
        if is_new:
            await self._join()
            left = limit - sum(len(entries) for _, entries in found)
            revocations, _, *more = await self._run_pull(lanes, left) if left > 0 else (revocations, 0)
            found += more
        consumer = self._borrower.consumer
        deliveries = [each for number, entries in found for each in fresh(consumer, lanes[number - 1], entries)]
        return flagged_if(revocations, deliveries)

    async def _run_pull(self, lanes: list[str], limit: int) -> Any:
        by_digest, by_source = PULL.commands(self._keys.prefix, self._borrower.consumer, limit, *lanes)
        try:
            return await self._call(*by_digest)
        except NoScriptError:
            return await self._call(*by_source)

    async def _read(self, lanes: list[str], limit: int, wait_ms: int) -> list[Delivery]:
        """The ready tasks of `lanes`, waiting for the first one."""
        consumer = self._borrower.consumer
        streams = [*map(self._keys.stream, lanes)]
        # COUNT holds for each stream, so it is cut.
        count = max(limit // len(lanes), 1)
        block = ("BLOCK", wait_ms) if wait_ms > 0 else ()
        ends = (">",) * len(streams)
        command = ("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, *block, "STREAMS", *streams, *ends)
        self._waiting = wait_ms > 0
        try:
            reply, revocations = await self._call_and_count_revocations(command, max(wait_ms, 0) / 1000)
        finally:
            self._waiting = self._interrupted = False
        deliveries: list[Delivery] = []
        for stream, entries in reply or ():
            lane = stream[len(self._keys.streams) :].decode()
            deliveries += fresh(consumer, lane, entries)
        return flagged_if(revocations, deliveries)

    async def _call(self, *command: Any) -> Any:
        with self._connection.deadline():
            await self._connection.send(command)
            return await self._connection.read()

    async def _call_and_count_revocations(self, command: tuple[Any, ...], quiet: float) -> tuple[Any, int]:
        """The reply of `command`, and how many of the keys exist right after it that say that something is revoked."""
        with self._connection.deadline(quiet):
            await self._connection.send(command, ("EXISTS", self._keys.revocations, self._keys.to_cancel))
            try:
                reply = await self._connection.read()
            except ResponseError:
                # The reply to the other one is still to come.
                await self._connection.read()
                raise
            return reply, await self._connection.read()

    async def _connect(self) -> None:
        await self._connection.connect()
        self._connection_id = await self._call("CLIENT", "ID")
        await self._learn_lanes()
        await self._join()

    async def _join(self) -> None:
        """Have our lease noted before anything is lent to us, and have every stream a group."""
        consumer, queues, lease_ms = self._borrower
        await self._server.run(JOIN, consumer, lease_ms, *self._lanes.of(queues))


def fresh(consumer: str, lane: str, entries: Iterable[Any]) -> list[Delivery]:
    """Deliveries of entries that nobody was given before."""
    deliveries = []
    for entry, fields in entries:
        if len(fields) == 4 and fields[0] == b"i" and fields[1] and fields[2] == b"p":
            receipt = Receipt(consumer, lane, entry.decode(), 1)
            deliveries.append(Delivery(fields[1].decode("utf-8", "replace"), fields[3], receipt))
        else:
            deliveries.append(delivery_of(consumer, lane, entry, 1, fields))
    return deliveries


def flagged_if(revocations: int, deliveries: list[Delivery]) -> list[Delivery]:
    """`deliveries`, each with the flag that it may be revoked when anything is."""
    return [delivery._replace(may_be_revoked=True) for delivery in deliveries] if revocations else deliveries


def delivery_of(consumer: str, lane: str, entry: bytes, count: int, fields: list[bytes]) -> Delivery:
    """The delivery of one entry, whatever stands in it.

    An entry that aqueue did not write still becomes a delivery, with its raw fields for a payload: running it fails to
    decode, and so the stranger gets a verdict and leaves the stream like any task.
    """
    named = dict(zip(fields[::2], fields[1::2], strict=False))
    receipt = Receipt(consumer, lane, entry.decode(), count)
    try:
        task_id, unread = named[b"i"].decode(), int(named.get(b"z", 0))
        payload = b"" if unread else named[b"p"]
        base, failures = int(named.get(b"b", 0)), int(named.get(b"f", 0))
    except (KeyError, ValueError):
        task_id = ""
    if not task_id:
        return Delivery(f"stray-{entry.decode()}", b" ".join(fields), receipt, 0, count)
    return Delivery(task_id, payload, receipt, failures, base + count, unread=unread)
