"""Broken rules of who owns a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aqueue.core.message import Receipt
from aqueue.storage.memory.intake import MemoryIntake
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.memory.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from aqueue.core.lifecycle import Settlement
    from aqueue.core.message import Delivery
    from aqueue.storage.memory.tables import Task
    from aqueue.storage.protocol import Renewal, WorkerInfo


# -- receipts


class _Lax(Tables):
    """Compares some parts of a receipt only."""

    __slots__ = ()
    compared: ClassVar[tuple[str, ...]] = Receipt._fields

    def owned(self, receipt: Receipt) -> Task | None:
        wanted = self._part(receipt)
        return next((task for owner, task in self.lent.items() if self._part(owner) == wanted), None)

    def _part(self, receipt: Receipt) -> tuple[object, ...]:
        return tuple(getattr(receipt, name) for name in self.compared)


class TheCountIsNotCompared(_Lax):
    __slots__ = ()
    compared = ("consumer", "place", "entry")


class TheConsumerIsNotCompared(_Lax):
    __slots__ = ()
    compared = ("place", "entry", "count")


class TheEntryIsNotCompared(_Lax):
    __slots__ = ()
    compared = ("consumer", "place", "count")


class ThePlaceIsNotCompared(_Lax):
    __slots__ = ()
    compared = ("consumer", "entry", "count")


class OnlyTheConsumerIsCompared(_Lax):
    __slots__ = ()
    compared = ("consumer",)


class OnlyTheEntryIsCompared(_Lax):
    __slots__ = ()
    compared = ("entry",)


# -- leases


class RenewSteals(MemoryIntake):
    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        entries, lent = {receipt.entry for receipt in receipts}, self._tables.lent
        for owner, task in list(lent.items()):
            if owner.entry in entries:
                task.receipt = owner._replace(consumer=self._borrower.consumer)
                lent[task.receipt] = lent.pop(owner)
        return super().renew(receipts, description)


class RenewIsADelivery(MemoryIntake):
    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        renewal = super().renew(receipts, description)
        for receipt in set(receipts) - set(renewal.lost):
            self._lend(self._tables.lent[receipt])
        return renewal


class RenewDoesNotExtend(MemoryIntake):
    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        before = {task: task.leased_until_ms for task in self._tables.lent.values()}
        renewal = super().renew(receipts, description)
        for task, until_ms in before.items():
            task.leased_until_ms = until_ms
        return renewal


class RenewHidesWhatIsLost(MemoryIntake):
    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        return super().renew(receipts, description)._replace(lost=[])


class ThereIsNoGrace(MemoryIntake):
    def _spare_the_living(self, now_ms: int) -> None:
        pass


class ThereIsGraceAtTheBeginningOnly(MemoryIntake):
    def _spare_the_living(self, now_ms: int) -> None:
        if self._tables.reclaimed_ms == 0:
            super()._spare_the_living(now_ms)


class TheGraceIsAsLongAsTheLeaseOfTheOneThatLooks(MemoryIntake):
    def _spare_the_living(self, now_ms: int) -> None:
        before = {task: task.leased_until_ms for task in self._tables.lent.values()}
        super()._spare_the_living(now_ms)
        for task, until_ms in before.items():
            if task.leased_until_ms != until_ms:
                task.leased_until_ms = now_ms + self.lease_ms


class ALeaseIsNotRespected(MemoryIntake):
    async def reclaim(self, limit: int, *suspects: int) -> list[Delivery]:
        for task in self._tables.lent.values():
            task.leased_until_ms = 0
        return await super().reclaim(limit, *suspects)


class ALeaseIsAsLongAsThatOfTheOneThatLooks(MemoryIntake):
    async def reclaim(self, limit: int, *suspects: int) -> list[Delivery]:
        for task in self._tables.lent.values():
            task.begin_lease(task.leased_until_ms - task.lease_ms, self.lease_ms)
        return await super().reclaim(limit, *suspects)


class AReclaimIsNoDelivery(MemoryIntake):
    def _lend(self, task: Task) -> Delivery:
        if task.receipt is not None:
            task.count -= 1
        return super()._lend(task)


class AReclaimStartsNoLease(MemoryIntake):
    def _lend(self, task: Task) -> Delivery:
        until_ms, again = task.leased_until_ms, task.receipt is not None
        delivery = super()._lend(task)
        if again:
            task.leased_until_ms = until_ms
        return delivery


class ReclaimIgnoresItsQueues(MemoryIntake):
    async def reclaim(self, limit: int, *suspects: int) -> list[Delivery]:
        lent = tuple(task.lane.queue for task in self._tables.lent.values())
        asked, self._borrower = self._borrower, self._borrower._replace(queues=lent)
        try:
            return await super().reclaim(limit, *suspects)
        finally:
            self._borrower = asked


class ReclaimIgnoresItsLimit(MemoryIntake):
    async def reclaim(self, limit: int, *suspects: int) -> list[Delivery]:
        return await super().reclaim(limit + 1, *suspects)


class AdoptionRobsOthers(MemoryIntake):
    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        adopted, me = [], self._borrower
        for other in {receipt.consumer for receipt in self._tables.lent}:
            self._borrower = me._replace(consumer=other)
            adopted += await super().adopt(held)
        self._borrower = me
        return adopted


class AdoptionRepeatsWhatIsHeld(MemoryIntake):
    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        return await super().adopt([])


class NothingIsAdopted(MemoryIntake):
    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        return []


class RetiringDropsWhatIsHeld(MemoryStorage):
    async def retire(self, consumer: str) -> None:
        await super().retire(consumer)
        for receipt in [receipt for receipt in self._lent if receipt.consumer == consumer]:
            del self._lent[receipt]


class RetiringDoesNotForget(MemoryStorage):
    async def retire(self, consumer: str) -> None:
        pass


class AWorkerLeavesNoTrace(MemoryStorage):
    async def workers(self) -> list[WorkerInfo]:
        return []


class ADescriptionIsNotRenewed(MemoryIntake):
    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        known, _ = self._tables.workers.get(self._borrower.consumer, (description, 0))
        return super().renew(receipts, known)


class AnyoneLeavesALetter(MemoryStorage):
    def _settle(self, settlement: Settlement) -> bool:
        task = self._tasks.get(settlement.id)
        if settlement.dead_ttl_ms and task is not None:
            self.admin.bury(task, settlement.state, settlement.result, settlement.dead_ttl_ms)
        return super()._settle(settlement)


class APauseDoesNotHinderATakeOver(MemoryIntake):
    async def reclaim(self, *arguments: Any) -> list[Delivery]:
        paused, self._admin._paused = self._admin._paused, set()
        try:
            return await super().reclaim(*arguments)
        finally:
            self._admin._paused = paused


class APauseDoesNotHinderAnAdoption(MemoryIntake):
    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        paused, self._admin._paused = self._admin._paused, set()
        try:
            return await super().adopt(held)
        finally:
            self._admin._paused = paused
