"""Enqueue: how many calls a second does one client process get through?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contestants import ASYNC, BULK
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant


def enqueue(bench: Bench, contestant: Contestant, *, width: int, tasks: int = 10_000) -> dict[str, float]:
    """Enqueue no-ops: one call after the other (width 1), `width` calls in one `gather`, or in bulk (width 0)."""
    bench.clear()
    number = tasks if width == 1 else bench.tasks(contestant, tasks)
    return bench.call(contestant, bench.job(contestant, "enqueue", width=width, tasks=number, seconds=10.0))


SCENARIO = Scenario(
    name="enqueue",
    cases=(
        Case("sequential", partial(enqueue, width=1)),
        Case("gather 100", partial(enqueue, width=100), needs=frozenset({ASYNC})),
        Case("gather 1000", partial(enqueue, width=1000), needs=frozenset({ASYNC})),
        Case("bulk", partial(enqueue, width=0), needs=frozenset({BULK})),
    ),
    tables=(
        Table(
            "Enqueue: calls a second, one client process",
            (
                Column("sequential", "per_second", "one after the other"),
                Column("sequential", "cpu_us", "CPU, us"),
                Column("gather 100", "per_second", "`gather` of 100"),
                Column("gather 1000", "per_second", "`gather` of 1,000"),
                Column("gather 1000", "cpu_us", "CPU, us"),
                Column("bulk", "per_second", "bulk API"),
                Column("bulk", "cpu_us", "CPU, us"),
            ),
            "CPU is the client's, per task.",
        ),
    ),
)
