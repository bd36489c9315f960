"""The timer: it sleeps until something is due, and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import State
from aqueue.core.message import Envelope
from aqueue.storage.memory.store import MemoryStorage
from aqueue.worker.services.promoter import LARGEST_STEP, LONGEST_SLEEP_SECONDS, Promoter

from ...facts import until

if TYPE_CHECKING:
    from ..bench import Bench


@pytest.fixture
def promoter(bench: Bench) -> Promoter:
    return Promoter(bench.storage, bench.clock)


async def test_a_task_is_made_ready_when_it_is_due_and_not_before(bench: Bench, promoter: Promoter) -> None:
    await bench.storage.push([Envelope("soon", b"", delay_ms=2_000), Envelope("later", b"", delay_ms=5_000)])
    async with bench.serving(promoter.run()):
        states = []
        for seconds in (1.999, 0.001, 2.999, 0.001):
            await bench.clock.wait_for_waiters()
            bench.clock.advance(seconds)
            await bench.clock.wait_for_waiters()
            states.append([await bench.state("soon"), await bench.state("later")])
    assert states == [
        [State.SCHEDULED, State.SCHEDULED],
        [State.QUEUED, State.SCHEDULED],
        [State.QUEUED, State.SCHEDULED],
        [State.QUEUED, State.QUEUED],
    ]
    assert len(bench.storage.promoted) == 3, "it slept in between"


async def test_a_task_that_is_due_earlier_wakes_it(bench: Bench, promoter: Promoter) -> None:
    await bench.storage.push([Envelope("later", b"", delay_ms=5_000)])
    async with bench.serving(promoter.run()):
        await bench.clock.wait_for_waiters()
        await bench.storage.push([Envelope("soon", b"", delay_ms=1_000)])
        promoter.look_again()
        await until(lambda: len(bench.storage.promoted) == 2)
        await bench.clock.wait_for_waiters()
        bench.clock.advance(1)
        await until(lambda: len(bench.storage.promoted) == 3)
        assert await bench.state("soon") is State.QUEUED
        assert await bench.state("later") is State.SCHEDULED


async def test_a_task_that_nobody_told_of_waits_ten_seconds_at_most(bench: Bench, promoter: Promoter) -> None:
    async with bench.serving(promoter.run()):
        await bench.clock.wait_for_waiters()
        await bench.storage.push([Envelope("soon", b"", delay_ms=1)])
        bench.clock.advance(LONGEST_SLEEP_SECONDS)
        await until(lambda: len(bench.storage.promoted) == 2)
        assert await bench.state("soon") is State.QUEUED


async def test_what_is_due_a_long_time_from_now_is_looked_at_now_and_then(bench: Bench, promoter: Promoter) -> None:
    await bench.storage.push([Envelope("later", b"", delay_ms=86_400_000)])
    async with bench.serving(promoter.run()):
        for looks in (1, 2, 3):
            await bench.clock.wait_for_waiters()
            assert len(bench.storage.promoted) == looks
            bench.clock.advance(LONGEST_SLEEP_SECONDS)


async def test_a_crowd_that_is_due_at_once_is_taken_in_steps_without_a_pause(bench: Bench, promoter: Promoter) -> None:
    count = 2 * LARGEST_STEP + 1
    await bench.storage.push([Envelope(f"t{number}", b"", delay_ms=1) for number in range(count)])
    bench.clock.advance(1)
    async with bench.serving(promoter.run()):
        await bench.clock.wait_for_waiters()
    assert len(await bench.pull(count + 1)) == count
    assert bench.storage.promoted == [LARGEST_STEP] * 3


async def test_an_outage_is_outlived(bench: Bench, promoter: Promoter) -> None:
    bench.storage.is_down = True
    await MemoryStorage.push(bench.storage, [Envelope("soon", b"", delay_ms=1)])
    async with bench.serving(promoter.run()):
        for _ in range(3):
            await bench.clock.wait_for_waiters()
            bench.clock.advance(1)
        await bench.clock.wait_for_waiters()
        bench.storage.is_down = False
        bench.clock.advance(1)
        await bench.clock.wait_for_waiters()
        assert await bench.state("soon") is State.QUEUED
