"""Backlog: does a task cost more when more of them are queued?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import FailedError
from benchmarks.contestants import MILLION, RESULTS
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant

FILL_LIMIT = 60.0
"""Seconds to fill the queue; who cannot do it by then sits out."""

SAMPLE = 5_000
"""Tasks to run; the rest stays in the queue."""


def backlog(bench: Bench, contestant: Contestant, *, depth: int) -> dict[str, float]:
    """Queue `depth` tasks, run the first few thousand of them."""
    bench.clear()
    seconds = bench.seconds(FILL_LIMIT)
    job = bench.job(contestant, "fill", tasks=depth, seconds=seconds)
    if (filled := bench.call(contestant, job)["tasks"]) < depth:
        raise FailedError(f"filled {filled:,.0f} in {seconds:.0f} s")
    before = bench.server.usage()
    with bench.workers(contestant, job) as workers:
        workers.wait_for(min(SAMPLE, depth), 15.0)
        usage = bench.server.usage().since(before)
        cpu, _ = workers.cost()
        done = workers.board.count()
        elapsed = (workers.board.last() - workers.board.first()) / 1e9
    return {"per_second": done / elapsed, "worker_us": cpu / done * 1e6, "server_us": usage.cpu / done * 1e6}


DEPTHS = {"1 k": 1_000, "100 k": 100_000, "1 M": 1_000_000}

SCENARIO = Scenario(
    name="backlog",
    cases=(
        Case("1 k", partial(backlog, depth=DEPTHS["1 k"]), needs=frozenset({RESULTS})),
        Case("100 k", partial(backlog, depth=DEPTHS["100 k"]), needs=frozenset({RESULTS}), once=True),
        Case("1 M", partial(backlog, depth=DEPTHS["1 M"]), needs=frozenset({MILLION}), once=True),
    ),
    tables=(
        Table(
            "Backlog: cost of a task (worker CPU / Redis CPU, us) by the number queued",
            tuple(
                Column(name, metric, f"{name}: {side}", 1)
                for name in DEPTHS
                for metric, side in (("worker_us", "worker"), ("server_us", "Redis"))
            ),
            f"The first {SAMPLE:,} tasks are run (1 k: all; the start of the worker weighs more there).",
        ),
    ),
)
