"""Child processes as a limited good: so many, used again, replaced, and gone in the end."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from aqueue.core.lifecycle import Raised

from ....facts import until
from . import jobs
from .bench import Bench, is_alive, pids

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_child_is_used_again(bench: Bench) -> None:
    first, second = await bench.value(jobs.pid), await bench.value(jobs.pid)
    assert first == second != os.getpid()


async def test_no_more_children_run_than_allowed(bench: Bench, tmp_path: Path) -> None:
    runs = [asyncio.create_task(bench.value(jobs.hold, str(tmp_path))) for _ in range(4)]
    await until(lambda: len(pids(tmp_path)) == 2)
    await until(lambda: bench.pool.slots.waiting == 2)
    (tmp_path / "go").touch()
    assert set(await asyncio.gather(*runs)) == pids(tmp_path)
    assert len(pids(tmp_path)) == 2


async def test_the_time_of_a_task_begins_with_its_body(bench: Bench, tmp_path: Path) -> None:
    busy = [asyncio.create_task(bench.value(jobs.hold, str(tmp_path))) for _ in range(2)]
    await until(lambda: len(pids(tmp_path)) == 2)
    waiting = asyncio.create_task(bench.value(jobs.hurry))
    # Longer than it may run.
    await asyncio.sleep(0.4)
    (tmp_path / "go").touch()
    assert await waiting == "in time"
    await asyncio.gather(*busy)


async def test_a_child_that_died_of_itself_is_replaced(bench: Bench) -> None:
    first = await bench.value(jobs.pid)
    [child] = bench.pool._idle
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.is_gone)
    assert await bench.value(jobs.pid) != first
    assert len(bench.pool._idle) == 1


async def test_a_task_that_waits_for_a_child_can_be_cancelled(bench: Bench, tmp_path: Path) -> None:
    busy = [asyncio.create_task(bench.value(jobs.hold, str(tmp_path))) for _ in range(2)]
    await until(lambda: len(pids(tmp_path)) == 2)
    waiting = asyncio.create_task(bench.run(jobs.pid))
    await until(lambda: bench.pool.slots.waiting)
    waiting.cancel()
    ran = await waiting
    assert isinstance(ran.outcome, Raised)
    assert ran.outcome.exception is asyncio.CancelledError
    (tmp_path / "go").touch()
    assert set(await asyncio.gather(*busy)) == pids(tmp_path)
    assert await bench.value(jobs.pid) in pids(tmp_path)


async def test_a_child_that_cannot_be_started_fails_the_task_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", "/nowhere/python")
        for _ in range(3):
            ran = await bench.run(jobs.pid)
            assert isinstance(ran.outcome, Raised)
            assert ran.outcome.exception is FileNotFoundError
    assert await bench.value(jobs.pid)


async def test_no_child_is_left_when_the_pool_is_closed(bench: Bench, tmp_path: Path) -> None:
    running = asyncio.create_task(bench.run(jobs.hold, str(tmp_path)))
    await until(lambda: pids(tmp_path))
    idle = await bench.value(jobs.pid)
    await bench.runner.close()
    assert not any(is_alive(pid) for pid in pids(tmp_path) | {idle})
    await running
