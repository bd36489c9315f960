"""The course of the demo: start a worker, enqueue, watch, sum up, stop the worker."""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .... import Progress, Result, ResultTimeout, TaskException
from ...failures import UNAVAILABLE, Failure
from ...process.lifeline import WorkerProcess
from ...target import shared
from .screen import Screen
from .tasks import add, bill, digest, fetch, huey, order, report

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from .... import Call, Task

_PAGES = 40
_PATIENCE = 300.0
_STOP_SECONDS = 15.0


@dataclass(slots=True)
class Tally:
    """The outcomes of the calls of one task so far."""

    done: int = 0
    failed: int = 0
    retries: int = 0
    example: str = ""

    async def count(self, call: Call[Any], result: Result[Any]) -> None:
        """Add `result`, which has its verdict."""
        try:
            value = await result
        except TaskException as error:
            self.failed += 1
            self.retries += error.attempt - 1
            ended = str(error)
        else:
            self.done += 1
            # `order` returns the number of the attempt that succeeded.
            self.retries += value - 1 if call.task is order else 0
            ended = repr(value)
        if not self.example:
            arguments = ", ".join(map(repr, call.args))
            self.example = f"{_name(call.task)}({arguments}) -> {ended:.40}"


class Progresses:
    """The two progress bars: the share of tasks with a verdict, and the progress of the report."""

    def __init__(self, screen: Screen, total: int) -> None:
        self._screen = screen
        self._total = total
        self.settled = 0
        self.report = Progress(0, _PAGES)

    def show(self) -> None:
        if self._screen.is_due:
            share = self.report.done / _PAGES
            self._screen.progress(
                f"tasks {self._screen.bar(self.settled / self._total)} {self.settled:,} of {self._total:,}"
                f"   report {self._screen.bar(share)} {share:.0%}"
            )


async def show(tasks: int, log: Path) -> None:
    """Run the demo with `tasks` tasks and a report. The worker logs to the file `log`.

    Raises:
        QueueUnavailable, ConfigurationError: the store cannot be reached or used.
        Failure: the worker ended early, or the tasks did not end in time.
    """
    screen = Screen()
    shared(huey, huey._url)
    async with huey:
        store = await (await huey._parts.clients.storage()).describe()
        screen.line(f"Store: {store.version} at {store.location}")
        worker = await _start_worker(log)
        try:
            await _unless_it_ends(worker, log, _watch(screen, worker, tasks))
        finally:
            screen.line("Stopping the worker")
            await worker.stop(_STOP_SECONDS)


async def _start_worker(log: Path) -> WorkerProcess:
    # The user's settings for workers do not apply to the demo's worker.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AQUEUE_")}
    environment["AQUEUE_URL"] = huey._url
    with log.open("wb") as output:
        return await WorkerProcess.start(
            [f"{add.func.__module__}:huey", "--shutdown-timeout", "1", "--log-level", "error"],
            stdout=output,
            stderr=output,
            env=environment,
        )


async def _unless_it_ends(worker: WorkerProcess, log: Path, work: Awaitable[None]) -> None:
    """Await `work`, which needs `worker`, and fail if the worker ends before it."""
    watching = asyncio.ensure_future(work)
    ended = asyncio.ensure_future(worker.wait())
    try:
        await asyncio.wait([watching, ended], return_when=asyncio.FIRST_COMPLETED)
        if not watching.done():
            raise Failure(f"{_last_words(log)}\naqueue: the worker ended early ({ended.result()})", UNAVAILABLE)
        await watching
    finally:
        watching.cancel()
        ended.cancel()


def _last_words(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-2000:].strip()


async def _watch(screen: Screen, worker: WorkerProcess, tasks: int) -> None:
    await worker.is_ready()
    screen.line(f"Worker: process {worker.pid}, ready")
    calls = _mixed(tasks)
    progresses = Progresses(screen, len(calls))
    tallies: dict[str, Tally] = {_name(task): Tally() for task in (add, fetch, digest, order, bill)}
    started = time.perf_counter()
    running_report = await report.options(priority=10).enqueue(_PAGES)
    results = await huey.enqueue_many(calls)
    screen.line(f"Enqueued {len(calls):,} tasks and a report in {time.perf_counter() - started:.2f} s\n")
    call_of = {result.id: call for result, call in zip(results, calls, strict=True)}
    following = asyncio.ensure_future(_follow(running_report, progresses))
    try:
        async for result in results.as_completed(timeout=_PATIENCE):
            call = call_of[result.id]
            await tallies[_name(call.task)].count(call, result)
            progresses.settled += 1
            progresses.show()
        seconds = time.perf_counter() - started
        pages = await running_report.get(timeout=_PATIENCE)
        await following
    except ResultTimeout as error:
        raise Failure(f"the demo did not finish in time: {error}", UNAVAILABLE) from None
    finally:
        following.cancel()
    _sum_up(screen, tallies, len(calls), seconds, pages)


async def _follow(result: Result[str], progresses: Progresses) -> None:
    async for report_so_far in result.progress():
        progresses.report = report_so_far
        progresses.show()


def _mixed(tasks: int) -> list[Call[Any]]:
    """Calls of every task, in random order."""
    numbers = range(1, tasks + 1)
    waiting, in_threads, failing, hopeless = (max(tasks * share // 1000, 1) for share in (150, 20, 30, 5))
    calls: list[Call[Any]] = [
        *(fetch.s(page, round(random.uniform(0.05, 0.5), 2)) for page in numbers[:waiting]),
        *(digest.s(f"document {number}") for number in numbers[:in_threads]),
        *(order.s(number, random.choice([1, 1, 2])) for number in numbers[:failing]),
        *(bill.s(number) for number in numbers[:hopeless]),
    ]
    calls += (add.s(number, number) for number in numbers[len(calls) :])
    random.shuffle(calls)
    return calls


def _sum_up(screen: Screen, tallies: dict[str, Tally], total: int, seconds: float, pages: str) -> None:
    screen.line(f"{'TASK':8}{'DONE':>8}{'FAILED':>8}{'RETRIES':>9}  FOR EXAMPLE")
    for name, tally in tallies.items():
        screen.line(f"{name:8}{tally.done:8}{tally.failed:8}{tally.retries:9}  {tally.example}")
    screen.line(f"{'report':8}{1:8}{0:8}{0:9}  report({_PAGES}) -> {pages!r}")
    retries = sum(tally.retries for tally in tallies.values())
    failed = sum(tally.failed for tally in tallies.values())
    screen.line()
    screen.line(
        f"{total:,} tasks in {seconds:.1f} s, {total / seconds:,.0f} a second; {retries} retries; "
        f"{failed} tasks failed for good, as they should"
    )


def _name(task: Task[..., Any]) -> str:
    return task.name.rpartition(".")[2]
