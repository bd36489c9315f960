"""I/O-bound tasks: each sleeps 10 ms, so concurrency 200 allows at most 20,000 a second and 2,000 at most 200,000."""

from __future__ import annotations

from functools import partial

from benchmarks.contestants import ASYNC
from benchmarks.scenarios.drain import drain
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

SCENARIO = Scenario(
    name="sleep",
    cases=(
        Case("200", partial(drain, task="nap", concurrency=200, results=False), needs=frozenset({ASYNC})),
        Case("2000", partial(drain, task="nap", concurrency=2000, results=False), needs=frozenset({ASYNC})),
    ),
    tables=(
        Table(
            "Tasks that sleep 10 ms: tasks a second, one worker process, no results",
            (
                Column("200", "per_second", "200 at a time"),
                Column("200", "worker_us", "worker CPU, us", 1),
                Column("2000", "per_second", "2,000 at a time"),
                Column("2000", "worker_us", "worker CPU, us", 1),
            ),
        ),
    ),
)
