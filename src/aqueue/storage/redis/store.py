"""Redis or Valkey as a store: streams, one consumer group each, whose pending list is the lease table.

Every state move is one Lua script (``lua/``); this module turns batches into script calls and replies into values.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from ...core.lifecycle import VERDICTS, State
from ...core.message import Envelope
from ..admin import MOST_LETTERS
from ..protocol import MOST_INPUT_BYTES, TOO_MUCH_INPUT, Advance, Promotion, Record
from .admin import RedisAdmin
from .connections.address import Address
from .connections.events import EventStream
from .connections.leases import RedisLeaseKeeper
from .connections.reader import Reader, delivery_of, marked_if
from .connections.server import Server
from .keys import GROUP, Keys, level_of, priority_of, queue_of
from .scripts import (
    ADOPT,
    ADVANCE,
    CANCEL,
    ENVELOPES,
    LOOK,
    PROMOTE,
    PUSH,
    PUSH_WORKFLOW,
    PUT_BACK,
    RECLAIM,
    REPORT,
    RESTORE,
    RETIRE,
    REVOKE,
    REVOKED,
    SCHEDULE,
    SETTLE,
    SETTLE_LINKED,
)
from .server_info import Insight
from .shared import RedisSharedState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence

    from ...core.lifecycle import Settlement
    from ...core.message import Delivery, Node, Receipt
    from ..protocol import Description, Event, LeaseKeeper, QueueDepth, WorkerInfo

_Item = TypeVar("_Item")
_Key = TypeVar("_Key")
_Reply = TypeVar("_Reply")

# A script blocks the server for everybody, and Lua's unpack() takes some thousand values: batches stay well below both.
BATCH = 500
BATCH_BYTES = 8 * 1024 * 1024

# Results up to this size travel in the message that tells of the verdict; larger ones are fetched by who wants them.
TOLD_BYTES = 4096


class RedisStorage:
    """Implements ``storage.protocol.Storage``."""

    def __init__(self, url: str, namespace: str, lease_ms: int) -> None:
        self.lease_ms = lease_ms
        self._address = Address(url)
        self._keys = Keys(namespace)
        self._name = f"aq:{namespace}"
        self._connect_anew()

    def _connect_anew(self) -> None:
        """Fresh connections, made here and opened later: those of an earlier event loop are of no use in another."""
        self._server = Server(self._address, f"{self._name}:commands")
        self._insight = Insight(self._address, self._server, self._keys)
        self._reader = Reader(self._address, f"{self._name}:reader", self._server, self._keys)
        self.shared = RedisSharedState(self._server, self._keys)
        self.admin = RedisAdmin(self._server, self._insight, self._keys, lambda: self.lease_ms)
        self._event_streams: list[EventStream] = []

    async def open(self) -> None:
        self._connect_anew()
        await self._server.open()
        try:
            await self._insight.check()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        for stream in self._event_streams:
            await stream.close()
        await self._reader.close()
        await self._server.close()

    async def describe(self) -> Description:
        return await self._insight.describe()

    # -- the way in

    async def push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        first = _first_positions(envelopes)
        calls: list[tuple[list[int], Any]] = []
        for (queue, priority, later), positions in _grouped(envelopes, first, _destination).items():
            level = level_of(queue, priority)
            for batch in _bounded(positions, envelopes):
                calls.append((batch, self._push(level, later, [envelopes[position] for position in batch])))
        kept = [False] * len(envelopes)
        for (batch, _), reply in zip(calls, await _together([call for _, call in calls]), strict=True):
            for position, new in zip(batch, reply, strict=True):
                kept[position] = bool(new)
        return kept

    async def _push(self, level: str, later: bool, envelopes: list[Envelope]) -> Any:
        keys = self._keys
        arguments: list[Any] = [level, keys.record_prefix]
        if later:
            arguments.append(keys.control)
            for envelope in envelopes:
                arguments += (envelope.id, envelope.payload, envelope.delay_ms, envelope.eta_ms)
            return await self._server.run(
                SCHEDULE, (keys.schedule(queue_of(level)), keys.levels, keys.bell), *arguments
            )
        for envelope in envelopes:
            arguments += (envelope.id, envelope.payload)
        return await self._server.run(PUSH, (keys.stream(level), keys.levels, keys.bell), *arguments)

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        keys = self._keys
        successors: dict[str, list[str]] = {node.envelope.id: [] for node in nodes}
        for node in nodes:
            for position, task_id in enumerate(node.after):
                successors[task_id].append(f"{position} {node.envelope.id}")
        arguments: list[Any] = [keys.record_prefix, keys.stream_prefix, keys.schedule_prefix, keys.control]
        for (task_id, payload, queue, priority, delay_ms, eta_ms), after, trigger, reply in nodes:
            join = f"{trigger} {len(after)} {delay_ms} {eta_ms} {reply}" if after else ""
            level = level_of(queue, priority)
            arguments += (task_id, payload, level, delay_ms, eta_ms, join, " ".join(successors[task_id]))
        return list(map(bool, await self._server.run(PUSH_WORKFLOW, (keys.levels, keys.bell), *arguments)))

    # -- the way out

    async def pull(self, consumer: str, queues: Sequence[str], limit: int, wait_ms: int) -> list[Delivery]:
        return await self._reader.pull(consumer, queues, limit, wait_ms) if limit > 0 else []

    async def interrupt_pull(self) -> None:
        await self._reader.interrupt()

    async def adopt(self, consumer: str, queues: Sequence[str], held: Collection[Receipt]) -> list[Delivery]:
        levels = (await self._insight.levels()).of(queues)
        keys = (self._keys.marks, self._keys.to_cancel, self._keys.pauses, *map(self._keys.stream, levels))
        entries = [f"{self._keys.stream(receipt.place)} {receipt.entry}" for receipt in held]
        found = await self._server.run(ADOPT, keys, GROUP, consumer, len(entries) + BATCH, *entries)
        return _deliveries(consumer, levels, found)

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        calls: list[tuple[list[int], Any]] = []
        everything = range(len(settlements))
        for (place, consumer, final, linked, _), positions in _grouped(settlements, everything, _origin).items():
            settle = self._put_back if not final else self._settle_linked if linked else self._settle
            for start in range(0, len(positions), BATCH):
                batch = positions[start : start + BATCH]
                calls.append((batch, settle(place, consumer, [settlements[position] for position in batch])))
        accepted = [False] * len(settlements)
        for (batch, _), (reply, repeated) in zip(calls, await _together([call for _, call in calls]), strict=True):
            for position, answer in zip(batch, reply, strict=True):
                # Gone on a repetition: it was this very call, whose reply was lost, that settled it.
                accepted[position] = answer == 1 or (repeated and answer == -1)
        return accepted

    async def _settle(self, level: str, consumer: str, settlements: list[Settlement]) -> tuple[Any, bool]:
        keys = self._keys
        arguments: list[Any] = [GROUP, consumer, keys.record_prefix, keys.reply_prefix, TOLD_BYTES]
        arguments += self._of_bury(level, settlements)
        for receipt, task_id, state, result, ttl_ms, reply, *_ in settlements:
            arguments += (receipt.entry, receipt.count, task_id, state, result, ttl_ms, reply)
        named = (keys.stream(level), keys.watchers, keys.marks, keys.to_cancel, keys.letters)
        return await self._server.run_noting_repeats(SETTLE, named, *arguments)

    async def _settle_linked(self, level: str, consumer: str, settlements: list[Settlement]) -> tuple[Any, bool]:
        named, arguments = self._of_follow()
        arguments += (consumer, *self._of_bury(level, settlements))
        for receipt, task_id, state, result, ttl_ms, reply, *_ in settlements:
            arguments += (receipt.entry, receipt.count, task_id, state, result, ttl_ms, reply)
        named += (self._keys.stream(level), self._keys.letters)
        return await self._server.run_noting_repeats(SETTLE_LINKED, named, *arguments)

    def _of_bury(self, level: str, settlements: list[Settlement]) -> tuple[Any, ...]:
        """The arguments of the scripts that begin with the part ``bury``, for settlements that are buried alike."""
        return settlements[0].dead_ttl_ms, self._keys.letter_prefix, MOST_LETTERS, level

    def _of_follow(self) -> tuple[tuple[str, ...], list[Any]]:
        """The first keys and arguments of the scripts that begin with the part ``follow``."""
        keys = self._keys
        prefixes = (keys.record_prefix, keys.stream_prefix, keys.schedule_prefix, keys.inbox_prefix, keys.reply_prefix)
        limits = (TOLD_BYTES, MOST_INPUT_BYTES, TOO_MUCH_INPUT)
        return (keys.watchers, keys.marks, keys.to_cancel), [GROUP, *prefixes, keys.control, *limits]

    async def _put_back(self, level: str, consumer: str, settlements: list[Settlement]) -> tuple[Any, bool]:
        keys = self._keys
        arguments: list[Any] = [GROUP, consumer, keys.record_prefix, level, keys.control]
        for receipt, task_id, state, _, _, _, delay_ms, eta_ms, failures, *_ in settlements:
            arguments += (receipt.entry, receipt.count, task_id, state, delay_ms, eta_ms, failures)
        named = (keys.stream(level), keys.schedule(queue_of(level)), keys.to_cancel)
        return await self._server.run_noting_repeats(PUT_BACK, named, *arguments)

    async def report(self, receipt: Receipt, task_id: str, progress: bytes, reply: str) -> bool:
        keys = (self._keys.stream(receipt.place), self._keys.record(task_id), self._keys.watchers)
        owner = (GROUP, receipt.consumer, receipt.entry, receipt.count)
        return bool(await self._server.run(REPORT, keys, *owner, progress, reply, task_id, self._keys.reply_prefix))

    # -- schedules

    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        keys = self._keys
        arguments: list[Any] = [name, seen, state, keys.control]
        arguments += (keys.record_prefix, keys.stream_prefix, keys.schedule_prefix)
        for task_id, payload, queue, priority, delay_ms, eta_ms in envelopes:
            arguments += (task_id, payload, level_of(queue, priority), delay_ms, eta_ms)
        names = (keys.schedules, keys.levels, keys.bell)
        answer, repeated = await self._server.run_noting_repeats(ADVANCE, names, *arguments)
        return Advance.MADE if answer and repeated else Advance(answer)

    async def schedules(self) -> dict[str, bytes]:
        return await self._insight.schedules()

    # -- the way out of it all

    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        keys = (self._keys.marks, self._keys.record(key))
        await self._server.run(REVOKE, keys, key, until_ms, "once" if once else "ever", keep_ms)

    async def restore(self, key: str) -> bool:
        return bool(await self._server.run(RESTORE, (self._keys.marks,), key))

    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        answers: list[bool] = []
        for start in range(0, len(keys), BATCH):
            pairs = [part for pair in keys[start : start + BATCH] for part in pair]
            names = (self._keys.marks, self._keys.to_cancel)
            answers += map(bool, await self._server.run(REVOKED, names, int(consume), *pairs))
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
        keys = self._keys
        names, arguments = self._of_follow()
        arguments += (task_id, result, ttl_ms, reply, int(if_lent))
        if instead is not None:
            level = level_of(instead.queue, instead.priority)
            arguments += (keys.record(instead.id), keys.levels, keys.bell, instead.id, instead.payload, level)
            arguments += (instead.delay_ms, instead.eta_ms)
        answer, repeated = await self._server.run_noting_repeats(CANCEL, (*names, keys.record(task_id)), *arguments)
        return answer == 1 or (repeated and answer == -1)

    async def envelopes(self, task_ids: Sequence[str]) -> list[Envelope | None]:
        found: list[Envelope | None] = []
        for start in range(0, len(task_ids), BATCH):
            asked = task_ids[start : start + BATCH]
            replies = await self._server.run(ENVELOPES, [*map(self._keys.record, asked)], self._keys.stream_prefix)
            found += map(_envelope, asked, replies)
        return found

    # -- upkeep

    async def promote(self, limit: int) -> Promotion:
        keys = self._keys
        prefixes = (keys.record_prefix, keys.stream_prefix, keys.schedule_prefix)
        moved, next_ms = await self._server.run(PROMOTE, (keys.levels,), *prefixes, min(limit, BATCH))
        return Promotion(moved, next_ms if next_ms >= 0 else None)

    async def reclaim(
        self, consumer: str, queues: Sequence[str], limit: int, suspect_count: int = 0, most_suspects: int = 0
    ) -> list[Delivery]:
        levels = (await self._insight.levels()).of(queues)
        named = (self._keys.epoch, self._keys.marks, self._keys.to_cancel, self._keys.pauses)
        keys = (*named, *map(self._keys.stream, levels))
        limits = (min(limit, BATCH), suspect_count, most_suspects)
        taken = await self._server.run(RECLAIM, keys, GROUP, consumer, self.lease_ms, *limits)
        return _deliveries(consumer, levels, taken)

    def lease_keeper(self) -> LeaseKeeper:
        return RedisLeaseKeeper(self._address, f"{self._name}:leases", self._keys)

    async def retire(self, consumer: str) -> None:
        streams = map(self._keys.stream, (await self._insight.levels()).all)
        await self._server.run(RETIRE, (self._keys.workers, *streams), GROUP, consumer)

    # -- looking

    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        keys = self._keys
        arguments = (GROUP, keys.stream_prefix, len(keys.record_prefix), watcher)
        records: list[Record | None] = []
        for start in range(0, len(task_ids), BATCH):
            looked_at = map(keys.record, task_ids[start : start + BATCH])
            for state, result, progress in await self._server.run(LOOK, (keys.watchers, *looked_at), *arguments):
                records.append(Record(State(state.decode()), result, progress) if state else None)
        return records

    async def depths(self) -> list[QueueDepth]:
        return await self._insight.depths()

    async def workers(self) -> list[WorkerInfo]:
        return await self._insight.workers()

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        stream = EventStream(self._address, f"{self._name}:events", self._keys)
        self._event_streams.append(stream)
        try:
            await stream.listen(client, handle)
        finally:
            self._event_streams.remove(stream)


def _destination(envelope: Envelope) -> tuple[str, int, bool]:
    return envelope.queue, envelope.priority, bool(envelope.delay_ms or envelope.eta_ms)


def _origin(settlement: Settlement) -> tuple[str, str, bool, bool, int]:
    receipt = settlement.receipt
    is_final = settlement.state in VERDICTS
    return receipt.place, receipt.consumer, is_final, settlement.linked, settlement.dead_ttl_ms


def _first_positions(envelopes: Sequence[Envelope]) -> Iterable[int]:
    """The position of each id where it stands first: within one batch too, the first of an id is the task."""
    if len({envelope.id for envelope in envelopes}) == len(envelopes):
        return range(len(envelopes))
    return sorted({envelope.id: position for position, envelope in reversed(list(enumerate(envelopes)))}.values())


def _grouped(items: Sequence[_Item], positions: Iterable[int], key: Callable[[_Item], _Key]) -> dict[_Key, list[int]]:
    """The `positions` in `items` by `key`, in order: a script call serves one level."""
    groups: dict[_Key, list[int]] = {}
    for position in positions:
        groups.setdefault(key(items[position]), []).append(position)
    return groups


def _bounded(positions: list[int], envelopes: Sequence[Envelope]) -> Iterator[list[int]]:
    """`positions` in batches that a server swallows in one call, by number and by bytes."""
    batch: list[int] = []
    size = 0
    for position in positions:
        length = len(envelopes[position].payload)
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(position)
        size += length
    yield batch


async def _together(calls: list[Coroutine[Any, Any, _Reply]]) -> list[_Reply]:
    """The replies of `calls`, which leave in one flight."""
    if len(calls) == 1:
        return [await calls[0]]
    # Not a task group: its ExceptionGroup is an error that no caller knows, and its cancellations lose replies.
    replies: list[_Reply] = []
    for reply in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(reply, BaseException):
            raise reply
        replies.append(reply)
    return replies


def _deliveries(consumer: str, levels: list[str], reply: list[Any]) -> list[Delivery]:
    marks, *found = reply
    deliveries = [
        delivery_of(consumer, levels[number - 1], entry, count, fields) for number, entry, count, fields in found
    ]
    return marked_if(marks, deliveries)


def _envelope(task_id: str, reply: list[bytes]) -> Envelope | None:
    if not reply:
        return None
    payload, name = reply
    level = name.decode()
    return Envelope(task_id, payload, queue_of(level), priority_of(level))
