"""Redis or Valkey as a store: streams, one consumer group each, whose pending list is the lease table.

Every state move is one Lua script (``lua/``); this module turns batches into script calls and replies into values.
"""

from __future__ import annotations

import asyncio
import weakref
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ...core.lifecycle import VERDICTS, State
from ...core.message import Envelope
from ...core.patience import flights
from ..protocol import Advance, Borrower, Promotion, Record
from . import layout, packing
from .admin import RedisAdmin
from .connections.address import Address
from .connections.events import EventStream
from .connections.primary import Primary
from .connections.server import Server
from .intake import RedisIntake
from .keys import Keys, priority_of, queue_of
from .packing import BATCH, batches
from .scripts import (
    ADVANCE,
    CANCEL,
    ENVELOPES,
    LOOK,
    PROMOTE,
    PUSH,
    PUSH_WORKFLOW,
    PUT_BACK,
    REPORT,
    RESTORE,
    RETIRE,
    REVOKE,
    REVOKED,
    SETTLE,
    SETTLE_LINKED,
)
from .server_info import ServerInfo
from .shared import RedisSharedState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ...core.lifecycle import Settlement
    from ...core.message import Node, Receipt
    from ..protocol import Description, Event, QueueDepth, WorkerInfo

_Reply = TypeVar("_Reply")

# What the settlements of one script call share: lane, consumer, whether they end their tasks, whether other nodes wait
# for these tasks, and how long a dead letter is kept.
_Origin: TypeAlias = tuple[str, str, bool, bool, int]


_payload_of: Callable[[Envelope], bytes] = attrgetter("payload")
_result_of: Callable[[Settlement], bytes] = attrgetter("result")


