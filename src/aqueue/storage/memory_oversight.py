"""The memory storage for those who look after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lifecycle import VERDICTS
from .oversight import PAGE, Kept, Place

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from ..message import Receipt
    from .memory_tasks import Level, Task


class MemoryOversight:
    """Implements ``storage.oversight.Oversight``, over the very tables in which the storage keeps its tasks."""

    def __init__(
        self,
        tasks: Mapping[str, Task],
        ready: Mapping[Level, deque[Task]],
        lent: Mapping[Receipt, Task],
        scheduled: Sequence[tuple[int, int, Task]],
        forget_expired: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._ready = ready
        self._lent = lent
        self._scheduled = scheduled
        self._forget_expired = forget_expired

    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        self._forget_expired()
        found = [kept for kept in self._all_in(place) if queue in {"", kept.queue} or place is Place.ENDED]
        for start in range(0, len(found), PAGE):
            yield found[start : start + PAGE]

    def _all_in(self, place: Place) -> Iterator[Kept]:
        match place:
            case Place.READY:
                for level in sorted(self._ready, key=lambda level: (level.queue, -level.priority)):
                    yield from (_waiting(task, task.in_line_since_ms) for task in self._ready[level])
            case Place.SCHEDULED:
                for due_ms, _, task in sorted(self._scheduled, key=lambda entry: (entry[2].level.queue, *entry[:2])):
                    yield _waiting(task, due_ms)
            case Place.LENT:
                for receipt, task in self._lent.items():
                    kept = _waiting(task, task.leased_until_ms)
                    yield kept._replace(deliveries=receipt.count, consumer=receipt.consumer)
            case Place.ENDED:
                for task in self._tasks.values():
                    if task.state in VERDICTS:
                        yield Kept(task.id, task.state, result=task.result)


def _waiting(task: Task, at_ms: int) -> Kept:
    return Kept(task.id, task.state, task.payload, *task.level, at_ms, task.failures)
