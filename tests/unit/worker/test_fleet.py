"""Periodic tasks on stores that several workers share."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import Huey, MemoryHuey, current_task, every
from aqueue.core.ids import new_token
from aqueue.testing import ManualClock
from aqueue.worker.options import WorkerOptions
from aqueue.worker.worker import Worker

from ...tour.running import running
from ..facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def application(url: str, name: str, ran: list[str]) -> Huey:
    """As each process would have it."""
    huey = Huey(name, url=url)

    @huey.periodic_task(every(seconds=10), name="sweep", misfire="all", overlap="parallel")
    async def sweep() -> None:
        run = current_task()
        ran.append("" if run is None else run.id)

    return huey


@asynccontextmanager
async def working(huey: Huey, clock: ManualClock, **options: Any) -> AsyncIterator[None]:
    """A worker with a clock that the test moves, until the block ends."""
    async with huey:
        # A worker whose clock jumps by a lease would take itself for one that was frozen.
        worker = Worker(huey._parts, WorkerOptions(lease=3600, shutdown_timeout=5, **options), clock)
        work = asyncio.create_task(worker.run())
        await worker.ready.wait()
        yield
        await worker.stop()
        await work


async def test_each_tick_is_fired_once_however_often_two_workers_are_restarted(redis_url: str) -> None:
    name, ran, clock, random = f"fleet-{new_token()}", list[str](), ManualClock(), Random(3)
    ticks = [clock.now_ms() + 10_000 * number for number in range(1, 31)]

    async def work_and_restart() -> None:
        while clock.now_ms() < ticks[-1]:
            async with working(application(redis_url, name, ran), clock):
                await reach(clock.now_ms() + random.randrange(5_000, 60_000))

    async def reach(instant_ms: int) -> None:
        await until(lambda: clock.now_ms() >= min(instant_ms, ticks[-1]))

    onlooker = application(redis_url, name, ran)
    async with onlooker, working(application(redis_url, name, ran), clock):
        storage = await onlooker._parts.clients.storage()
        await until(lambda: storage.schedules())
    async with asyncio.TaskGroup() as fleet:
        for _ in range(2):
            fleet.create_task(work_and_restart())
        while clock.now_ms() < ticks[-1]:
            clock.advance(min(random.choice((1, 4, 12)), (ticks[-1] - clock.now_ms()) / 1000))
            for _ in range(random.randrange(100)):
                await asyncio.sleep(0)
    async with working(application(redis_url, name, ran), clock):
        await until(lambda: len(ran) >= len(ticks))
    assert sorted(ran) == [f"sweep@{tick}" for tick in ticks]


@pytest.mark.parametrize("store", ["redis", "sqlite", "memory"])
async def test_a_schedule_is_served_as_soon_as_it_is_added(store: str, redis_url: str, tmp_path: Path) -> None:
    """The worker serves no other, so it asks for nothing: it is told."""
    urls = {"redis": redis_url, "sqlite": f"sqlite:///{tmp_path}/shop.db"}
    name, greeted = f"shop-{new_token()}", asyncio.Event()

    async def greet(name: str) -> None:
        greeted.set()

    serving = MemoryHuey(name) if store == "memory" else Huey(name, url=urls[store])
    adding = serving if store == "memory" else Huey(name, url=urls[store])
    tasks = [huey.task(name="greet")(greet) for huey in (serving, adding)]
    async with running(serving), adding:
        await adding.schedules.add("greeting", every(seconds=1), tasks[-1].s("you"))
        async with asyncio.timeout(20):
            await greeted.wait()


async def test_a_worker_may_leave_periodic_tasks_to_others(redis_url: str) -> None:
    name, ran, clock = f"fleet-{new_token()}", list[str](), ManualClock()
    huey = application(redis_url, name, ran)
    async with working(huey, clock, periodic=False):
        clock.advance(60)
        by_hand = await huey.schedules.run("sweep")
        assert await by_hand.get(timeout=20) is None
    assert ran == [by_hand.id]