class RedisStorage:
    """Implements ``storage.protocol.Storage``."""

    def __init__(self, url: str, namespace: str) -> None:
        self._address = Address(url)
        self._keys = Keys(namespace)
        self._connect_anew()

    def _connect_anew(self) -> None:
        """Create new connections, which are opened later: a connection works only in the event loop that opened it."""
        self._primary = Primary(self._address, self._keys)
        self._server = Server(self._primary, self._keys)
        self._info = ServerInfo(self._address, self._server, self._keys)
        self._intakes: weakref.WeakSet[RedisIntake] = weakref.WeakSet()
        self.shared = RedisSharedState(self._server, self._keys)
        self.admin = RedisAdmin(self._server, self._info, self._keys)
        self._event_streams: list[EventStream] = []

    async def open(self) -> None:
        self._connect_anew()
        await self._server.open()
        try:
            await self._info.check()
            await layout.check(self._server, self._address, self._keys)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        for stream in self._event_streams:
            await stream.close()
        for intake in list(self._intakes):
            await intake.close()
        await self._server.close()

    async def describe(self) -> Description:
        return await self._info.describe()

    # -- the way in

    async def push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        # One flight after the other, for the order of the tasks is that of the envelopes.
        kept: list[bool] = []
        for flight in flights(envelopes, _payload_of):
            kept += await self._push(flight)
        return kept

    async def _push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        kept = [False] * len(envelopes)
        calls = list(packing.pushes(envelopes))
        replies = await _together([self._server.run(PUSH, *arguments) for _, arguments in calls])
        for (batch, _), reply in zip(calls, replies, strict=True):
            for position, new in zip(batch, reply, strict=True):
                kept[position] = bool(new)
        return kept

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        return list(map(bool, await self._server.run(PUSH_WORKFLOW, *packing.nodes(nodes))))

    # -- the way out

    def open_intake(self, consumer: str, queues: Sequence[str], lease_ms: int) -> RedisIntake:
        borrower = Borrower(consumer, tuple(queues), lease_ms)
        intake = RedisIntake(self._primary, self._server, self._info, self._keys, self.settle, borrower)
        self._intakes.add(intake)
        return intake

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        accepted: list[bool] = []
        for flight in flights(settlements, _result_of):
            accepted += await self._settle(flight)
        return accepted

    async def _settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        calls: list[tuple[Sequence[int], Any]] = []
        for origin, positions in packing.grouped(settlements, _origin).items():
            for batch in batches(positions):
                calls.append((batch, self._settle_batch(origin, [settlements[position] for position in batch])))
        accepted = [False] * len(settlements)
        for (batch, _), (reply, repeated) in zip(calls, await _together([call for _, call in calls]), strict=True):
            for position, answer in zip(batch, reply, strict=True):
                # If a repeated call does not find the delivery, the first try settled it and its reply was lost.
                accepted[position] = answer == 1 or (repeated and answer == -1)
        return accepted

    async def _settle_batch(self, origin: _Origin, settlements: list[Settlement]) -> tuple[Any, bool]:
        lane, consumer, is_final, linked, dead_ttl_ms = origin
        run = self._server.run_noting_repeats
        if not is_final:
            return await run(PUT_BACK, consumer, lane, *packing.returns(settlements))
        script = SETTLE_LINKED if linked else SETTLE
        return await run(script, consumer, lane, dead_ttl_ms, *packing.verdicts(settlements))

    async def report(self, receipt: Receipt, task_id: str, progress: bytes, reply: str) -> bool:
        delivery = (receipt.consumer, receipt.place, receipt.entry, receipt.count)
        return bool(await self._server.run(REPORT, *delivery, task_id, progress, reply))

    # -- schedules

    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        arguments = (name, seen, state, *packing.envelopes(envelopes))
        answer, repeated = await self._server.run_noting_repeats(ADVANCE, *arguments)
        return Advance.MADE if answer and repeated else Advance(answer)

    async def schedules(self) -> dict[str, bytes]:
        return await self._info.schedules()

    # -- revoking and cancelling

    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await self._server.run(REVOKE, key, until_ms, "once" if once else "ever", keep_ms)

    async def restore(self, key: str) -> bool:
        return bool(await self._server.run(RESTORE, key))

    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        answers: list[bool] = []
        for batch in batches(keys):
            pairs = (part for pair in batch for part in pair)
            answers += map(bool, await self._server.run(REVOKED, int(consume), *pairs))
        return answers

    async def cancel(
        self,
        task_id: str,
        result: bytes,
        ttl_ms: int,
        reply: str,
        instead: Envelope | None = None,
        *,
        if_lent: bool = True,
    ) -> bool:
        arguments = (task_id, result, ttl_ms, reply, int(if_lent), *packing.envelopes([instead] if instead else []))
        answer, repeated = await self._server.run_noting_repeats(CANCEL, *arguments)
        return answer == 1 or (repeated and answer == -1)

    async def envelopes(self, task_ids: Sequence[str]) -> list[Envelope | None]:
        found: list[Envelope | None] = []
        for asked in batches(task_ids):
            found += map(_envelope, asked, await self._server.run(ENVELOPES, *asked))
        return found

    # -- upkeep

    async def promote(self, limit: int) -> Promotion:
        moved, next_ms = await self._server.run(PROMOTE, min(limit, BATCH))
        return Promotion(moved, next_ms if next_ms >= 0 else None)

    async def retire(self, consumer: str) -> None:
        await self._server.run(RETIRE, consumer, *(await self._info.lanes()).all)

    # -- looking

    async def now_ms(self) -> int:
        return await self._info.now_ms()

    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        records: list[Record | None] = []
        while len(records) < len(task_ids):
            page = task_ids[len(records) : len(records) + BATCH]
            reply = await self._server.run(LOOK, watcher, *page)
            for task_id, (state, result, progress) in zip(page, reply, strict=False):
                if isinstance(result, int):
                    # It may have expired since.
                    result = await self._server.fetch(self._keys.tasks + task_id, "r", result)
                known = state and result is not None
                records.append(Record(State(state.decode()), result, progress) if known else None)
        return records

    async def depths(self) -> list[QueueDepth]:
        return await self._info.depths()

    async def workers(self) -> list[WorkerInfo]:
        return await self._info.workers()

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        stream = EventStream(self._primary, self._keys, self._hear_of)
        self._event_streams.append(stream)
        watch = asyncio.create_task(self._server.watch(), name="aqueue-redis-watch")
        try:
            await stream.listen(client, handle)
        finally:
            watch.cancel()
            self._event_streams.remove(stream)

    def _hear_of(self, lane: str) -> None:
        for intake in self._intakes:
            intake.hear_of(lane)


def _origin(settlement: Settlement) -> _Origin:
    receipt = settlement.receipt
    is_final = settlement.state in VERDICTS
    return receipt.place, receipt.consumer, is_final, settlement.linked, settlement.dead_ttl_ms


async def _together(calls: list[Coroutine[Any, Any, _Reply]]) -> list[_Reply]:
    """The replies of `calls`, which are sent together."""
    if len(calls) == 1:
        return [await calls[0]]
    # Not a task group: callers do not expect its ExceptionGroup, and its cancellations would lose replies.
    replies: list[_Reply] = []
    for reply in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(reply, BaseException):
            raise reply
        replies.append(reply)
    return replies


def _envelope(task_id: str, reply: list[bytes]) -> Envelope | None:
    if not reply:
        return None
    payload, name = reply
    lane = name.decode()
    return Envelope(task_id, payload, queue_of(lane), priority_of(lane))
