"""Testing an application: without a worker, without a server, and without waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aqueue.testing import virtual_clock

if TYPE_CHECKING:
    from aqueue import Huey, TaskRun


async def test_in_immediate_mode_an_enqueue_returns_when_the_task_has_run(huey: Huey) -> None:
    """It takes the path that it takes in a worker: codec, hooks, signals, retries, results."""

    @huey.task(retries=1)
    async def add(a: int, b: int) -> int:
        return a + b

    huey.immediate = True
    result = await add.enqueue(1, 2)
    assert await result.status() == "done"
    assert await result == 3


async def test_an_enqueue_can_raise_what_the_task_raised(huey: Huey) -> None:
    """So that a test fails where the error is."""

    @huey.task()
    async def divide(a: int, b: int) -> float:
        return a / b

    huey.immediate = huey.raise_exceptions = True
    with pytest.raises(ZeroDivisionError):
        await divide.enqueue(1, 0)


async def test_a_test_moves_the_time_of_delays_and_retries(huey: Huey) -> None:
    """``advance`` runs what becomes due, each task at its instant. No time passes in the world outside."""
    runs = []

    @huey.task(retries=3, retry_delay=60, retry_backoff=2, context=True)
    async def unlucky(task: TaskRun) -> None:
        runs.append((clock.now() - start).total_seconds())
        raise ConnectionError

    async with virtual_clock(huey) as clock:
        start = clock.now()
        result = await unlucky.options(delay=3600).enqueue()
        assert await result.status() == "scheduled"
        await clock.advance(3600)
        assert await result.status() == "retrying"
        await clock.advance(3600)
        assert await result.status() == "failed"
    assert runs == [3600, 3660, 3780, 4020]
