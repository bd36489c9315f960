"""Taking over from workers that are gone, and only from those."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import State
from aqueue.worker.services.reclaimer import Reclaimer

from ...facts import until
from ..bench import LEASE_MS, Bench

if TYPE_CHECKING:
    from aqueue import Task

LEASE = LEASE_MS / 1000


@pytest.fixture
def reclaimer(bench: Bench) -> Reclaimer:
    return reclaimer_of(bench)


def reclaimer_of(bench: Bench) -> Reclaimer:
    return Reclaimer(bench.storage, bench.intake, bench.dispatcher, bench.clock, max_crashes=3)


@pytest.fixture
def work(bench: Bench) -> Task[[], None]:
    @bench.huey.task
    async def work() -> None: ...

    return work


async def pass_time(bench: Bench, seconds: float) -> None:
    """Let `seconds` go by in steps that are shorter than what a service sleeps."""
    for _ in range(round(seconds)):
        await bench.clock.wait_for_waiters()
        bench.clock.advance(1)
    await bench.clock.wait_for_waiters()


async def test_the_task_of_a_worker_that_is_gone_runs_within_a_lease_and_a_quarter(
    bench: Bench, reclaimer: Reclaimer, work: Task[[], None]
) -> None:
    async with bench.serving(reclaimer.run()):
        await bench.clock.wait_for_waiters()
        task_id = await bench.push(work)
        await bench.pull(consumer="gone")
        await pass_time(bench, LEASE - 1)
        assert await bench.state(task_id) is State.RUNNING
        await pass_time(bench, LEASE / 4 + 1)
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.DONE


async def test_nothing_is_taken_from_a_worker_that_gives_signs_of_life(
    bench: Bench, reclaimer: Reclaimer, work: Task[[], None]
) -> None:
    keeper = bench.honest("busy").lease_keeper()
    async with bench.serving(reclaimer.run()):
        await bench.clock.wait_for_waiters()
        await bench.push(work)
        [delivery] = await bench.pull(consumer="busy")
        for _ in range(10):
            await pass_time(bench, LEASE / 3)
            assert keeper.renew([delivery.receipt], b"").lost == []
    assert bench.dispatcher.started == 0


async def test_after_an_outage_the_living_have_a_lease_to_say_so(
    bench: Bench, reclaimer: Reclaimer, work: Task[[], None]
) -> None:
    async with bench.serving(reclaimer.run()):
        await bench.clock.wait_for_waiters()
        await bench.push(work)
        [delivery] = await bench.pull(consumer="busy")
        bench.storage.is_down = True
        await pass_time(bench, 2 * LEASE)
        bench.storage.is_down = False
        await pass_time(bench, LEASE / 2)
        assert bench.honest("busy").renew([delivery.receipt], b"").lost == []
        await pass_time(bench, LEASE / 2 + 1)
    assert bench.dispatcher.started == 0


async def test_it_takes_no_more_than_there_is_room_for() -> None:
    bench = Bench(concurrency=3)
    may_end = asyncio.Event()

    @bench.huey.task
    async def stuck() -> None:
        await may_end.wait()

    for _ in range(8):
        await bench.push(stuck)
    async with bench.serving(reclaimer_of(bench).run()):
        await bench.clock.wait_for_waiters()
        await bench.pull(consumer="gone")
        await pass_time(bench, 4 * LEASE)
        assert (bench.dispatcher.running, bench.dispatcher.free) == (3, 0)
        assert {limit for limit, _ in bench.storage.reclaimed} == {3, 0}
        bench.dispatcher.interrupt_all()


async def test_what_may_have_killed_two_workers_is_taken_over_one_at_a_time() -> None:
    """The next crash tells which it was, and accuses nobody beside it."""
    bench = Bench()
    may_end = asyncio.Event()

    @bench.huey.task
    async def stuck() -> None:
        await may_end.wait()

    for _ in range(3):
        await bench.push(stuck)
    await bench.crash(2)
    async with bench.serving(reclaimer_of(bench).run()):
        await pass_time(bench, 2 * LEASE)
        assert (bench.dispatcher.running, bench.dispatcher.started) == (1, 1)
        may_end.set()
        await until(lambda: bench.dispatcher.started == 3)
        await bench.settler.wait_until_below(1)


async def test_it_asks_even_without_room() -> None:
    """That somebody asks regularly is what tells an outage from a quiet time."""
    bench = Bench(concurrency=1)

    @bench.huey.task
    async def stuck() -> None:
        await bench.clock.wait_for_waiters(10_000)

    await bench.push(stuck)
    bench.dispatcher.start(await bench.pull())
    async with bench.serving(reclaimer_of(bench).run()):
        await pass_time(bench, LEASE)
        bench.dispatcher.interrupt_all()
    assert len(bench.storage.reclaimed) >= 4
    assert {limit for limit, _ in bench.storage.reclaimed} == {0}


async def test_workers_that_are_long_gone_are_forgotten(bench: Bench, reclaimer: Reclaimer) -> None:
    bench.honest("long gone").renew([], b"")
    bench.clock.advance(3_000)
    bench.honest("just gone").renew([], b"")
    bench.clock.advance(601)
    async with bench.serving(reclaimer.run()):
        await bench.clock.wait_for_waiters()
        assert [worker.consumer for worker in await bench.storage.workers()] == ["just gone"]


async def test_an_outage_at_its_start_is_outlived(bench: Bench, reclaimer: Reclaimer, work: Task[[], None]) -> None:
    bench.storage.is_down = True
    task_id = await bench.push(work)
    await bench.pull(consumer="gone")
    async with bench.serving(reclaimer.run()):
        await pass_time(bench, LEASE)
        bench.storage.is_down = False
        await pass_time(bench, 3 * LEASE)
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.DONE
