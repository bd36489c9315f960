"""The contract for those who look after a namespace: what is in it, by place.

None of this is on the way of a task, and none of it may hold one up: whatever there may be many of comes in pages, each
of which is one bounded step of the store. What moves while the pages are turned may be missed, or seen twice.

A call raises ``QueueUnavailable`` when the store cannot be reached within a few seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..lifecycle import State

# As many tasks are in one page at most.
PAGE = 100


class Place(StrEnum):
    """Where a store has a task."""

    READY = "ready"
    SCHEDULED = "scheduled"
    LENT = "lent"
    ENDED = "ended"


class Kept(NamedTuple):
    """One task as it is kept.

    `at_ms` is the instant since which it is ready, at which it is due, or at which its lease runs out unless it is
    renewed; 0 for one that has ended, of which only `id`, `state` and `result` are told. `consumer` has one that is
    lent, for the `deliveries`-th time of this entry.
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


class Oversight(Protocol):
    """What a storage tells those who look after it."""

    def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        """The tasks in `place`, of `queue` or of all queues, page by page.

        Ready ones come queue by queue, and within each in the order in which ``pull`` would give them; scheduled ones
        queue by queue, the first that is due first. Of those that have ended `queue` says nothing.
        """
