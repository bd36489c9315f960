"""What you provide to run the suite, and the steps that most checks begin with."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ...core.lifecycle import Settlement, State
from ...core.message import DEFAULT_QUEUE, JOINED, Envelope, Node, Trigger, parted
from ...storage.protocol import Connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Coroutine, Sequence

    from ...core.message import Delivery, Receipt
    from ...storage.protocol import Event, Intake, LeaseKeeper, Promotion, Storage

_T = TypeVar("_T")

# How many seconds a check waits for a fact before it fails. A machine may be busy with other things.
PATIENCE_SECONDS = 15

# A wait that only an event can end in time: it is longer than the patience.
LONG_WAIT_MS = 60_000

# Short, because real clocks must wait until it expires. Other checks can use it, too: a lease ends only by a reclaim.
LEASE_MS = 200

KEEP_MS = 3_600_000

QUEUES = (DEFAULT_QUEUE,)


class Harness(Protocol):
    """A storage under test."""

    def make(self) -> Storage:
        """Make a storage, without opening it, over an empty store of its own."""

    def now_ms(self) -> int:
        """The current time of the store's clock, in milliseconds since the epoch."""

    async def advance(self, ms: int) -> None:
        """Let at least `ms` milliseconds pass for the store, and let the other tasks of this event loop run.

        This moves a manual clock, and waits for a real one.
        """


class SharedHarness(Harness, Protocol):
    """A storage under test whose store serves several processes."""

    def join(self, storage: Storage) -> Storage:
        """Make another storage, without opening it, over the store of `storage`."""


@asynccontextmanager
async def opened(storage: Storage) -> AsyncIterator[Storage]:
    """Open `storage` for the block."""
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


# -- steps


@asynccontextmanager
async def taking(
    storage: Storage, consumer: str = "one", queues: Sequence[str] = QUEUES, lease_ms: int = LEASE_MS
) -> AsyncIterator[Intake]:
    """Open the intake of `consumer` for the block."""
    intake = storage.open_intake(consumer, queues, lease_ms)
    try:
        yield intake
    finally:
        await intake.close()


async def pull(
    storage: Storage, limit: int = 10, *, consumer: str = "one", queues: Sequence[str] = QUEUES, wait_ms: int = 0
) -> list[Delivery]:
    """Pull the tasks that are ready now or, if there are none, within `wait_ms`."""
    async with taking(storage, consumer, queues) as intake:
        return await intake.pull(limit, wait_ms)


async def pull_one(storage: Storage, *, consumer: str = "one", queues: Sequence[str] = QUEUES) -> Delivery:
    """Pull the one task that is ready now."""
    deliveries = await pull(storage, consumer=consumer, queues=queues)
    assert len(deliveries) == 1, f"expected one ready task, got {deliveries}"
    return deliveries[0]


async def payload_of(storage: Storage, delivery: Delivery) -> bytes:
    """The payload of `delivery`, which the storage may have kept back."""
    if not delivery.unread:
        return delivery.payload
    async with taking(storage, delivery.receipt.consumer) as intake:
        return await intake.load(delivery)


async def lend(storage: Storage, task_id: str, *, consumer: str = "one") -> Delivery:
    """Push a new task and lend it to `consumer`."""
    assert await storage.push([Envelope(task_id, b"payload of " + task_id.encode())]) == [True]
    return await pull_one(storage, consumer=consumer)


async def adopt(
    storage: Storage, held: Collection[Receipt], *, consumer: str = "one", queues: Sequence[str] = QUEUES
) -> list[Delivery]:
    """Adopt the deliveries that are lent to `consumer`, except those in `held`."""
    async with taking(storage, consumer, queues) as intake:
        return await intake.adopt(held)


async def reclaim(
    storage: Storage, consumer: str, limit: int, *suspects: int, queues: Sequence[str] = QUEUES
) -> list[Delivery]:
    """Take over, for `consumer`, the deliveries whose leases have expired."""
    async with taking(storage, consumer, queues) as intake:
        return await intake.reclaim(limit, *suspects)


def renew(
    storage: Storage, receipts: Collection[Receipt], *, consumer: str = "one", description: bytes = b""
) -> list[Receipt]:
    """Renew the leases of `consumer`. Returns those of `receipts` that it no longer owns."""
    with closing(keeper_of(storage, consumer)) as keeper:
        return keeper.renew(receipts, description).lost


def keeper_of(storage: Storage, consumer: str = "one") -> LeaseKeeper:
    return storage.open_intake(consumer, QUEUES, LEASE_MS).lease_keeper()


