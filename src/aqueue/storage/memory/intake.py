"""The way out of the memory storage: what is lent, to whom, and until when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Delivery, Receipt
from ...exceptions import QueueUnavailable
from ..protocol import Renewal
from .leases import MemoryLeaseKeeper

if TYPE_CHECKING:
    from collections.abc import Collection

    from ...core.clock import Clock
    from ..protocol import Borrower
    from .admin import MemoryAdmin
    from .events import WaitingPulls
    from .tables import Lane, Tables, Task


class MemoryIntake:
    """Implements ``storage.protocol.Intake`` over the tables of the storage."""

    def __init__(
        self, tables: Tables, admin: MemoryAdmin, waiting: WaitingPulls, clock: Clock, borrower: Borrower
    ) -> None:
        self.lease_ms = borrower.lease_ms
        self._borrower = borrower
        self._tables = tables
        self._admin = admin
        self._waiting = waiting
        self._clock = clock
        self._woken = asyncio.Event()
        self._interrupted = False

    # -- ready tasks

    async def pull(self, limit: int, wait_ms: int) -> list[Delivery]:
        self._interrupted = False
        deadline = self._clock.monotonic() + wait_ms / 1000
        deliveries = self._take(limit)
        while not deliveries and not self._interrupted:
            in_time = await self._sleep(deadline - self._clock.monotonic())
            if self._waiting.is_closed:
                raise QueueUnavailable("the memory storage was closed")
            deliveries = self._take(limit)
            if not in_time:
                break
        return deliveries

    async def load(self, delivery: Delivery) -> bytes:
        # Nothing moves here: each delivery has its payload.
        return delivery.payload

    async def interrupt(self) -> None:
        self._interrupted = True
        self._woken.set()

    async def _sleep(self, seconds: float) -> bool:
        """Wait until a task gets in line; False when `seconds` passed first."""
        self._woken.clear()
        with self._waiting.wake_by(self._woken):
            return await self._clock.wait(self._woken, seconds)

    def _take(self, limit: int) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for lane in self._lanes():
            line = self._tables.ready[lane]
            while line and len(deliveries) < limit:
                deliveries.append(self._lend(line.popleft()))
            if not line:
                del self._tables.ready[lane]
        return deliveries

    def _lanes(self) -> list[Lane]:
        """The lanes in which tasks wait: highest priority first, equal ones in the order of the queues."""
        queues = self._open_queues()
        lanes = [lane for lane in self._tables.ready if lane.queue in queues]
        return sorted(lanes, key=lambda lane: (-lane.priority, queues.index(lane.queue)))

    def _open_queues(self) -> list[str]:
        return [queue for queue in self._borrower.queues if not self._admin.is_paused(queue)]

    def _lend(self, task: Task) -> Delivery:
        """Make the consumer the owner of `task`, and end any earlier ownership."""
        lent = self._tables.lent
        if task.receipt is not None:
            del lent[task.receipt]
        task.state = State.RUNNING
        task.count += 1
        task.receipt = Receipt(
            self._borrower.consumer, f"{task.lane.queue}:{task.lane.priority}", task.entry, task.count
        )
        task.begin_lease(self._clock.now_ms(), self.lease_ms)
        lent[task.receipt] = task
        return self._delivery(task, task.receipt)

    def _delivery(self, task: Task, receipt: Receipt) -> Delivery:
        fence = task.earlier + task.count
        return Delivery(task.id, task.payload, receipt, task.failures, fence, bool(self._tables.revocations))

    # -- lent tasks

    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        known, queues, now_ms = set(held), self._open_queues(), self._clock.now_ms()
        adopted = []
        for receipt, task in self._tables.lent.items():
            if receipt.consumer == self._borrower.consumer and task.lane.queue in queues and receipt not in known:
                task.begin_lease(now_ms, self.lease_ms)
                adopted.append(self._delivery(task, receipt))
        return adopted

    async def reclaim(self, limit: int, suspect_count: int = 0, most_suspects: int = 0) -> list[Delivery]:
        now_ms = self._clock.now_ms()
        self._spare_the_living(now_ms)
        queues = self._open_queues()
        lent = [task for task in self._tables.lent.values() if task.lane.queue in queues]
        expired = [task for task in lent if task.leased_until_ms <= now_ms]
        suspects = [task for task in expired if suspect_count and task.count >= suspect_count]
        others = [task for task in expired if task not in suspects]
        return [self._lend(task) for task in (others + suspects[:most_suspects])[: max(limit, 0)]]

    def _spare_the_living(self, now_ms: int) -> None:
        """Begin leases anew that ran out while no worker reclaimed: their owners may have been unable to renew them."""
        tables = self._tables
        if now_ms > tables.reclaim_due_ms:
            pause_ms = now_ms - tables.reclaimed_ms
            for task in tables.lent.values():
                if task.lease_ms < pause_ms:
                    task.begin_lease(now_ms, task.lease_ms)
        tables.reclaimed_ms, tables.reclaim_due_ms = now_ms, now_ms + self.lease_ms

    # -- signs of life

    def lease_keeper(self) -> MemoryLeaseKeeper:
        return MemoryLeaseKeeper(self.renew)

    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        """What ``MemoryLeaseKeeper.renew`` does, in the thread of its caller.

        It needs no lock, because it writes nothing but one lease per task. Should a task change hands in between, its
        new owner holds a lease that has just begun, and that is the one that begins again.
        """
        now_ms = self._clock.now_ms()
        self._tables.workers[self._borrower.consumer] = (description, now_ms)
        lost, to_cancel = [], []
        for receipt in receipts:
            task = self._tables.owned(receipt)
            if task is None:
                lost.append(receipt)
                continue
            task.begin_lease(now_ms, self.lease_ms)
            if task.id in self._tables.revocations.to_cancel:
                to_cancel.append(receipt)
        return Renewal(lost, to_cancel)

    async def close(self) -> None:
        """Nothing to give back."""
