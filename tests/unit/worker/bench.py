"""A worker's services on a memory storage that can fail, with a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aqueue import MemoryHuey, QueueUnavailable
from aqueue.core.ids import kind_key
from aqueue.storage.memory.store import MemoryStorage
from aqueue.testing import ManualClock
from aqueue.worker.execution.dispatcher import Dispatcher
from aqueue.worker.execution.loader import Loader
from aqueue.worker.execution.runner import Runner
from aqueue.worker.execution.settler import Settler
from aqueue.worker.options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence

    from aqueue import Task
    from aqueue.core.lifecycle import Settlement, State
    from aqueue.core.message import Delivery, Envelope, Receipt
    from aqueue.storage.memory.intake import MemoryIntake
    from aqueue.storage.memory.leases import MemoryLeaseKeeper
    from aqueue.storage.protocol import Advance, Promotion, Record, Renewal
    from aqueue.worker.execution.held import HeldDelivery

LEASE_MS = 60_000


class FaultyStorage(MemoryStorage):
    """A memory storage that notes what it is asked, and that can be out of reach, slow, or lose a reply.

    It keeps back the payloads of the tasks in `kept_back` until they are loaded. It refuses the settlements of tasks in
    `refused`. Only those in `slow`, if there are any, wait for `may_settle`.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__("shop", clock)
        self.is_down = False
        self.loses_replies = False
        self.may_settle = asyncio.Event()
        self.may_settle.set()
        self.kept_back: set[str] = set()
        self.loads: list[str] = []
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.slow: set[str] = set()
        self.refused: set[str] = set()
        self.settled: list[list[Settlement]] = []
        self.pulled: list[int] = []
        self.adopted = 0
        self.reclaimed: list[tuple[int, int]] = []
        self.promoted: list[int] = []
        self.looks = 0
        self.steps: list[list[str]] = []
        self.new_ids: list[str] = []
        self.after_pull: Callable[[], object] = lambda: None
        self.on_beat: Callable[[], object] = lambda: None
        self.on_pulse_closed: Callable[[], object] = lambda: None

    def _push(self, envelope: Envelope) -> bool:
        new = super()._push(envelope)
        if new:
            self.new_ids.append(envelope.id)
        return new

    def answer(self) -> None:
        if self.is_down:
            raise QueueUnavailable("the store is down")

    def open_intake(self, consumer: str, queues: Sequence[str], lease_ms: int) -> Any:
        return FaultyIntake(self, super().open_intake(consumer, queues, lease_ms))

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        self.settled.append(list(settlements))
        ids = {settlement.id for settlement in settlements}
        if not self.slow or self.slow & ids:
            await self.may_settle.wait()
        self.answer()
        if self.refused & ids:
            raise QueueUnavailable("the store does not take it")
        return await super().settle(settlements)

    async def promote(self, limit: int) -> Promotion:
        self.promoted.append(limit)
        self.answer()
        return await super().promote(limit)

    async def schedules(self) -> dict[str, bytes]:
        self.looks += 1
        self.answer()
        return await super().schedules()

    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        self.answer()
        made = await super().advance(name, seen, state, envelopes)
        self.steps.append([envelope.id for envelope in envelopes])
        if self.loses_replies:
            raise QueueUnavailable("the reply was lost")
        return made

    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        self.answer()
        return await super().records(task_ids, watcher)

    async def workers(self) -> Any:
        self.answer()
        return await super().workers()


