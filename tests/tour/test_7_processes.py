"""Functions that compute: in processes that can be killed.

A child process imports the function by its name, so these tasks are declared at the top level of a module: this one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aqueue import MemoryHuey, TaskException, current_task

from .running import running

huey = MemoryHuey("shop")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children import from where the worker does; tests are not always there."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@huey.task(pool="process")
def primes(below: int) -> int:
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below))


@huey.task(pool="process", timeout=0.2)
def spin() -> None:
    while True:
        pass


@huey.task(pool="process", retries=1)
def crash_once() -> str:
    run = current_task()
    if run is not None and run.attempt == 1:
        os._exit(3)
    return "survived"


@huey.task(pool="process")
def crash() -> None:
    os.abort()


async def test_a_function_runs_in_a_child_process() -> None:
    """With ``pool="process"``. A worker has up to ``children`` of them, started on first use and used again."""
    async with running(huey, children=2):
        assert await (await primes.map([10, 100, 1000])) == [4, 25, 168]


async def test_a_function_in_a_process_can_be_killed() -> None:
    """Nothing can stop a thread; a process is killed when the ``timeout`` is up."""
    async with running(huey, children=1):
        with pytest.raises(TaskException, match=r"timeout 0.2s") as caught:
            await (await spin.enqueue())
        assert caught.value.type == "TaskTimeout"


async def test_a_process_that_dies_is_a_failure_of_its_task_alone() -> None:
    """A crash of C code, an exit, a kernel without memory: the task fails with ``ProcessDied``, or is retried."""
    async with running(huey, children=1):
        with pytest.raises(TaskException, match=r"was ended by signal 6") as caught:
            await (await crash.enqueue())
        assert caught.value.type == "ProcessDied"
        assert await (await crash_once.enqueue()) == "survived"


def test_a_function_that_no_name_leads_to_is_refused() -> None:
    """A child could not import it."""

    def local() -> None: ...

    with pytest.raises(ValueError, match="a child process cannot import"):
        huey.task(pool="process")(local)
