"""Drain: tasks are queued, then a worker process starts.  How fast is it, and what does a task cost?"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import FailedError
from benchmarks.contestants import DEFAULTS, MILLION, RESULTS, SYNC
from benchmarks.scenarios.scenario import Case, Column, Scenario, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant

LIMIT = 8.0
"""Seconds for one drain; a contestant that is slower is measured over what it ran by then."""


def drain(
    bench: Bench,
    contestant: Contestant,
    *,
    task: str = "add",
    results: bool = True,
    tuned: bool = True,
    concurrency: int | None = None,
    tasks: int = 10_000,
    number: int | None = None,
    limit: float = LIMIT,
    processes: int = 1,
) -> dict[str, float]:
    """Fill the queue, start the workers, wait until everything is settled.

    The queue gets exactly `number` tasks, or as many as this contestant gets when an average one gets `tasks`.

    The clock runs from the body of the first task to the moment when the contestant regards the last one as finished,
    the worker's CPU likewise.  The figures of the server include the start of the worker.
    """
    bench.clear()
    number = number or bench.tasks(contestant, tasks)
    job = bench.job(contestant, "fill", task=task, results=results, tuned=tuned, concurrency=concurrency, tasks=number)
    empty = bench.server.memory()
    filled = int(bench.call(contestant, job)["tasks"])
    full = bench.server.memory()
    before = bench.server.usage()
    with bench.workers(contestant, job, processes) as workers:
        done = workers.wait_for(filled, bench.seconds(limit))
        if not done:
            raise FailedError("no task ran")
        end = workers.wait_settled() if done >= filled else workers.board.last()
        usage = bench.server.usage().since(before)
        cpu, resident = workers.cost()
        elapsed = (end - workers.board.first()) / 1e9
    metrics = {
        "per_second": done / elapsed,
        "resident_mib": resident,
        "tasks": done,
    }
    if cpu:  # not when the tasks ran in children of the worker process
        metrics["worker_us"] = cpu / done * 1e6
    if contestant.store == "redis":
        metrics |= {
            "server_us": usage.cpu / done * 1e6,
            "commands": usage.commands / done,
            "reads": usage.reads / done,
            "queued_bytes": (full - empty) / filled,
        }
        if done >= filled:
            time.sleep(0.1)  # the connections of the killed worker are gone by then
            metrics["stored_bytes"] = (bench.server.memory() - empty) / done
    return metrics


def drain_and_remember(bench: Bench, contestant: Contestant) -> dict[str, float]:
    """The first of the drains; other scenarios want to know how fast it was."""
    metrics = drain(bench, contestant)
    bench.rates[contestant.name] = metrics["per_second"]
    return metrics


def drain_a_million(bench: Bench, contestant: Contestant) -> dict[str, float]:
    """A worker that has run a million tasks: has it grown?"""
    return drain(bench, contestant, number=1_000_000, limit=60.0)


SCENARIO = Scenario(
    name="drain",
    cases=(
        Case("results", drain_and_remember, needs=frozenset({RESULTS})),
        Case("no results", partial(drain, results=False)),
        Case("1 KB", partial(drain, task="echo"), needs=frozenset({RESULTS})),
        Case("plain functions", partial(drain, task="add_sync"), needs=frozenset({RESULTS, SYNC})),
        Case("out of the box", partial(drain, tuned=False), needs=frozenset({RESULTS, DEFAULTS})),
        Case("1 M", drain_a_million, needs=frozenset({MILLION}), once=True),
    ),
    tables=(
        Table(
            "Drain: tasks a second, one worker process",
            (
                Column("results", "per_second", "no-op, with results"),
                Column("no results", "per_second", "no-op, no results"),
                Column("1 KB", "per_second", "1 KB argument"),
                Column("plain functions", "per_second", "`def` instead of `async def`"),
                Column("out of the box", "per_second", "no-op, settings as they come", instead="results"),
            ),
            "The tasks were queued before the worker started.",
        ),
        Table(
            "What one task costs (no-op, with results)",
            (
                Column("results", "worker_us", "worker CPU, us", 1),
                Column("results", "server_us", "Redis CPU, us", 1),
                Column("results", "commands", "Redis commands", 2),
                Column("results", "reads", "round trips", 3),
                Column("results", "queued_bytes", "bytes queued"),
                Column("results", "stored_bytes", "bytes kept after it ran"),
                Column("results", "resident_mib", "worker MiB after the drain"),
                Column("1 M", "resident_mib", "after 1 M tasks"),
            ),
            "Commands inside scripts count. Round trips are reads from client sockets: a pipeline or a script is one.",
        ),
    ),
)
