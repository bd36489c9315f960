"""Idle: what does a worker cost that has nothing to do?"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contestants import DEFAULTS
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant

WARM_UP = 3.0
"""Seconds before the reading starts; the worker has run one task by then."""


def idle(bench: Bench, contestant: Contestant, *, tuned: bool = True, seconds: float = 10.0) -> dict[str, float]:
    """Watch a worker with an empty queue."""
    bench.clear()
    seconds = bench.seconds(seconds)
    job = bench.job(contestant, "fill", tuned=tuned)
    with bench.workers(contestant, job) as workers:
        bench.call(contestant, job)
        workers.wait_for(1, 10.0)
        time.sleep(WARM_UP)
        before, (cpu, _) = bench.server.usage(), workers.cost()
        time.sleep(seconds)
        usage, (later, resident) = bench.server.usage().since(before), workers.cost()
    return {
        "commands": usage.commands / seconds,
        "reads": usage.reads / seconds,
        "cpu_ms": (later - cpu) / seconds * 1e3,
        "resident_mib": resident,
    }


SCENARIO = Scenario(
    name="idle",
    cases=(
        Case("tuned", idle, once=True),
        Case("out of the box", partial(idle, tuned=False), needs=frozenset({DEFAULTS}), once=True),
    ),
    tables=(
        Table(
            "One idle worker",
            (
                Column("tuned", "reads", "round trips a second", 1),
                Column("tuned", "commands", "Redis commands a second", 1),
                Column("tuned", "cpu_ms", "CPU, ms a second", 1),
                Column("tuned", "resident_mib", "MiB resident"),
                Column("out of the box", "reads", "settings as they come: round trips a second", 1, instead="tuned"),
            ),
        ),
    ),
)
