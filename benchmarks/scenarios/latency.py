"""Latency: from the call of enqueue to the awaited result, with the worker in another process."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contestants import DEFAULTS, RESULTS
from benchmarks.scenarios.drain import drain
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant


def latency(
    bench: Bench, contestant: Contestant, *, tuned: bool = True, share: float = 0.0, tasks: int = 2_000
) -> dict[str, float]:
    """One task at a time, on an idle worker or beside a load that is a share of what the worker can drain."""
    rate = share * bench.rates[contestant.name] if share and contestant.name in bench.rates else 0.0
    if share and not rate:
        rate = share * drain(bench, contestant, tasks=5_000)["per_second"]
    bench.clear()
    seconds = bench.seconds(10.0)
    probe = bench.job(contestant, "latency", tuned=tuned, awaited=True, tasks=tasks, seconds=seconds)
    with ExitStack() as stack:
        stack.enter_context(bench.workers(contestant, probe))
        if rate:
            load = bench.job(contestant, "load", tuned=tuned, rate=rate, seconds=seconds + 20)
            stack.enter_context(bench.calling(contestant, load))
        return bench.call(contestant, probe) | {"load_per_second": rate}


SCENARIO = Scenario(
    name="latency",
    cases=(
        Case("idle", latency, needs=frozenset({RESULTS})),
        Case("out of the box", partial(latency, tuned=False, tasks=200), needs=frozenset({RESULTS, DEFAULTS})),
        Case("half load", partial(latency, share=0.5), needs=frozenset({RESULTS})),
    ),
    tables=(
        Table(
            "Latency: enqueue to awaited result, ms",
            (
                Column("idle", "p50_ms", "idle, p50", 2),
                Column("idle", "p99_ms", "p99", 2),
                Column("idle", "p999_ms", "p99.9", 2),
                Column("out of the box", "p50_ms", "settings as they come, p50", 2, instead="idle"),
                Column("half load", "p50_ms", "at half load, p50", 2),
                Column("half load", "p99_ms", "p99", 2),
                Column("half load", "p999_ms", "p99.9", 2),
                Column("half load", "load_per_second", "which is, tasks/s"),
            ),
            "Half load is half of what the same contestant drains, offered by a third process:"
            " the faster a contestant, the heavier its load.",
        ),
    ),
)
