"""Children that are killed, and children that die: with what they started, and alone."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from aqueue import ProcessDied, TaskTimeout
from aqueue.core.lifecycle import Raised, Returned

from ....facts import until
from . import jobs
from .bench import Bench, is_alive, metadata, pids

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_loop_that_never_ends_is_killed_when_its_time_is_up(bench: Bench) -> None:
    child = await bench.value(jobs.pid)
    ran = await bench.run(jobs.loop_for_ever)
    assert isinstance(ran.outcome, Raised)
    assert (ran.outcome.exception, ran.outcome.final) == (TaskTimeout, False)
    assert metadata(ran)["error"] == "TaskTimeout('timeout 0.1s')"
    assert not is_alive(child)
    assert await bench.value(jobs.echo, 1) == [[1], {}]


async def test_what_a_task_has_started_is_killed_with_it(bench: Bench, tmp_path: Path) -> None:
    ran = await bench.run(jobs.start_a_program, str(tmp_path))
    assert isinstance(ran.outcome, Raised)
    assert ran.outcome.exception is TaskTimeout
    [program] = pids(tmp_path)
    await until(lambda: not is_alive(program))


DEATHS = {
    "exit": "ended with exit code 3",
    "SIGSEGV": "was ended by signal 11 (Segmentation fault)",
    "SIGKILL": "was ended by signal 9 (Killed); the kernel does that when memory runs out",
}


@pytest.mark.parametrize("how", DEATHS)
async def test_a_child_that_dies_is_a_failure_of_its_task_alone(bench: Bench, tmp_path: Path, how: str) -> None:
    neighbour = asyncio.create_task(bench.run(jobs.hold, str(tmp_path)))
    await until(lambda: pids(tmp_path))
    child = await bench.value(jobs.pid)
    ran = await bench.run(jobs.die, how)
    assert isinstance(ran.outcome, Raised)
    assert (ran.outcome.exception, ran.outcome.final) == (ProcessDied, False)
    assert metadata(ran)["error"] == f"ProcessDied('child process {child} {DEATHS[how]}')"
    assert await bench.value(jobs.pid) not in {child, *pids(tmp_path)}
    (tmp_path / "go").touch()
    assert isinstance((await neighbour).outcome, Returned)


async def test_a_death_is_noticed_though_a_fork_lives_on(bench: Bench, tmp_path: Path) -> None:
    ran = await bench.run(jobs.die_and_leave_a_fork, str(tmp_path))
    assert "ended with exit code 4" in metadata(ran)["error"]
    [fork] = pids(tmp_path)
    await until(lambda: not is_alive(fork))


async def test_a_cancelled_run_kills_its_child(bench: Bench, tmp_path: Path) -> None:
    run = asyncio.create_task(bench.run(jobs.hold, str(tmp_path)))
    await until(lambda: pids(tmp_path))
    run.cancel()
    ran = await run
    assert isinstance(ran.outcome, Raised)
    assert ran.outcome.exception is asyncio.CancelledError
    [child] = pids(tmp_path)
    assert not is_alive(child)


async def test_a_run_that_is_cancelled_again_while_its_child_is_killed_ends(bench: Bench, tmp_path: Path) -> None:
    run = asyncio.create_task(bench.run(jobs.hold, str(tmp_path)))
    await until(lambda: pids(tmp_path))
    run.cancel()
    asyncio.get_running_loop().call_soon(run.cancel)
    await run
    [child] = pids(tmp_path)
    await until(lambda: not is_alive(child))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_child_that_is_just_being_born_is_not_stopped_either(bench: Bench, number: int) -> None:
    child = await bench.pool._take()
    os.kill(child.pid, number)
    bench.pool._idle.append(child)
    assert await bench.value(jobs.pid) == child.pid


async def test_a_child_that_does_not_want_to_stop_is_killed(bench: Bench) -> None:
    child = await bench.value(jobs.pid)
    os.kill(child, signal.SIGSTOP)
    await bench.runner.close()
    assert not is_alive(child)
