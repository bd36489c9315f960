"""Broken rules of looking after a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.core.lifecycle import VERDICTS
from aqueue.storage.admin import Place, StoredTask
from aqueue.storage.memory.admin import MemoryAdmin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator


class EverythingIsReady(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        yield from super()._all_in(place)
        if place is Place.READY:
            yield from super()._all_in(Place.LENT)


class WhatIsLentIsNotListed(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        return iter(()) if place is Place.LENT else super()._all_in(place)


class OnlyWhatIsDoneHasEnded(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        return (kept for kept in super()._all_in(place) if place is not Place.ENDED or kept.state == "done")


class QueuesAreIgnored(MemoryAdmin):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        async for page in super().walk(place):
            yield page


class ThePagesAreOne(MemoryAdmin):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        pages = [page async for page in super().walk(place, queue)]
        if pages:
            yield [kept for page in pages for kept in page]


class TheFirstPageIsAll(MemoryAdmin):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        async for page in super().walk(place, queue):
            yield page
            return


class APageMayBeEmpty(MemoryAdmin):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        async for page in super().walk(place, queue):
            yield page
        yield []


class ThereIsNoOrder(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        return iter(sorted(super()._all_in(place), key=lambda kept: kept.id))


class WhatHasExpiredIsListed(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        if place is not Place.ENDED:
            return super()._all_in(place)
        ended = (task for task in self._tables.tasks.values() if task.state in VERDICTS)
        return (StoredTask(task.id, task.state, result=task.result) for task in ended)


class NobodyHoldsWhatIsLent(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        return (kept._replace(consumer="") for kept in super()._all_in(place))


class NobodyKnowsTheInstant(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        return (kept._replace(at_ms=0) for kept in super()._all_in(place))


class FailuresAreNotTold(MemoryAdmin):
    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        return (kept._replace(failures=0) for kept in super()._all_in(place))
