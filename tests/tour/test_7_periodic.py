"""What runs again and again."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from aqueue import MemoryHuey, cron, crontab, current_task, every

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_a_periodic_task_is_enqueued_by_the_workers(huey: Huey) -> None:
    """Each tick is one task, whose id is made of the name and the instant."""
    ids: asyncio.Queue[str] = asyncio.Queue()

    @huey.periodic_task(every(seconds=1), name="beat")
    async def beat() -> None:
        run = current_task()
        ids.put_nowait("" if run is None else run.id)

    async with running(huey):
        first, second = [int((await ids.get()).removeprefix("beat@")) for _ in range(2)]
    assert first % 1000 == second % 1000 == 0
    assert second > first


async def test_there_are_three_ways_to_say_when() -> None:
    """Huey's crontab, cron expressions in a time zone, and spans; each is a value that can be asked for its ticks."""
    noon = datetime(2026, 7, 24, 12, 0)
    assert crontab(minute="*/15", hour="9-17", day_of_week="1-5")(noon)
    assert crontab.hourly() == crontab(minute=0)
    assert cron("0 12 * * *", tz="Europe/Berlin").next_after(0) == 11 * 3_600_000
    assert every(minutes=10).next_after(0) == 600_000


async def test_a_function_may_say_when(huey: Huey) -> None:
    """It is asked once a minute, with the local time. The schedules know when it is asked, but not what it will say."""

    @huey.periodic_task(lambda now: now.hour == 6 and now.minute == 0, name="morning")
    async def morning() -> None: ...

    async with huey:
        [schedule] = await huey.schedules.list()
        assert schedule.next is None


async def test_a_periodic_task_is_a_task(huey: Huey) -> None:
    """It has the options of a task, and can be called and enqueued by hand."""

    @huey.periodic_task(crontab.daily(), retries=3)
    async def sweep() -> int:
        return 7

    assert await sweep() == 7
    async with running(huey):
        assert await (await sweep.enqueue()) == 7


async def test_schedules_can_be_changed_at_run_time(huey: Huey) -> None:
    """``huey.schedules`` lists, pauses, resumes and runs what the code declares, and adds and removes others."""

    @huey.task(name="greet")
    async def greet(name: str) -> str:
        return f"Hello {name}"

    async with running(huey):
        await huey.schedules.add("greeting", cron("0 9 * * mon"), greet.s("you"))
        assert await (await huey.schedules.run("greeting")) == "Hello you"
        await huey.schedules.pause("greeting")
        [schedule] = await huey.schedules.list()
        assert (schedule.name, schedule.when, schedule.paused) == ("greeting", "cron('0 9 * * mon', tz='UTC')", True)
        await huey.schedules.resume("greeting")
        assert await huey.schedules.remove("greeting")


async def test_what_is_missed_and_what_overlaps_is_up_to_you() -> None:
    """``misfire``: the latest missed tick, all of them, or none. ``overlap``: skip, queue, or run in parallel."""
    huey = MemoryHuey("shop")

    @huey.periodic_task(every(hours=1), misfire="all", window=86_400, overlap="queue", jitter=30)
    async def report() -> None: ...

    [schedule] = huey._parts.registry.schedules.values()
    noon_ms = 12 * 3_600_000
    assert schedule.due(noon_ms - 1, noon_ms) == [noon_ms]
    assert schedule.tick(noon_ms).eta_ms <= noon_ms + 30_000
