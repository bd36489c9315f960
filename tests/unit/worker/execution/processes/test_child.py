"""What a body knows and may do in a child process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from aqueue.core.lifecycle import Raised

from ....facts import until
from . import jobs
from .bench import Bench, metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_arguments_and_values_arrive_as_they_were_sent(bench: Bench) -> None:
    value = (1, {2}, b"3", {"__aq__": 4})
    assert await bench.value(jobs.echo, value, self=5, task=value) == [[value], {"self": 5, "task": value}]


async def test_arguments_and_values_may_be_large(bench: Bench) -> None:
    assert await bench.value(jobs.length, "x" * 10_000_000) == 10_000_000
    assert await bench.value(jobs.repeat, "x", 10_000_000) == "x" * 10_000_000


async def test_a_body_knows_its_run(bench: Bench) -> None:
    assert await bench.value(jobs.about_itself, failures=1) == [
        *("id", jobs.about_itself.name, []),
        *(2, 2, 5, "reports", 7),
    ]
    assert 0 < await bench.value(jobs.time_left) <= 60
    assert await bench.value(jobs.given, 1) == [1, "id", True]


async def test_a_call_that_changes_options_changes_the_run(bench: Bench) -> None:
    ran = await bench.run(jobs.about_itself, overrides={"retries": 9, "priority": -1})
    assert ran.run is not None
    assert ran.run.value == ["id", jobs.about_itself.name, [], 1, 9, 5, "reports", -1]


async def test_progress_reaches_whoever_waits(bench: Bench) -> None:
    assert await bench.value(jobs.report) is True
    assert bench.reports == [("id", [1, 2, "half"], "client")]


async def test_a_thread_that_is_left_behind_reports_nothing_any_more(bench: Bench, tmp_path: Path) -> None:
    await bench.value(jobs.report_too_late, str(tmp_path))
    (tmp_path / "go").touch()
    await until(lambda: (tmp_path / "told False").exists())
    assert bench.reports == []
    assert await bench.value(jobs.echo) == [[], {}]


async def test_each_run_has_a_context_of_its_own(bench: Bench) -> None:
    assert [await bench.value(jobs.set_variable) for _ in range(2)] == ["unset", "unset"]


@pytest.mark.parametrize("task", [jobs.inside, jobs.inside_async], ids=lambda task: task.name)
async def test_a_resource_is_entered_in_the_child(bench: Bench, task: Any) -> None:
    for events in (["open"], ["open", "close", "open"]):
        made, a, seen, child, task_id = await bench.value(task, 5)
        assert (made, a, seen, task_id) == ("a connection", 5, events, "id")
        assert child != os.getpid()
    assert jobs.entered == []


async def test_signals_of_a_shutdown_are_not_for_the_child_but_for_what_it_starts(bench: Bench) -> None:
    assert await bench.value(jobs.be_told_to_stop) == ["True", True]


async def test_there_is_nothing_to_read_from_stdin(bench: Bench) -> None:
    assert await bench.value(jobs.read_stdin) == ""


async def test_a_value_that_cannot_travel_is_a_failure_that_no_retry_can_mend(bench: Bench) -> None:
    ran = await bench.run(jobs.return_what_cannot_travel)
    assert isinstance(ran.outcome, Raised)
    assert ran.outcome.final is True
    assert metadata(ran)["type"] == "EncodeError"
    assert "result is a builtins.object, which cannot travel" in metadata(ran)["error"]


SEALED = """
from aqueue import MemoryHuey, PickleSerializer

huey = MemoryHuey("shop", serializer=PickleSerializer(keys=["k" * 32], compress_from=100))


class Box:
    def __init__(self, content):
        self.content = content


@huey.task(pool="process")
def fill(box, times):
    return Box(box.content * times)
"""


async def test_arguments_and_values_travel_as_the_application_says(imported: Callable[[str, str], Any]) -> None:
    sealed = imported("sealed", SEALED)
    async with sealed.huey:
        result = await sealed.fill.enqueue(sealed.Box("tea"), 1000)
        await sealed.huey.create_worker(burst=True).run()
        assert (await result).content == "tea" * 1000
