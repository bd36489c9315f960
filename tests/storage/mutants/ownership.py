"""Broken rules of who owns a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aqueue.core.message import Receipt
from aqueue.storage.memory.store import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from aqueue.core.lifecycle import Settlement
    from aqueue.core.message import Delivery
    from aqueue.storage.memory.tables import Task
    from aqueue.storage.protocol import Renewal, WorkerInfo


# -- receipts


class _Lax(MemoryStorage):
    """Compares some parts of a receipt only."""

    compared: tuple[str, ...] = Receipt._fields

    def _owned(self, receipt: Receipt) -> Task | None:
        wanted = self._part(receipt)
        return next((task for owner, task in self._lent.items() if self._part(owner) == wanted), None)

    def _part(self, receipt: Receipt) -> tuple[object, ...]:
        return tuple(getattr(receipt, name) for name in self.compared)


class TheCountIsNotCompared(_Lax):
    compared = ("consumer", "place", "entry")


class TheConsumerIsNotCompared(_Lax):
    compared = ("place", "entry", "count")


class TheEntryIsNotCompared(_Lax):
    compared = ("consumer", "place", "count")


class ThePlaceIsNotCompared(_Lax):
    compared = ("consumer", "entry", "count")


class OnlyTheConsumerIsCompared(_Lax):
    compared = ("consumer",)


class OnlyTheEntryIsCompared(_Lax):
    compared = ("entry",)


# -- leases


class RenewSteals(MemoryStorage):
    def renew(self, receipts: Collection[Receipt], consumer: str, description: bytes) -> Renewal:
        entries = {receipt.entry for receipt in receipts}
        for owner, task in list(self._lent.items()):
            if owner.entry in entries:
                task.receipt = owner._replace(consumer=consumer)
                self._lent[task.receipt] = self._lent.pop(owner)
        return super().renew(receipts, consumer, description)


class RenewIsADelivery(MemoryStorage):
    def renew(self, receipts: Collection[Receipt], consumer: str, description: bytes) -> Renewal:
        renewal = super().renew(receipts, consumer, description)
        for receipt in set(receipts) - set(renewal.lost):
            self._lend(self._lent[receipt], consumer)
        return renewal


class RenewDoesNotExtend(MemoryStorage):
    def renew(self, receipts: Collection[Receipt], consumer: str, description: bytes) -> Renewal:
        before = {task: task.leased_until_ms for task in self._lent.values()}
        renewal = super().renew(receipts, consumer, description)
        for task, until_ms in before.items():
            task.leased_until_ms = until_ms
        return renewal


class RenewHidesWhatIsLost(MemoryStorage):
    def renew(self, receipts: Collection[Receipt], consumer: str, description: bytes) -> Renewal:
        return super().renew(receipts, consumer, description)._replace(lost=[])


class ThereIsNoGrace(MemoryStorage):
    async def reclaim(self, consumer: str, queues: Sequence[str], limit: int, *suspects: int) -> list[Delivery]:
        self._reclaimed_ms = self._clock.now_ms()
        return await super().reclaim(consumer, queues, limit, *suspects)


class ThereIsGraceAtTheBeginningOnly(MemoryStorage):
    async def reclaim(self, consumer: str, queues: Sequence[str], limit: int, *suspects: int) -> list[Delivery]:
        if self._reclaimed_ms:
            self._reclaimed_ms = self._clock.now_ms()
        return await super().reclaim(consumer, queues, limit, *suspects)


class ALeaseIsNotRespected(MemoryStorage):
    async def reclaim(self, consumer: str, queues: Sequence[str], limit: int, *suspects: int) -> list[Delivery]:
        for task in self._lent.values():
            task.leased_until_ms = 0
        return await super().reclaim(consumer, queues, limit, *suspects)


class AReclaimIsNoDelivery(MemoryStorage):
    def _lend(self, task: Task, consumer: str) -> Delivery:
        if task.receipt is not None:
            task.count -= 1
        return super()._lend(task, consumer)


class AReclaimStartsNoLease(MemoryStorage):
    def _lend(self, task: Task, consumer: str) -> Delivery:
        until_ms, again = task.leased_until_ms, task.receipt is not None
        delivery = super()._lend(task, consumer)
        if again:
            task.leased_until_ms = until_ms
        return delivery


class ReclaimIgnoresItsQueues(MemoryStorage):
    async def reclaim(self, consumer: str, queues: Sequence[str], limit: int, *suspects: int) -> list[Delivery]:
        return await super().reclaim(consumer, [task.level.queue for task in self._lent.values()], limit, *suspects)


class ReclaimIgnoresItsLimit(MemoryStorage):
    async def reclaim(self, consumer: str, queues: Sequence[str], limit: int, *suspects: int) -> list[Delivery]:
        return await super().reclaim(consumer, queues, limit + 1, *suspects)


class AdoptionRobsOthers(MemoryStorage):
    async def adopt(self, consumer: str, queues: Sequence[str], held: Collection[Receipt]) -> list[Delivery]:
        others = {receipt.consumer for receipt in self._lent}
        adopt = super().adopt
        return [delivery for other in others for delivery in await adopt(other, queues, held)]


class AdoptionRepeatsWhatIsHeld(MemoryStorage):
    async def adopt(self, consumer: str, queues: Sequence[str], held: Collection[Receipt]) -> list[Delivery]:
        return await super().adopt(consumer, queues, [])


class NothingIsAdopted(MemoryStorage):
    async def adopt(self, consumer: str, queues: Sequence[str], held: Collection[Receipt]) -> list[Delivery]:
        return []


class RetiringDropsWhatIsHeld(MemoryStorage):
    async def retire(self, consumer: str) -> None:
        await super().retire(consumer)
        self._lent = {receipt: task for receipt, task in self._lent.items() if receipt.consumer != consumer}


class RetiringDoesNotForget(MemoryStorage):
    async def retire(self, consumer: str) -> None:
        pass


class AWorkerLeavesNoTrace(MemoryStorage):
    async def workers(self) -> list[WorkerInfo]:
        return []


class ADescriptionIsNotRenewed(MemoryStorage):
    def renew(self, receipts: Collection[Receipt], consumer: str, description: bytes) -> Renewal:
        known, _ = self._workers.get(consumer, (description, 0))
        return super().renew(receipts, consumer, known)


class AnyoneLeavesALetter(MemoryStorage):
    def _settle(self, settlement: Settlement) -> bool:
        task = self._tasks.get(settlement.id)
        if settlement.dead_ttl_ms and task is not None:
            self.admin.bury(task, settlement.state, settlement.result, settlement.dead_ttl_ms)
        return super()._settle(settlement)


class APauseDoesNotHinderATakeOver(MemoryStorage):
    async def reclaim(self, *arguments: Any) -> list[Delivery]:
        paused, self.admin._paused = self.admin._paused, set()
        try:
            return await super().reclaim(*arguments)
        finally:
            self.admin._paused = paused


class APauseDoesNotHinderAnAdoption(MemoryStorage):
    async def adopt(self, *arguments: Any) -> list[Delivery]:
        paused, self.admin._paused = self.admin._paused, set()
        try:
            return await super().adopt(*arguments)
        finally:
            self.admin._paused = paused
