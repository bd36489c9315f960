"""What a scenario is: cases to measure, and tables to show them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant


@dataclass(frozen=True)
class Case:
    """One thing to measure, the same way for every contestant that can do it."""

    name: str
    measure: Callable[[Bench, Contestant], dict[str, float]]
    needs: frozenset[str] = frozenset()
    """Features without which a contestant sits out."""
    once: bool = False
    """Measured in the first round only: its spread is small, or it takes long."""


@dataclass(frozen=True)
class Column:
    """One number of one case."""

    case: str
    metric: str
    heading: str
    digits: int = 0
    instead: str = ""
    """The case that stands in for a contestant that has no settings to choose from."""


@dataclass(frozen=True)
class Table:
    """Columns that belong together."""

    title: str
    columns: tuple[Column, ...]
    note: str = ""


@dataclass(frozen=True)
class Scenario:
    """One topic."""

    name: str
    cases: tuple[Case, ...]
    tables: tuple[Table, ...]
    store: str = "redis"
    """Contestants on this store take part."""
