"""When is a task finished?  Not when its body is, but when the contestant has nothing more to do for it.

Each adapter says how to tell, as questions to its store and the numbers that they answer in the end.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Condition:
    """One question: a Redis command, or one SQL statement."""

    command: tuple[str, ...]
    goal: int

    def holds(self, number: int) -> bool:
        """Zero (a backlog) must be met exactly, any other goal is a minimum (results stored)."""
        return number == 0 if self.goal == 0 else number >= self.goal


class Store(Protocol):
    """A store that answers conditions."""

    def settled(self, conditions: list[Condition]) -> bool:
        """Whether all the conditions hold."""


class SqliteFile:
    """A contestant's database file."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.as_uri()}?mode=ro"

    def settled(self, conditions: list[Condition]) -> bool:
        """Whether all the conditions hold."""
        connection = sqlite3.connect(self._uri, uri=True, timeout=5)
        try:
            return all(each.holds(connection.execute(*each.command).fetchone()[0]) for each in conditions)
        finally:
            connection.close()
