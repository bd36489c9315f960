"""Schedule accuracy: tasks with due times; how late do they run?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.bench import FailedError
from benchmarks.contestants import DELAY
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant

TASKS = 200


def lateness(bench: Bench, contestant: Contestant) -> dict[str, float]:
    """200 tasks, due at moments spread evenly over four seconds."""
    bench.clear()
    job = bench.job(contestant, "schedule", task="due", tasks=TASKS, seconds=4.0)
    with bench.workers(contestant, job) as workers:
        bench.call(contestant, job)
        if workers.wait_for(TASKS, 15.0) < TASKS:
            raise FailedError(f"{workers.board.count()} of {TASKS} due tasks ran")
        late = sorted(workers.board.lateness())
    return {"min_ms": late[0] * 1e3, "p50_ms": late[TASKS // 2] * 1e3, "p99_ms": late[TASKS * 99 // 100] * 1e3}


SCENARIO = Scenario(
    name="schedule",
    cases=(Case("due", lateness, needs=frozenset({DELAY})),),
    tables=(
        Table(
            "Due tasks: how late they run, ms",
            (
                Column("due", "min_ms", "earliest", 1),
                Column("due", "p50_ms", "p50", 1),
                Column("due", "p99_ms", "p99", 1),
            ),
            "Negative: before its time.",
        ),
    ),
)
