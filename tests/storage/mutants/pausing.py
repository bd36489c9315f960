"""Broken rules of pauses, and of the end of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.storage.admin import EVERYTHING
from aqueue.storage.memory.admin import MemoryAdmin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class NothingIsPaused(MemoryAdmin):
    def is_paused(self, queue: str) -> bool:
        return False


class EverythingIsNoQueue(MemoryAdmin):
    def is_paused(self, queue: str) -> bool:
        return queue in self._paused


class OneQueueIsEverything(MemoryAdmin):
    def is_paused(self, queue: str) -> bool:
        return bool(self._paused)


class APauseIsForEver(MemoryAdmin):
    async def resume(self, queue: str) -> bool:
        return queue in self._paused


class ResumingEndsAllPauses(MemoryAdmin):
    async def resume(self, queue: str) -> bool:
        resumed = await super().resume(queue)
        self._paused.clear()
        return resumed


class NobodyIsToldThatItGoesOn(MemoryAdmin):
    async def resume(self, queue: str) -> bool:
        self._wake = lambda: None
        return await super().resume(queue)


class PausingAlwaysWorked(MemoryAdmin):
    async def pause(self, queue: str) -> bool:
        await super().pause(queue)
        return True


class ResumingAlwaysWorked(MemoryAdmin):
    async def resume(self, queue: str) -> bool:
        await super().resume(queue)
        return True


class APauseIsNotTold(MemoryAdmin):
    async def paused(self) -> set[str]:
        return {queue for queue in self._paused if queue == EVERYTHING}


class AFlushEndsPauses(MemoryAdmin):
    async def flush(self) -> AsyncGenerator[int, None]:
        self._paused.clear()
        async for forgotten in super().flush():
            yield forgotten


class AFlushSparesWhatIsLent(MemoryAdmin):
    async def flush(self) -> AsyncGenerator[int, None]:
        lent = dict(self._tables.lent)
        async for forgotten in super().flush():
            yield forgotten
        self._tables.lent.update(lent)
        self._tables.tasks.update((task.id, task) for task in lent.values())


class AFlushSparesDeadLetters(MemoryAdmin):
    async def flush(self) -> AsyncGenerator[int, None]:
        letters = dict(self._dead_letters)
        async for forgotten in super().flush():
            yield forgotten
        self._dead_letters.update(letters)


class AFlushSparesRevocations(MemoryAdmin):
    async def flush(self) -> AsyncGenerator[int, None]:
        marks = dict(self._tables.revocations._by_key)
        async for forgotten in super().flush():
            yield forgotten
        self._tables.revocations._by_key.update(marks)


class AFlushSparesSharedState(MemoryAdmin):
    async def flush(self) -> AsyncGenerator[int, None]:
        shared = dict(self._shared._facts)
        async for forgotten in super().flush():
            yield forgotten
        self._shared._facts.update(shared)


class AFlushCountsNothing(MemoryAdmin):
    async def flush(self) -> AsyncGenerator[int, None]:
        async for _ in super().flush():
            yield 0
