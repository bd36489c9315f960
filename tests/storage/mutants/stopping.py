"""Broken rules of what must not start, and of what has to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aqueue.core.lifecycle import VERDICTS
from aqueue.storage.memory.intake import MemoryIntake
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.protocol import CancelAsked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from aqueue.core.lifecycle import Settlement
    from aqueue.core.message import Delivery, Envelope, Receipt
    from aqueue.storage.memory.tables import Task
    from aqueue.storage.protocol import Event, Renewal


# -- revocations


class NothingMayBeRevoked(MemoryIntake):
    def _delivery(self, task: Task, receipt: Receipt) -> Delivery:
        return super()._delivery(task, receipt)._replace(may_be_revoked=False)


class ATakeOverCannotBeRevoked(MemoryIntake):
    def _lend(self, task: Task) -> Delivery:
        again = task.receipt is not None
        delivery = super()._lend(task)
        return delivery._replace(may_be_revoked=False) if again else delivery


class AnAdoptionCannotBeRevoked(MemoryIntake):
    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        return [each._replace(may_be_revoked=False) for each in await super().adopt(held)]


class EverythingMayBeRevoked(MemoryIntake):
    def _delivery(self, task: Task, receipt: Receipt) -> Delivery:
        return super()._delivery(task, receipt)._replace(may_be_revoked=True)


class OnceIsForEver(MemoryStorage):
    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await super().revoke(key, until_ms, False, keep_ms)


class ForEverIsOnce(MemoryStorage):
    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await super().revoke(key, until_ms, True, keep_ms)


class LookingUsesARevocationUp(MemoryStorage):
    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        return await super().revoked(keys, True)


class ARevocationIsNeverUsedUp(MemoryStorage):
    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        answers = await super().revoked(keys, False)
        return [
            answer or (consume and key in self._revocations.to_cancel)
            for answer, (key, _) in zip(answers, keys, strict=True)
        ]


class ARevocationThatIsUsedUpIsGone(MemoryStorage):
    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        before = set(self._revocations._by_key)
        answers = await super().revoked(keys, consume)
        for key in set(self._revocations._by_key) - before:
            self._revocations.remove(key)
        return answers


class ARevocationHasNoEnd(MemoryStorage):
    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await super().revoke(key, 0, once, keep_ms)


class ARevocationOfNothingStays(MemoryStorage):
    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await super().revoke(key, until_ms, once, 0)


class ARevocationOfATaskIsForgotten(MemoryStorage):
    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await super().revoke(key, until_ms or (self._clock.now_ms() + keep_ms if keep_ms else 0), once, 0)


class AnEndedTaskIsRevoked(MemoryStorage):
    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await super().revoke(key, until_ms, once, keep_ms)
        self._revocations.put(key, until_ms, once)


class ARevocationOutlivesItsTask(MemoryStorage):
    def _end(self, task: Task, result: bytes, ttl_ms: int, reply: str) -> None:
        revocation = self._revocations._by_key.get(task.id)
        super()._end(task, result, ttl_ms, reply)
        if revocation is not None:
            self._revocations.put(task.id, *revocation)


class NothingIsRestored(MemoryStorage):
    async def restore(self, key: str) -> bool:
        return key in self._revocations._by_key


class RestoringAlwaysWorked(MemoryStorage):
    async def restore(self, key: str) -> bool:
        await super().restore(key)
        return True


# -- cancelling


class ACancelledTaskStaysInLine(MemoryStorage):
    def _withdraw(self, task: Task) -> None:
        if task not in self._ready[task.lane]:
            super()._withdraw(task)


class ACancelledTaskStaysScheduled(MemoryStorage):
    def _withdraw(self, task: Task) -> None:
        if task in self._ready[task.lane]:
            super()._withdraw(task)


class ALentTaskIsCancelledUnderItsOwner(MemoryStorage):
    async def cancel(
        self, task_id: str, result: bytes, ttl_ms: int, reply: str, instead: Envelope | None = None, **options: bool
    ) -> bool:
        task = self._tasks.get(task_id)
        if task is not None and task.receipt is not None:
            del self._lent[task.receipt]
            task.receipt = None
        return await super().cancel(task_id, result, ttl_ms, reply, instead, **options)


class AVerdictIsCancelled(MemoryStorage):
    async def cancel(
        self, task_id: str, result: bytes, ttl_ms: int, reply: str, instead: Envelope | None = None, **options: bool
    ) -> bool:
        await super().cancel(task_id, result, ttl_ms, reply, instead, **options)
        return task_id in self._tasks


class TheOwnerIsNotAsked(MemoryStorage):
    def _tell(self, clients: set[str] | None, event: Event) -> None:
        if not isinstance(event, CancelAsked):
            super()._tell(clients, event)


class ASignOfLifeHidesWhatHasToStop(MemoryIntake):
    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        return super().renew(receipts, description)._replace(to_cancel=[])


class ASignOfLifeStopsEverything(MemoryIntake):
    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        renewal = super().renew(receipts, description)
        held = [receipt for receipt in receipts if receipt not in renewal.lost]
        return renewal._replace(to_cancel=held if self._tables.revocations.to_cancel else [])


class ARequestToStopIsForgottenOnTheWayBack(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        self._revocations.to_cancel.discard(task.id)
        super()._put_back(task, settlement)


class ARequestToStopWaitsForTheRetry(MemoryStorage):
    def _settle(self, settlement: Settlement) -> bool:
        if settlement.state in VERDICTS:
            return super()._settle(settlement)
        asked = settlement.id in self._revocations.to_cancel
        self._revocations.to_cancel.discard(settlement.id)
        accepted = super()._settle(settlement)
        if asked:
            self._revocations.to_cancel.add(settlement.id)
        return accepted


class ARequestToStopOutlivesItsTask(MemoryStorage):
    def _end(self, task: Task, result: bytes, ttl_ms: int, reply: str) -> None:
        asked = task.id in self._revocations.to_cancel
        super()._end(task, result, ttl_ms, reply)
        if asked:
            self._revocations.to_cancel.add(task.id)


class ATaskIsReplacedThatHasEnded(MemoryStorage):
    async def cancel(
        self, task_id: str, result: bytes, ttl_ms: int, reply: str, instead: Envelope | None = None, **options: bool
    ) -> bool:
        if instead is not None:
            self._push(instead)
        return await super().cancel(task_id, result, ttl_ms, reply, **options)


class ATaskIsNotReplaced(MemoryStorage):
    async def cancel(
        self, task_id: str, result: bytes, ttl_ms: int, reply: str, instead: Envelope | None = None, **options: bool
    ) -> bool:
        return await super().cancel(task_id, result, ttl_ms, reply, **options)


class WhatWasPushedForgetsItsLane(MemoryStorage):
    async def envelopes(self, task_ids: Sequence[str]) -> list[Envelope | None]:
        return [found and found._replace(priority=0) for found in await super().envelopes(task_ids)]


class WhatIsLentIsCancelledAnyway(MemoryStorage):
    async def cancel(self, *arguments: Any, if_lent: bool = True) -> bool:
        return await super().cancel(*arguments)
