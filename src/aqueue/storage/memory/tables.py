"""What the memory storage keeps: the tasks, and the places in which they are."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ...core.lifecycle import State
from ..protocol import QueueDepth
from .revocations import Marks
from .workflows import Joins

if TYPE_CHECKING:
    from ...core.message import Receipt


class Level(NamedTuple):
    """One queue at one priority."""

    queue: str
    priority: int


@dataclass(slots=True, eq=False)
class Task:
    """All that is known of one task.

    Each time it gets in line it is a new `entry`, which `count` deliveries were made of; `earlier` counts those of the
    entries before.
    """

    id: str
    payload: bytes
    level: Level
    state: State = State.QUEUED
    failures: int = 0
    earlier: int = 0
    entry: str = ""
    count: int = 0
    receipt: Receipt | None = None
    in_line_since_ms: int = 0
    lease_ms: int = 0
    leased_until_ms: int = 0
    result: bytes = b""
    progress: bytes = b""
    watchers: set[str] = field(default_factory=set)

    def begin_lease(self, now_ms: int, lease_ms: int) -> None:
        """It is lent for `lease_ms` from `now_ms` on."""
        self.lease_ms = lease_ms
        self.leased_until_ms = now_ms + lease_ms


@dataclass(slots=True)
class Tables:
    """Each task is in `tasks`.

    One without a verdict is in one of `ready`, `lent`, `scheduled` and `joins` besides, one with a verdict in
    `expiring`.

    `workers` has the description of each consumer and the instant of its last sign of life. `reclaimed_ms` is when
    somebody last looked for leases that have run out, `reclaim_due_ms` by when somebody should have looked again.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    ready: defaultdict[Level, deque[Task]] = field(default_factory=lambda: defaultdict(deque))
    lent: dict[Receipt, Task] = field(default_factory=dict)
    scheduled: list[tuple[int, int, Task]] = field(default_factory=list)
    joins: Joins = field(default_factory=Joins)
    expiring: list[tuple[int, str]] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)
    workers: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    # 0 is long ago: the first look of all comes after a pause.
    reclaimed_ms: int = 0
    reclaim_due_ms: int = 0

    def owned(self, receipt: Receipt) -> Task | None:
        """The task that `receipt` holds, if it still holds one."""
        return self.lent.get(receipt)

    def depths(self, now_ms: int) -> list[QueueDepth]:
        """How full each queue is that holds anything."""
        waits_ms: defaultdict[str, list[int]] = defaultdict(list)
        for level, line in self.ready.items():
            waits_ms[level.queue] += (now_ms - task.in_line_since_ms for task in line)
        running = Counter(task.level.queue for task in self.lent.values())
        scheduled = Counter(task.level.queue for _, _, task in self.scheduled)
        return [
            QueueDepth(queue, len(waits_ms[queue]), running[queue], scheduled[queue], max(waits_ms[queue], default=0))
            for queue in sorted({*waits_ms, *running, *scheduled})
        ]
