"""What the memory storage keeps: the tasks, the places in which they are, and the states of schedules."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ...core.lifecycle import State
from ..protocol import QueueDepth
from .revocations import Revocations
from .workflows import WaitingNodes

if TYPE_CHECKING:
    from ...core.message import Receipt


class Lane(NamedTuple):
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
    lane: Lane
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

    One without a verdict is also in one of `ready`, `lent`, `scheduled` and `nodes`, one with a verdict in `expiring`.

    `schedules` has the state of each schedule by name, `workers` has for each consumer its description and the instant
    of its last sign of life. `reclaimed_ms` is when a worker last reclaimed, `reclaim_due_ms` by when one should have
    done so again.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    ready: defaultdict[Lane, deque[Task]] = field(default_factory=lambda: defaultdict(deque))
    lent: dict[Receipt, Task] = field(default_factory=dict)
    scheduled: list[tuple[int, int, Task]] = field(default_factory=list)
    nodes: WaitingNodes = field(default_factory=WaitingNodes)
    expiring: list[tuple[int, str]] = field(default_factory=list)
    revocations: Revocations = field(default_factory=Revocations)
    schedules: dict[str, bytes] = field(default_factory=dict)
    workers: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    # 0 is long ago: the first worker reclaims after a long time in which none did.
    reclaimed_ms: int = 0
    reclaim_due_ms: int = 0

    def owned(self, receipt: Receipt) -> Task | None:
        """The task that `receipt` holds, if it still holds one."""
        return self.lent.get(receipt)

    def depths(self, now_ms: int) -> list[QueueDepth]:
        """How full each queue is that holds anything."""
        waits_ms: defaultdict[str, list[int]] = defaultdict(list)
        for lane, line in self.ready.items():
            waits_ms[lane.queue] += (now_ms - task.in_line_since_ms for task in line)
        running = Counter(task.lane.queue for task in self.lent.values())
        scheduled = Counter(task.lane.queue for _, _, task in self.scheduled)
        return [
            QueueDepth(queue, len(waits_ms[queue]), running[queue], scheduled[queue], max(waits_ms[queue], default=0))
            for queue in sorted({*waits_ms, *running, *scheduled})
        ]
