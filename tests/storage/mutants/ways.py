"""Broken rules of the way in and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.core.lifecycle import VERDICTS
from aqueue.storage.memory.events import Listeners
from aqueue.storage.memory.store import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqueue.core.message import Delivery, Envelope
    from aqueue.storage.memory.tables import Level, Task


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


class PriorityIsIgnored(MemoryStorage):
    def _in_order(self, queues: Sequence[str]) -> list[Level]:
        return sorted(super()._in_order(queues), key=lambda level: queues.index(level.queue))


class TheOrderOfQueuesIsIgnored(MemoryStorage):
    def _in_order(self, queues: Sequence[str]) -> list[Level]:
        return sorted(super()._in_order(queues), key=lambda level: (-level.priority, level.queue))


class QueuesGoBeforePriority(MemoryStorage):
    def _in_order(self, queues: Sequence[str]) -> list[Level]:
        return sorted(super()._in_order(queues), key=lambda level: (queues.index(level.queue), -level.priority))


class OtherQueuesAreServedToo(MemoryStorage):
    def _in_order(self, queues: Sequence[str]) -> list[Level]:
        return super()._in_order([*queues, *(level.queue for level in self._ready)])


class TheLastComesFirst(MemoryStorage):
    def _line_up(self, task: Task) -> None:
        super()._line_up(task)
        self._ready[task.level].rotate(1)


class TheLimitIsIgnored(MemoryStorage):
    def _take(self, consumer: str, queues: Sequence[str], limit: int) -> list[Delivery]:
        return super()._take(consumer, queues, limit + 1)


class NobodyIsWoken(MemoryStorage):
    def _wake(self) -> None:
        if self._closed:
            super()._wake()


class APullCannotBeInterrupted(MemoryStorage):
    async def interrupt_pull(self) -> None:
        if self._closed:
            await super().interrupt_pull()


class ClosingLeavesAPullWaiting(MemoryStorage):
    async def close(self) -> None:
        waiting, self._waiting = self._waiting, set()
        await super().close()
        self._waiting = waiting


class ClosingLeavesAListenerWaiting(MemoryStorage):
    async def close(self) -> None:
        listeners, self._listeners = self._listeners, Listeners()
        await super().close()
        self._listeners = listeners


class ADeliveryLeavesItsTaskInLine(MemoryStorage):
    def _lend(self, task: Task, consumer: str) -> Delivery:
        delivery = super()._lend(task, consumer)
        if task.count == 1:
            self._ready[task.level._replace(priority=-9)].append(task)
        return delivery


class TheFenceStartsAtZero(MemoryStorage):
    def _lend(self, task: Task, consumer: str) -> Delivery:
        delivery = super()._lend(task, consumer)
        return delivery._replace(fence=delivery.fence - 1)


class AWaitNeverEnds(MemoryStorage):
    async def _sleep(self, seconds: float) -> bool:
        return await super()._sleep(seconds and 1_000_000)
