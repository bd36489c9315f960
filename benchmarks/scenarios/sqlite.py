"""The embedded store: one SQLite file, no server."""

from __future__ import annotations

from functools import partial

from benchmarks.contestants import ASYNC, BULK, DEFAULTS, RESULTS
from benchmarks.scenarios.drain import drain
from benchmarks.scenarios.enqueue import enqueue
from benchmarks.scenarios.latency import latency
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

SCENARIO = Scenario(
    name="sqlite",
    store="sqlite",
    cases=(
        Case("sequential", partial(enqueue, width=1, tasks=3_000)),
        Case("gather 100", partial(enqueue, width=100), needs=frozenset({ASYNC})),
        Case("bulk", partial(enqueue, width=0), needs=frozenset({BULK})),
        Case("drain", partial(drain, tasks=10_000), needs=frozenset({RESULTS})),
        Case("out of the box", partial(drain, tasks=10_000, tuned=False), needs=frozenset({DEFAULTS})),
        Case("two processes", partial(drain, tasks=10_000, processes=2), needs=frozenset({RESULTS})),
        Case("latency", partial(latency, tasks=500), needs=frozenset({RESULTS})),
    ),
    tables=(
        Table(
            "SQLite",
            (
                Column("sequential", "per_second", "enqueue/s, one after the other"),
                Column("gather 100", "per_second", "enqueue/s, `gather` of 100"),
                Column("bulk", "per_second", "enqueue/s, bulk"),
                Column("drain", "per_second", "drain/s, no-op with results"),
                Column("drain", "worker_us", "worker CPU, us", 1),
                Column("out of the box", "per_second", "drain/s, settings as they come", instead="drain"),
                Column("two processes", "per_second", "drain/s, two processes"),
                Column("latency", "p50_ms", "latency p50, ms", 2),
                Column("latency", "p99_ms", "p99", 2),
            ),
        ),
    ),
)