class FaultyIntake:
    """An intake of a storage that can fail, which notes what it is asked there."""

    def __init__(self, storage: FaultyStorage, intake: MemoryIntake) -> None:
        self.lease_ms = intake.lease_ms
        self.interrupt, self.close = intake.interrupt, intake.close
        self._storage = storage
        self._intake = intake
        self._payloads: dict[Receipt, bytes] = {}

    async def pull(self, limit: int, wait_ms: int) -> list[Delivery]:
        self._storage.pulled.append(limit)
        self._storage.answer()
        deliveries = await self._intake.pull(limit, wait_ms)
        self._storage.after_pull()
        if self._storage.loses_replies:
            raise QueueUnavailable("the reply was lost")
        return [self._without_payload(each) if each.id in self._storage.kept_back else each for each in deliveries]

    def _without_payload(self, delivery: Delivery) -> Delivery:
        self._payloads[delivery.receipt] = delivery.payload
        return delivery._replace(payload=b"", unread=len(delivery.payload))

    async def load(self, delivery: Delivery) -> bytes:
        self._storage.loads.append(delivery.id)
        await self._storage.may_load.wait()
        self._storage.answer()
        return self._payloads.pop(delivery.receipt)

    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        self._storage.adopted += 1
        self._storage.answer()
        return await self._intake.adopt(held)

    async def reclaim(self, limit: int, suspect_count: int = 0, most_suspects: int = 0) -> list[Delivery]:
        self._storage.reclaimed.append((limit, most_suspects))
        self._storage.answer()
        return await self._intake.reclaim(limit, suspect_count, most_suspects)

    def lease_keeper(self) -> FaultyLeaseKeeper:
        return FaultyLeaseKeeper(self._storage, self._intake.lease_keeper())


class FaultyLeaseKeeper:
    """Tells its storage what it does, in the thread in which it does it. An exception from there is the store's."""

    def __init__(self, storage: FaultyStorage, keeper: MemoryLeaseKeeper) -> None:
        self._storage = storage
        self._keeper = keeper

    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        self._storage.on_beat()
        return self._keeper.renew(receipts, description)

    def close(self) -> None:
        self._storage.on_pulse_closed()


class Bench:
    """The parts of one worker that the services share. Tasks are declared on `huey`, which stores nothing here."""

    def __init__(self, concurrency: int = 10, max_crashes: int = 3) -> None:
        self.clock = ManualClock()
        self.storage = FaultyStorage(self.clock)
        self.intake = self.storage.open_intake("worker", ["default"], LEASE_MS)
        self.huey = MemoryHuey("shop")
        self.held: dict[Receipt, HeldDelivery] = {}
        self.settler = Settler(self.storage, self.clock, self.held)
        self.loader = Loader(self.intake.load)
        parts = self.huey._parts
        options = WorkerOptions(concurrency=concurrency, threads=4, children=2, max_crashes=max_crashes)
        self.runner = Runner(parts, options, self.clock, report=self._report, is_revoked=self._is_revoked)
        self.dispatcher = Dispatcher(self.runner.run, self.loader.load, self.settler, parts, options, self.held)

    async def _report(self, delivery: Delivery, progress: bytes, reply: str) -> bool:
        return await self.storage.report(delivery.receipt, delivery.id, progress, reply)

    async def _is_revoked(self, task_id: str, task: str) -> bool:
        [answer] = await self.storage.revoked([(task_id, kind_key(task))], True)
        return answer

    async def push(self, task: Task[..., Any], *args: Any, **options: Any) -> str:
        """Enqueue a call; return its id."""
        envelope = self.huey._parts.outbox.write(task.options(**options).s(*args), "client")[1]
        await self.storage.push([envelope])
        return envelope.id

    def honest(self, consumer: str) -> MemoryIntake:
        """An intake that does not fail, and of which nothing is noted."""
        return MemoryStorage.open_intake(self.storage, consumer, ["default"], LEASE_MS)

    async def pull(self, limit: int = 100, consumer: str = "worker") -> list[Delivery]:
        return await self.honest(consumer).pull(limit, 0)

    async def crash(self, times: int) -> None:
        """Let `times` workers, one after the other, take all that is ready and vanish. The last lease has run out."""
        gone = self.honest("gone")
        await gone.pull(100, 0)
        await gone.reclaim(0)
        for _ in range(times - 1):
            self.clock.advance(LEASE_MS / 1000)
            await gone.reclaim(100)
        self.clock.advance(LEASE_MS / 1000)

    async def state(self, task_id: str) -> State | None:
        [record] = await MemoryStorage.records(self.storage, [task_id])
        return record and record.state

    @asynccontextmanager
    async def serving(self, *services: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Run the settler and `services` until the block ends. One that fails fails the test."""
        tasks = [asyncio.create_task(service) for service in (self.settler.run(), *services)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
