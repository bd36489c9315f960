"""Broken rules of looking after a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.lifecycle import VERDICTS
from aqueue.storage.memory.oversight import MemoryOversight
from aqueue.storage.oversight import Kept, Place

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator


class EverythingIsReady(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        yield from super()._all_in(place)
        if place is Place.READY:
            yield from super()._all_in(Place.LENT)


class WhatIsLentIsNotListed(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        return iter(()) if place is Place.LENT else super()._all_in(place)


class OnlyWhatIsDoneHasEnded(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        return (kept for kept in super()._all_in(place) if place is not Place.ENDED or kept.state == "done")


class QueuesAreIgnored(MemoryOversight):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        async for page in super().walk(place):
            yield page


class ThePagesAreOne(MemoryOversight):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        pages = [page async for page in super().walk(place, queue)]
        if pages:
            yield [kept for page in pages for kept in page]


class TheFirstPageIsAll(MemoryOversight):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        async for page in super().walk(place, queue):
            yield page
            return


class APageMayBeEmpty(MemoryOversight):
    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        async for page in super().walk(place, queue):
            yield page
        yield []


class ThereIsNoOrder(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        return iter(sorted(super()._all_in(place), key=lambda kept: kept.id))


class WhatHasExpiredIsListed(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        if place is not Place.ENDED:
            return super()._all_in(place)
        ended = (task for task in self._tables.tasks.values() if task.state in VERDICTS)
        return (Kept(task.id, task.state, result=task.result) for task in ended)


class NobodyHoldsWhatIsLent(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        return (kept._replace(consumer="") for kept in super()._all_in(place))


class NobodyKnowsTheInstant(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        return (kept._replace(at_ms=0) for kept in super()._all_in(place))


class FailuresAreNotTold(MemoryOversight):
    def _all_in(self, place: Place) -> Iterator[Kept]:
        return (kept._replace(failures=0) for kept in super()._all_in(place))
