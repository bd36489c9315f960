"""Start-up: the import, and the time until a new worker runs a waiting task."""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.bench import FailedError
from benchmarks.environments import ROOT, environment
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant

REPEATS = 7


def startup(bench: Bench, contestant: Contestant) -> dict[str, float]:
    """Milliseconds of its import, and from the start of a worker process to the body of its first task."""
    python = str(bench.environments[contestant.name].python)
    bare = _median_ms(python, "pass")
    bench.clear()
    job = bench.job(contestant, "fill")
    bench.call(contestant, job)
    with bench.workers(contestant, job) as workers:
        if not workers.wait_for(1, 20.0):
            raise FailedError("no task ran")
        first = (workers.board.first() - workers.started) / 1e6
    return {"import_ms": _median_ms(python, contestant.imports) - bare, "first_task_ms": first}


def _median_ms(python: str, code: str) -> float:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([python, "-c", code], cwd=ROOT, env=environment(), check=True, capture_output=True)
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


SCENARIO = Scenario(
    name="startup",
    cases=(Case("start", startup),),
    tables=(
        Table(
            "Start-up, ms",
            (
                Column("start", "import_ms", "import"),
                Column("start", "first_task_ms", "start of the worker process to its first task"),
            ),
            "The import is what it adds to a bare interpreter.",
        ),
    ),
)
