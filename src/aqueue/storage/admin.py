"""The contract for operators of a namespace: lists, dead letters, pauses, proof, a flush.

None of this is on the way of a task, and none of it may hold a task up: what may be long comes in pages, and each page
is one bounded step of the store. What moves between two pages may be missed, or seen twice.

A call raises ``QueueUnavailable`` when the store cannot be reached within a few seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ..core.lifecycle import State

# The most tasks in one page.
PAGE = 100

# The most dead letters in one namespace: the oldest make room.
MOST_DEAD_LETTERS = 10_000

# Stands for every queue in a pause; it cannot be the name of a queue.
EVERYTHING = "*"


class Place(StrEnum):
    """Where a store has a task, or what it has kept of one."""

    READY = "ready"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    LENT = "lent"
    ENDED = "ended"
    DEAD = "dead"


class StoredTask(NamedTuple):
    """One task as it is kept.

    `at_ms` is the instant since which it is ready, at which it is due, at which its lease runs out unless it is
    renewed, or at which it has died; 0 for a node that waits for others. A lent task is in the hands of `consumer`, for
    the `deliveries`-th time under this entry. A task that has ended has only an `id`, a `state` and a `result`.
    """

    id: str
    state: State
    payload: bytes = b""
    queue: str = ""
    priority: int = 0
    at_ms: int = 0
    failures: int = 0
    deliveries: int = 0
    consumer: str = ""
    result: bytes = b""


class Finding(NamedTuple):
    """Something in a store that is not as it must be: one word for `what`, the task if it is about one, a sentence.

    ``lost`` is a task that is in no place, so that no worker will ever run it, ``twice`` one that is in two places,
    ``unknown`` one without a record, and ``unread`` a line that no worker reads. A store may have other words.
    """

    what: str
    id: str
    text: str


class Examined(NamedTuple):
    """One step of an examination: the number of `tasks` that were compared with their places, and the `findings`."""

    tasks: int
    findings: list[Finding]


class StorageAdmin(Protocol):
    """What a storage does for its operators."""

    def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        """The tasks in `place`, of `queue` or of all queues, page by page.

        Ready ones come queue by queue, and within each in the order in which ``pull`` would give them; scheduled ones
        in each queue the first that is due first; dead letters the latest first. Tasks that have ended come from all
        queues.
        """

    # -- dead letters
    #
    # A settlement leaves a dead letter for its `dead_ttl_ms`, beside the record of its verdict: all that it takes to
    # run the task again. A later dead letter of the same id takes the place of an earlier one.

    async def dead_letters(self, task_ids: Sequence[str]) -> list[StoredTask | None]:
        """The dead letter of each task; None where there is none."""

    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        """Put each task back in line, with this payload or the one that it had, and end its dead letter.

        It keeps its id, its queue and its priority, and its fence goes on growing; it has no failures, and its verdict
        is forgotten. Nodes that wait for that verdict have got it, and the next one does not concern them. False where
        there is no dead letter, or where another task has the id by then.

        Raises:
            QueueFull: the store has no room.
        """

    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        """End the dead letter of each task; False where there is none."""

    # -- pauses

    async def pause(self, queue: str) -> bool:
        """Stop handing out tasks of `queue`, or of any queue (`EVERYTHING`); False when it was paused already.

        This holds for ``pull``, also for one that waits already, for ``adopt`` and for ``reclaim``. Tasks that are lent
        stay lent.
        """

    async def resume(self, queue: str) -> bool:
        """End the pause of `queue`, or the one of `EVERYTHING`, and wake each ``pull``. False when there was none."""

    async def paused(self) -> set[str]:
        """What is paused."""

    # -- proof

    def examine(self) -> AsyncGenerator[Examined, None]:
        """Check that every task without a verdict is in exactly one place, step by step; workers may run meanwhile.

        Each step looks at a consistent picture of a few tasks. Nothing is changed.
        """

    # -- the end

    def flush(self) -> AsyncGenerator[int, None]:
        """Forget all tasks, results, dead letters, revocations and shared state; how many tasks each step forgot.

        Pauses, schedules and signs of life stay. Receipts of earlier deliveries no longer hold.
        """
