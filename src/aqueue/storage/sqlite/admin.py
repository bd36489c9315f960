"""A namespace in the file as its operators see it: lists in pages, one short transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ..admin import Examined, Place, StoredTask
from .steps import admin as steps
from .steps import checkup, dead_letters

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from .thread import WriterThread

_ABOVE_ALL = 2**31
_LAST = 2**62


class SqliteAdmin:
    """Implements ``storage.admin.StorageAdmin``. `writer` gives the thread of the present session."""

    def __init__(self, writer: Callable[[], WriterThread]) -> None:
        self._writer = writer

    def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        match place:
            case Place.READY:
                return self._ready(queue)
            case Place.ENDED:
                return self._ended()
            case Place.WAITING:
                return self._waiting(queue)
            case Place.DEAD:
                return self._dead(queue)
            case _:
                return self._by_instant(place, queue)

    async def _ready(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        lane = await self._writer().look(steps.next_lane, queue, _ABOVE_ALL)
        while lane is not None and queue in {"", lane[0]}:
            number = 0
            while page := await self._writer().look(steps.ready, *lane, number):
                yield [kept for _, kept in page]
                number = page[-1][0]
            lane = await self._writer().look(steps.next_lane, *lane)

    async def _by_instant(self, place: Place, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        number, last = 0, StoredTask("", State.UNKNOWN)
        while page := await self._writer().look(steps.by_instant, place, last, number):
            # Every queue is read, so that a step stays short where the tasks of one are rare.
            if found := _of(queue, page):
                yield found
            number, last = page[-1]

    async def _waiting(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        number = 0
        while page := await self._writer().look(steps.waiting, number):
            if found := _of(queue, page):
                yield found
            number = page[-1][0]

    async def _ended(self) -> AsyncGenerator[list[StoredTask], None]:
        at_ms = number = 0
        while page := await self._writer().look(steps.ended, at_ms, number):
            yield [StoredTask(task_id, State(state), result=result) for _, _, task_id, state, result in page]
            at_ms, number, *_ = page[-1]

    async def _dead(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        number = _LAST
        while page := await self._writer().look(dead_letters.page, number):
            if found := _of(queue, page):
                yield found
            number = page[-1][0]

    # -- dead letters

    async def dead_letters(self, task_ids: Sequence[str]) -> list[StoredTask | None]:
        return await self._writer().look(dead_letters.find, task_ids)

    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        return await self._writer().submit(dead_letters.retry, calls)

    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        return await self._writer().change(dead_letters.drop, task_ids)

    # -- pauses

    async def pause(self, queue: str) -> bool:
        return await self._writer().change(steps.pause, queue)

    async def resume(self, queue: str) -> bool:
        return await self._writer().change(steps.resume, queue)

    async def paused(self) -> set[str]:
        return await self._writer().look(steps.paused)

    # -- proof

    async def examine(self) -> AsyncGenerator[Examined, None]:
        after = 0
        while True:
            after, examined = await self._writer().look(checkup.examine, after)
            yield examined
            if not after:
                break
        yield Examined(0, await self._writer().look(checkup.leftovers))

    # -- the end

    async def flush(self) -> AsyncGenerator[int, None]:
        while forgotten := await self._writer().change(steps.forget_tasks):
            yield forgotten
        while await self._writer().change(steps.forget_facts):
            pass
        await self._writer().change(steps.forget_the_rest)


def _of(queue: str, page: Sequence[tuple[int, StoredTask]]) -> list[StoredTask]:
    """The tasks of `queue` in a page of all queues."""
    return [kept for _, kept in page if queue in {"", kept.queue}]
