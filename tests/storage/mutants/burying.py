"""Broken rules of dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.core.lifecycle import State
from aqueue.storage.admin import Place
from aqueue.storage.memory.admin import MemoryAdmin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aqueue.storage.admin import StoredTask
    from aqueue.storage.memory.tables import Task


class NothingIsBuried(MemoryAdmin):
    def bury(self, task: Task, state: State, result: bytes, ttl_ms: int) -> None:
        pass


class ALetterHasNoError(MemoryAdmin):
    def bury(self, task: Task, state: State, result: bytes, ttl_ms: int) -> None:
        super().bury(task, state, b"", ttl_ms)


class EveryDeathIsAFailure(MemoryAdmin):
    def bury(self, task: Task, state: State, result: bytes, ttl_ms: int) -> None:
        super().bury(task, State.FAILED, result, ttl_ms)


class ALetterNeverLapses(MemoryAdmin):
    def bury(self, task: Task, state: State, result: bytes, ttl_ms: int) -> None:
        super().bury(task, state, result, 10**12)


class AnEarlierLetterStays(MemoryAdmin):
    def bury(self, task: Task, state: State, result: bytes, ttl_ms: int) -> None:
        if task.id not in self._dead_letters:
            super().bury(task, state, result, ttl_ms)


class LettersPileUp(MemoryAdmin):
    def bury(self, task: Task, state: State, result: bytes, ttl_ms: int) -> None:
        oldest = dict(list(self._dead_letters.items())[:1])
        super().bury(task, state, result, ttl_ms)
        self._dead_letters = {**oldest, **self._dead_letters}


class TheEarliestLetterComesFirst(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        listed = super()._all_in(place)
        return reversed(list(listed)) if place is Place.DEAD else listed


class RetryingKeepsTheLetter(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        letter = self._dead_letters.get(task_id)
        revived = super()._retry(task_id, payload)
        if letter is not None and revived:
            self._dead_letters[task_id] = letter
        return revived


class RetryingAlwaysWorked(MemoryAdmin):
    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        await super().retry(calls)
        return [True] * len(calls)


class OneOfManyIsRetried(MemoryAdmin):
    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        return [*await super().retry(calls[:1]), *[False] * (len(calls) - 1)]


class AnotherPayloadIsIgnored(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        return super()._retry(task_id, None)


class NoPayloadIsTheOldOne(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        return super()._retry(task_id, payload or None)


class AnIdInUseIsRetried(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        task = self._tables.tasks.get(task_id)
        if task is not None and task_id in self._dead_letters:
            task.state = State.FAILED
        return super()._retry(task_id, payload)


class FailuresComeBackToo(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        letter = self._dead_letters.get(task_id)
        revived = super()._retry(task_id, payload)
        if letter is not None and revived:
            self._tables.tasks[task_id].failures = letter.kept.failures
        return revived


class TheFenceBeginsAnew(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        revived = super()._retry(task_id, payload)
        if revived:
            self._tables.tasks[task_id].earlier = 0
        return revived


class WhatCameBackExpires(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        expiring = list(self._tables.expiring)
        revived = super()._retry(task_id, payload)
        self._tables.expiring[:] = expiring
        return revived


class WhatCameBackIsInNoLine(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        revived = super()._retry(task_id, payload)
        if revived:
            self._tables.ready.clear()
        return revived


class DroppingDoesNothing(MemoryAdmin):
    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        return [letter is not None for letter in await self.dead_letters(task_ids)]


class DroppingAlwaysWorked(MemoryAdmin):
    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        await super().drop(task_ids)
        return [True] * len(task_ids)


class DroppingForgetsTheVerdict(MemoryAdmin):
    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        for task_id in task_ids:
            self._tables.tasks.pop(task_id, None)
        return await super().drop(task_ids)


class WhatCameBackIsNewsToThoseWhoWaited(MemoryAdmin):
    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        revived = super()._retry(task_id, payload)
        if revived:
            for waiting in self._tables.nodes._waiting.values():
                for position, other in enumerate(waiting.node.after):
                    if other == task_id:
                        self._tables.nodes._successors[task_id].append((waiting, position))
        return revived