async def take_over(harness: Harness, storage: Storage, consumer: str) -> Delivery:
    """Wait until the one lease that is not renewed has expired and `consumer` has taken its task over."""
    for _ in range(200):
        taken = await reclaim(storage, consumer, 100)
        if taken:
            assert len(taken) == 1, f"one lease has expired, but these were taken over: {taken}"
            return taken[0]
        await harness.advance(LEASE_MS // 4)
    raise AssertionError("a lease has expired long ago, but nothing was reclaimed")


async def promote(harness: Harness, storage: Storage, count: int) -> Promotion:
    """Wait until `count` scheduled tasks have become ready. Returns the reply for the last of them."""
    moved = 0
    for _ in range(500):
        promotion = await storage.promote(100)
        moved += promotion.moved
        if moved >= count:
            assert moved == count, f"{count} tasks were due, but {moved} became ready"
            return promotion
        await harness.advance(20)
    raise AssertionError(f"{count} tasks have been due for long, but {moved} became ready")


async def state_of(storage: Storage, task_id: str) -> State | None:
    """The state of one task, or None if the store does not know it."""
    [record] = await storage.records([task_id])
    return record and record.state


async def wait_until_unknown(harness: Harness, storage: Storage, task_id: str) -> None:
    """Wait until the result of a task has expired."""
    for _ in range(500):
        if await storage.records([task_id]) == [None]:
            return
        await harness.advance(20)
    raise AssertionError(f"the result of {task_id} should have expired long ago")


# -- settlements


def verdict(
    delivery: Delivery, result: bytes = b"", *, state: State = State.DONE, ttl_ms: int = KEEP_MS, reply: str = ""
) -> Settlement:
    """A settlement that ends a task."""
    return Settlement(delivery.receipt, delivery.id, state, result, ttl_ms, reply)


def put_back(
    delivery: Delivery, state: State = State.QUEUED, *, delay_ms: int = 0, eta_ms: int = 0, failures: int | None = None
) -> Settlement:
    """A settlement that puts a task back; by default it keeps its number of failures."""
    kept = delivery.failures if failures is None else failures
    return Settlement(delivery.receipt, delivery.id, state, delay_ms=delay_ms, eta_ms=eta_ms, failures=kept)


# -- workflows


def node(
    task_id: str,
    *after: str,
    trigger: Trigger = Trigger.DONE,
    queue: str = DEFAULT_QUEUE,
    priority: int = 0,
    delay_ms: int = 0,
    eta_ms: int = 0,
    reply: str = "",
) -> Node:
    """A workflow node that waits for other tasks, given their ids."""
    envelope = Envelope(task_id, b"payload of " + task_id.encode(), queue, priority, delay_ms, eta_ms)
    return Node(envelope, after, trigger, reply)


async def begin(storage: Storage, *nodes: Node) -> dict[str, Delivery]:
    """Push a new workflow, and pull its tasks that can start, by id."""
    assert await storage.push_workflow(nodes) == [True] * len(nodes)
    return await started_by_id(storage)


async def started_by_id(storage: Storage) -> dict[str, Delivery]:
    """Pull the tasks that are ready now, by id."""
    return {delivery.id: delivery for delivery in await pull(storage, 1000)}


async def end(
    storage: Storage, delivery: Delivery, result: bytes = b"1", *, state: State = State.DONE, ttl_ms: int = KEEP_MS
) -> None:
    """A settlement that ends a task that other tasks wait for."""
    settlement = verdict(delivery, result, state=state, ttl_ms=ttl_ms)._replace(linked=True)
    assert await storage.settle([settlement]) == [True]


def inputs_of(delivery: Delivery) -> list[tuple[str, bytes]]:
    """The inputs of a node: the state and the result of each task before it."""
    assert delivery.payload.startswith(JOINED)
    payload, due_ms, inputs = parted(delivery.payload)
    assert payload == b"payload of " + delivery.id.encode()
    assert due_ms > 0
    return inputs


# -- in the background


@asynccontextmanager
async def background(coroutine: Coroutine[Any, Any, _T]) -> AsyncIterator[asyncio.Task[_T]]:
    """Run `coroutine` during the block."""
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def outcome(task: asyncio.Task[_T]) -> _T:
    """Wait for `task`, which must end soon. Returns its value or raises its error."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await task


class Mailbox:
    """The events that one client received."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    def put(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def next(self) -> Event:
        """Wait for the next event, which must come soon."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._events.get()

    async def expect(self, *events: Event) -> None:
        """Check that the next events are these, in this order."""
        for expected in events:
            event = await self.next()
            # Events are tuples, so events of different classes can be equal.
            assert (type(event), event) == (type(expected), expected)


@asynccontextmanager
async def listening(storage: Storage, client: str) -> AsyncIterator[Mailbox]:
    """Collect the events that `client` receives during the block."""
    mailbox = Mailbox()
    async with background(storage.listen(client, mailbox.put)):
        await mailbox.expect(Connected())
        yield mailbox
