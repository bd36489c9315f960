"""The tasks of the memory storage, and where they stand in line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ..lifecycle import State

if TYPE_CHECKING:
    from ..message import Receipt


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
    leased_until_ms: int = 0
    result: bytes = b""
    progress: bytes = b""
    watchers: set[str] = field(default_factory=set)
