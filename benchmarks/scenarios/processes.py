"""Several worker processes on one queue: does a second one help?"""

from __future__ import annotations

from functools import partial

from benchmarks.contestants import RESULTS
from benchmarks.scenarios.drain import drain
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

SCENARIO = Scenario(
    name="processes",
    cases=tuple(
        Case(f"{number}", partial(drain, processes=number, tasks=15_000), needs=frozenset({RESULTS}))
        for number in (2, 4)
    ),
    tables=(
        Table(
            "Worker processes: tasks a second, no-op, with results",
            (Column("2", "per_second", "2 processes"), Column("4", "per_second", "4 processes")),
            "Redis takes a core of its own: on a machine with few cores this measures the machine.",
        ),
    ),
)
