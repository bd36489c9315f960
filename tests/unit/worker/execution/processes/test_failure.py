"""An exception that was raised in a child process, as the worker and the caller see it."""

from __future__ import annotations

import asyncio
import os
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import RetryTask, TaskException
from aqueue.core.lifecycle import Cancelled, Raised, RetryAsked

from . import jobs
from .bench import Bench, metadata

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("name", jobs.RAISING)
async def test_whatever_a_body_raises_is_told_as_it_was(bench: Bench, name: str) -> None:
    ran = await bench.run(jobs.throw, name, failures=1)
    assert isinstance(ran.outcome, Raised)
    assert ran.outcome.final is False
    said = metadata(ran)
    assert (said["type"], said["attempt"], said["task_id"]) == (name, 2, "id")
    assert "Traceback (most recent call last):\n" in said["traceback"]
    assert "RAISING[name]()" in said["traceback"]
    assert f"aqueue{os.sep}processes" not in said["traceback"]
    assert await bench.value(jobs.echo) == [[], {}]


KINDS: dict[str, type[BaseException]] = {
    "Known": jobs.Known,
    "NeedsArguments": jobs.NeedsArguments,
    "Unpicklable": jobs.Unpicklable,
    "Explosive": jobs.Explosive,
    "Frozen": jobs.Frozen,
    "with_local_class.<locals>.Local": jobs.Known,
    "SystemExit": SystemExit,
    "CancelledError": asyncio.CancelledError,
}


@pytest.mark.parametrize("name", KINDS)
async def test_its_class_is_the_nearest_that_is_known_here(bench: Bench, name: str) -> None:
    ran = await bench.run(jobs.throw_and_retry, name)
    assert isinstance(ran.outcome, Raised)
    assert ran.outcome.exception is KINDS[name]


async def test_one_that_can_travel_is_itself(bench: Bench) -> None:
    ran = await bench.run(jobs.throw, "Known")
    assert ran.run is not None
    assert isinstance(ran.run.exception, jobs.Known)
    assert ran.run.exception.args == ("text", 5)


@pytest.mark.parametrize("name", ["NeedsArguments", "Unpicklable", "Explosive", "Frozen"])
async def test_one_that_cannot_travel_is_told_by_another(bench: Bench, name: str) -> None:
    ran = await bench.run(jobs.throw, name)
    assert ran.run is not None
    assert isinstance(ran.run.exception, TaskException)
    assert ran.run.exception.type == name


async def test_a_log_shows_where_it_was_raised(bench: Bench) -> None:
    ran = await bench.run(jobs.throw, "ZeroDivisionError")
    assert ran.run is not None
    assert ran.run.exception is not None
    assert '"ZeroDivisionError": lambda: 1 / 0' in "".join(traceback.format_exception(ran.run.exception))


@pytest.mark.parametrize(("retry", "final", "again"), [(None, False, False), (True, False, True), (False, True, False)])
async def test_a_body_can_cancel_its_run(bench: Bench, retry: Any, final: bool, again: bool) -> None:
    ran = await bench.run(jobs.cancel, retry)
    assert isinstance(ran.outcome, Cancelled)
    assert (ran.outcome.final, ran.outcome.again) == (final, again)
    assert metadata(ran)["error"] == "CancelExecution('enough')"


async def test_a_body_can_ask_for_a_retry(bench: Bench) -> None:
    ran = await bench.run(jobs.ask_for_a_retry, 2.5)
    assert ran.outcome == RetryAsked(delay_ms=2500)
    assert ran.run is not None
    assert isinstance(ran.run.exception, RetryTask)


CHANGED = """
import sys

from tests.unit.worker.execution.processes.jobs import huey

if "aqueue.worker.execution.processes.child" in sys.modules:
    raise ValueError("not here")


@huey.task(pool="process")
def work():
    return 1
"""


async def test_a_module_that_cannot_be_imported_in_the_child_is_a_failure_of_the_task(
    bench: Bench, imported: Callable[[str, str], Any]
) -> None:
    module = imported("changed", CHANGED)
    for _ in range(2):
        ran = await bench.run(module.work)
        assert isinstance(ran.outcome, Raised)
        assert metadata(ran)["error"] == "ValueError('not here')"
    assert await bench.value(jobs.echo) == [[], {}]
