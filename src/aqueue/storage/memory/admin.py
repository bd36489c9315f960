"""The memory storage as its operators see it: lists, dead letters, pauses, and whether no task is lost."""

from __future__ import annotations

from collections import Counter
from heapq import heapify
from typing import TYPE_CHECKING, NamedTuple

from ...core.lifecycle import BURIED, VERDICTS, State
from ..admin import EVERYTHING, MOST_DEAD_LETTERS, PAGE, Examined, Finding, Place, StoredTask
from .tables import Lane, Task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from ...core.clock import Clock
    from .shared import MemorySharedState
    from .tables import Tables


class _DeadLetter(NamedTuple):
    """A dead letter; `kept.deliveries` counts all that there were of its task."""

    kept: StoredTask
    until_ms: int


class MemoryAdmin:
    """Implements ``storage.admin.StorageAdmin``, over the very tables in which the storage keeps its tasks.

    `enter` puts a task in line, `wake` wakes the pulls that wait for one.
    """

    def __init__(
        self,
        tables: Tables,
        shared: MemorySharedState,
        clock: Clock,
        enter: Callable[[Task, int, int], None],
        wake: Callable[[], None],
    ) -> None:
        self._tables = tables
        self._shared = shared
        self._clock = clock
        self._enter = enter
        self._wake = wake
        self._paused: set[str] = set()
        # The latest last.
        self._dead_letters: dict[str, _DeadLetter] = {}

    async def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        found = [kept for kept in self._all_in(place) if queue in {"", kept.queue} or place is Place.ENDED]
        for start in range(0, len(found), PAGE):
            yield found[start : start + PAGE]

    def _all_in(self, place: Place) -> Iterator[StoredTask]:
        tables = self._tables
        match place:
            case Place.READY:
                for lane in sorted(tables.ready, key=lambda lane: (lane.queue, -lane.priority)):
                    yield from (_kept(task, task.in_line_since_ms) for task in tables.ready[lane])
            case Place.SCHEDULED:
                for due_ms, _, task in sorted(tables.scheduled, key=lambda entry: entry[:2]):
                    yield _kept(task, due_ms)
            case Place.LENT:
                for receipt, task in tables.lent.items():
                    kept = _kept(task, task.leased_until_ms)
                    yield kept._replace(deliveries=receipt.count, consumer=receipt.consumer)
            case Place.WAITING:
                yield from (_kept(task, 0) for task in tables.tasks.values() if task.state is State.WAITING)
            case Place.ENDED:
                now_ms = self._clock.now_ms()
                for until_ms, task_id in tables.expiring:
                    if until_ms > now_ms:
                        yield StoredTask(task_id, tables.tasks[task_id].state, result=tables.tasks[task_id].result)
            case Place.DEAD:
                self._forget_dead_letters()
                yield from (letter.kept for letter in reversed(self._dead_letters.values()))

    # -- dead letters

    def bury(self, task: Task, state: State, result: bytes, ttl_ms: int) -> None:
        """Keep a dead letter of `task`, which is about to end."""
        now_ms = self._clock.now_ms()
        kept = _kept(task, now_ms)._replace(state=state, deliveries=task.earlier + task.count, result=result)
        self._dead_letters.pop(task.id, None)
        self._dead_letters[task.id] = _DeadLetter(kept, now_ms + ttl_ms)
        if len(self._dead_letters) > MOST_DEAD_LETTERS:
            del self._dead_letters[next(iter(self._dead_letters))]

    def _forget_dead_letters(self) -> None:
        now_ms = self._clock.now_ms()
        for task_id in [task_id for task_id, letter in self._dead_letters.items() if letter.until_ms <= now_ms]:
            del self._dead_letters[task_id]

    async def dead_letters(self, task_ids: Sequence[str]) -> list[StoredTask | None]:
        self._forget_dead_letters()
        found = [self._dead_letters.get(task_id) for task_id in task_ids]
        return [letter and letter.kept for letter in found]

    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        self._forget_dead_letters()
        return [self._retry(task_id, payload) for task_id, payload in calls]

    def _retry(self, task_id: str, payload: bytes | None) -> bool:
        letter = self._dead_letters.get(task_id)
        known = self._tables.tasks.get(task_id)
        if letter is None or (known is not None and known.state not in BURIED):
            return False
        del self._dead_letters[task_id]
        kept = letter.kept
        lane = Lane(kept.queue, kept.priority)
        task = Task(task_id, kept.payload if payload is None else payload, lane, earlier=kept.deliveries)
        self._tables.tasks[task_id] = task
        self._tables.expiring[:] = [entry for entry in self._tables.expiring if entry[1] != task_id]
        heapify(self._tables.expiring)
        self._enter(task, 0, 0)
        return True

    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        self._forget_dead_letters()
        return [self._dead_letters.pop(task_id, None) is not None for task_id in task_ids]

    # -- pauses

    def is_paused(self, queue: str) -> bool:
        return queue in self._paused or EVERYTHING in self._paused

    async def pause(self, queue: str) -> bool:
        is_new = queue not in self._paused
        self._paused.add(queue)
        return is_new

    async def resume(self, queue: str) -> bool:
        was_paused = queue in self._paused
        self._paused.discard(queue)
        self._wake()
        return was_paused

    async def paused(self) -> set[str]:
        return set(self._paused)

    # -- proof

    async def examine(self) -> AsyncGenerator[Examined, None]:
        yield Examined(len(self._tables.tasks), _findings(self._tables))

    # -- the end

    async def flush(self) -> AsyncGenerator[int, None]:
        tables, forgotten = self._tables, len(self._tables.tasks)
        for places in (tables.ready, tables.lent, tables.scheduled, tables.nodes):
            places.clear()
        for table in (tables.tasks, tables.expiring, tables.revocations):
            table.clear()
        self._dead_letters.clear()
        self._shared.clear()
        yield forgotten


def _kept(task: Task, at_ms: int) -> StoredTask:
    return StoredTask(task.id, task.state, task.payload, *task.lane, at_ms, task.failures)


def _findings(tables: Tables) -> list[Finding]:
    """What is not as it must be in `tables`: each task without a verdict is in exactly one place."""
    places: Counter[str] = Counter()
    for line in tables.ready.values():
        places.update(task.id for task in line)
    places.update(task.id for task in tables.lent.values())
    places.update(task.id for _, _, task in tables.scheduled)
    places.update(tables.nodes.ids())
    expiring = {task_id for _, task_id in tables.expiring}
    found = [
        Finding("unknown", task_id, "stands in a place, and has no record") for task_id in places.keys() - tables.tasks
    ]
    for task in tables.tasks.values():
        if task.state in VERDICTS:
            if places[task.id]:
                found.append(Finding("twice", task.id, f"is {task.state}, and still stands in a place"))
            if task.id not in expiring:
                found.append(Finding("kept", task.id, f"is {task.state}, and never expires"))
        elif places[task.id] == 0:
            found.append(Finding("lost", task.id, f"is {task.state}, and in no place"))
        elif places[task.id] > 1:
            found.append(Finding("twice", task.id, f"is {task.state}, and in {places[task.id]} places"))
    return found
