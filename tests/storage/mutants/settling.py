"""Broken rules of verdicts, put-backs and the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.core.lifecycle import State
from aqueue.storage.memory.store import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqueue.core.lifecycle import Settlement
    from aqueue.storage.memory.tables import Task
    from aqueue.storage.protocol import Promotion


class ADeliveryIsSettledTwice(MemoryStorage):
    def _settle(self, settlement: Settlement) -> bool:
        task = self._tables.owned(settlement.receipt)
        if not super()._settle(settlement) or task is None:
            return False
        self._lent[settlement.receipt] = task
        task.receipt = settlement.receipt
        return True


class EverySettlementIsAccepted(MemoryStorage):
    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        settle = super().settle
        return [await settle([settlement]) != [] for settlement in settlements]


class ABatchIsAnsweredBackwards(MemoryStorage):
    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        return (await super().settle(settlements))[::-1]


class AVerdictForgetsItsResult(MemoryStorage):
    def _end(self, task: Task, result: bytes, ttl_ms: int, reply: str) -> None:
        super()._end(task, b"", ttl_ms, reply)


class AVerdictForgetsItsTask(MemoryStorage):
    def _end(self, task: Task, result: bytes, ttl_ms: int, reply: str) -> None:
        super()._end(task, result, 0, reply)


class AResultNeverExpires(MemoryStorage):
    def _forget_expired(self) -> None:
        pass


class APutBackLosesItsFence(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        super()._put_back(task, settlement)
        task.earlier = 0


class APutBackLosesItsFailures(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        super()._put_back(task, settlement._replace(failures=0))


class APutBackLosesItsPriority(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        task.lane = task.lane._replace(priority=0)
        super()._put_back(task, settlement)


class APutBackLosesItsPayload(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        task.payload = b""
        super()._put_back(task, settlement)


class APutBackGoesToTheHead(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        super()._put_back(task, settlement)
        self._ready[task.lane].rotate(1)


class APutBackLosesItsTask(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        if not settlement.delay_ms:
            super()._put_back(task, settlement)


class ARetryIsCalledQueued(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        task.state = State.QUEUED
        super()._put_back(task, settlement)


class TheScheduleForgets(MemoryStorage):
    def _promote(self, task: Task) -> None:
        if task.failures < 2:
            super()._promote(task)


class APromotedRetryIsCalledQueued(MemoryStorage):
    def _promote(self, task: Task) -> None:
        task.state = State.SCHEDULED
        super()._promote(task)


class PromotionDoesNotTellTheNext(MemoryStorage):
    async def promote(self, limit: int) -> Promotion:
        return (await super().promote(limit))._replace(next_ms=None)


class PromotionIgnoresItsLimit(MemoryStorage):
    async def promote(self, limit: int) -> Promotion:
        return await super().promote(limit + 1)


class APassedInstantNeverComes(MemoryStorage):
    def _enter(self, task: Task, delay_ms: int, eta_ms: int) -> None:
        super()._enter(task, delay_ms if not 0 < eta_ms < self._clock.now_ms() else 1_000_000_000, 0)
