"""Broken rules of the way in and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.core.lifecycle import VERDICTS
from aqueue.storage.memory.events import Listeners, WaitingPulls
from aqueue.storage.memory.intake import MemoryIntake
from aqueue.storage.memory.store import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqueue.core.message import Delivery, Envelope
    from aqueue.storage.memory.tables import Lane, Task


# -- the way in


class AKnownIdIsPushedAgain(MemoryStorage):
    def _push(self, envelope: Envelope) -> bool:
        self._tasks.pop(envelope.id, None)
        return super()._push(envelope)


class AnEndedIdIsPushedAgain(MemoryStorage):
    def _push(self, envelope: Envelope) -> bool:
        task = self._tasks.get(envelope.id)
        if task is not None and task.state in VERDICTS:
            del self._tasks[envelope.id]
        return super()._push(envelope)


class EveryPushIsNew(MemoryStorage):
    async def push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        push = super().push
        return [await push([envelope]) != [] for envelope in envelopes]


class ADelayIsIgnored(MemoryStorage):
    def _enter(self, task: Task, delay_ms: int, eta_ms: int) -> None:
        super()._enter(task, 0, eta_ms)


class AnInstantIsIgnored(MemoryStorage):
    def _enter(self, task: Task, delay_ms: int, eta_ms: int) -> None:
        super()._enter(task, delay_ms, 0)


# -- the way out


class PriorityIsIgnored(MemoryIntake):
    def _lanes(self) -> list[Lane]:
        return sorted(super()._lanes(), key=lambda lane: self._borrower.queues.index(lane.queue))


class TheOrderOfQueuesIsIgnored(MemoryIntake):
    def _lanes(self) -> list[Lane]:
        return sorted(super()._lanes(), key=lambda lane: (-lane.priority, lane.queue))


class QueuesGoBeforePriority(MemoryIntake):
    def _lanes(self) -> list[Lane]:
        return sorted(super()._lanes(), key=lambda lane: (self._borrower.queues.index(lane.queue), -lane.priority))


class OtherQueuesAreServedToo(MemoryIntake):
    def _open_queues(self) -> list[str]:
        return [*super()._open_queues(), *(lane.queue for lane in self._tables.ready)]


class TheLastComesFirst(MemoryStorage):
    def _line_up(self, task: Task) -> None:
        super()._line_up(task)
        self._ready[task.lane].rotate(1)


class TheLimitIsIgnored(MemoryIntake):
    def _take(self, limit: int) -> list[Delivery]:
        return super()._take(limit + 1)


class NobodyIsWoken(MemoryStorage):
    def _wake(self) -> None:
        if self._waiting.is_closed:
            super()._wake()


class APullCannotBeInterrupted(MemoryIntake):
    async def interrupt(self) -> None:
        pass


class AnInterruptEndsEveryPull(MemoryIntake):
    async def interrupt(self) -> None:
        await super().interrupt()
        self._waiting.wake()

    async def _sleep(self, seconds: float) -> bool:
        woken = await super()._sleep(seconds)
        self._interrupted = self._interrupted or woken
        return woken


class ClosingLeavesAPullWaiting(MemoryStorage):
    async def close(self) -> None:
        waiting, self._waiting = self._waiting, WaitingPulls()
        await super().close()
        self._waiting = waiting


class ClosingLeavesAListenerWaiting(MemoryStorage):
    async def close(self) -> None:
        listeners, self._listeners = self._listeners, Listeners()
        await super().close()
        self._listeners = listeners


class ADeliveryLeavesItsTaskInLine(MemoryIntake):
    def _lend(self, task: Task) -> Delivery:
        delivery = super()._lend(task)
        if task.count == 1:
            self._tables.ready[task.lane._replace(priority=-9)].append(task)
        return delivery


class TheFenceStartsAtZero(MemoryIntake):
    def _lend(self, task: Task) -> Delivery:
        delivery = super()._lend(task)
        return delivery._replace(fence=delivery.fence - 1)


class AWaitNeverEnds(MemoryIntake):
    async def _sleep(self, seconds: float) -> bool:
        return await super()._sleep(seconds and 1_000_000)
