"""A clock that runs what becomes due: in order, each at its instant, and not before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aqueue import Huey, MemoryHuey, RetryTask, State, crontab, current_task, every
from aqueue.testing import virtual_clock


@pytest.fixture
def huey() -> Huey:
    return MemoryHuey("shop")


async def test_a_delayed_task_runs_when_it_is_due_and_not_before(huey: Huey) -> None:
    @huey.task
    async def work() -> str:
        return "done"

    async with virtual_clock(huey) as clock:
        result = await work.options(delay=60).enqueue()
        await clock.advance(59.999)
        assert await result.status() is State.SCHEDULED
        await clock.advance(0.001)
        assert await result.get(blocking=False) == "done"


async def test_it_begins_now_and_stands_still(huey: Huey) -> None:
    before = datetime.now(UTC)
    async with virtual_clock(huey) as clock:
        now = clock.now()
        assert before - timedelta(milliseconds=1) <= now <= datetime.now(UTC)
        assert clock.now() == now
        await clock.advance(timedelta(days=1))
        assert clock.now() == now + timedelta(days=1)


async def test_an_eta_is_an_instant_of_this_clock(huey: Huey) -> None:
    runs: list[datetime] = []

    @huey.task
    async def work() -> None:
        runs.append(clock.now())

    async with virtual_clock(huey) as clock:
        eta = clock.now() + timedelta(hours=1)
        await work.options(eta=eta).enqueue()
        await clock.advance(7200)
    assert runs == [eta]


async def test_all_that_becomes_due_runs_in_order_each_at_its_instant(huey: Huey) -> None:
    runs: list[tuple[str, float]] = []

    @huey.task
    async def work(name: str) -> None:
        runs.append((name, (clock.now() - start).total_seconds()))
        if name == "b":
            await work.options(delay=5).enqueue("from b")

    async with virtual_clock(huey) as clock:
        start = clock.now()
        for name, delay in [("c", 30), ("a", 10), ("b", 20), ("d", 61)]:
            await work.options(delay=delay).enqueue(name)
        await clock.advance(60)
        assert runs == [("a", 10), ("b", 20), ("from b", 25), ("c", 30)]
        assert clock.now() == start + timedelta(seconds=60)
        await clock.advance(60)
    assert runs[4:] == [("d", 61)]


async def test_retries_come_after_their_waits(huey: Huey) -> None:
    runs: list[float] = []

    @huey.task(retries=3, retry_delay=60, retry_backoff=2)
    async def fail() -> None:
        runs.append((clock.now() - start).total_seconds())
        raise ValueError

    async with virtual_clock(huey) as clock:
        start = clock.now()
        result = await fail.enqueue()
        await clock.advance(1000)
        assert await result.status() is State.FAILED
    assert runs == [0, 60, 180, 420]


async def test_a_task_that_always_asks_for_another_run_gets_one_per_wait(huey: Huey) -> None:
    runs: list[Any] = []

    @huey.task
    async def poll() -> None:
        runs.append(clock.now())
        raise RetryTask(delay=1)

    async with virtual_clock(huey) as clock:
        await poll.enqueue()
        await clock.advance(100)
    assert len(runs) == 101


async def test_more_tasks_than_one_step_takes_run_at_one_instant(huey: Huey) -> None:
    runs: list[int] = []

    @huey.task
    async def work(number: int) -> None:
        runs.append(number)

    async with virtual_clock(huey) as clock:
        await huey.enqueue_many([work.options(delay=5).s(number) for number in range(1200)])
        await clock.advance(5)
    assert sorted(runs) == list(range(1200))


async def test_a_task_that_expires_meanwhile_does_not_run(huey: Huey) -> None:
    @huey.task(retries=1, retry_delay=100)
    async def work() -> None:
        raise ValueError

    async with virtual_clock(huey) as clock:
        result = await work.options(expires=50).enqueue()
        assert await result.status() is State.RETRYING
        await clock.advance(100)
        assert await result.status() is State.EXPIRED


async def test_results_expire_too(huey: Huey) -> None:
    @huey.task(result_ttl=3600)
    async def work() -> str:
        return "done"

    async with virtual_clock(huey) as clock:
        result = await work.enqueue()
        await clock.advance(3599)
        assert await result.status() is State.DONE
        await clock.advance(1)
        assert await result.status() is State.UNKNOWN


@pytest.mark.parametrize("immediate", [True, False])
async def test_afterwards_the_application_is_as_it_was(immediate: bool) -> None:
    huey = MemoryHuey("shop", immediate=immediate)

    @huey.task
    async def work() -> str:
        return "done"

    async with huey:
        before = await work.enqueue()
        state = await huey.result(before.id).status()
        with pytest.raises(LookupError):
            async with virtual_clock(huey):
                assert huey.immediate
                during = await work.enqueue()
                assert await huey.result(before.id).status() is State.UNKNOWN
                raise LookupError
        assert huey.immediate is immediate
        assert await huey.result(before.id).status() is state
        assert await huey.result(during.id).status() is State.UNKNOWN


async def test_nothing_is_left_running(huey: Huey) -> None:
    tasks = asyncio.all_tasks()
    async with virtual_clock(huey):
        await huey.queues.depths()
        assert asyncio.all_tasks() > tasks
    assert asyncio.all_tasks() == tasks


async def test_time_does_not_go_back(huey: Huey) -> None:
    async with virtual_clock(huey) as clock:
        with pytest.raises(ValueError, match="seconds must be between 0"):
            await clock.advance(-1)
        with pytest.raises(TypeError, match="seconds must be seconds"):
            await clock.advance("60")  # type: ignore[arg-type]


# -- periodic tasks


def declare_beat(huey: Huey, runs: list[float], **options: Any) -> Any:
    """A task that notes of each of its runs which second of its minute the tick was."""

    @huey.periodic_task(every(seconds=15), name="beat", **options)
    async def beat() -> None:
        run = current_task()
        assert run is not None
        runs.append(int(run.id.removeprefix("beat@")) % 60_000 / 1000)

    return beat


async def test_periodic_tasks_run_at_their_instants_where_a_test_asks_for_them(huey: Huey) -> None:
    runs: list[float] = []
    declare_beat(huey, runs)
    async with virtual_clock(huey, periodic=True) as clock:
        await clock.advance(3600)
        assert len(runs) == 240
        assert set(runs) == {0, 15, 30, 45}
        [beat] = await huey.schedules.list()
        assert beat.last is not None
        assert beat.next == beat.last + timedelta(seconds=15)
        assert beat.last <= clock.now() < beat.next


async def test_without_being_asked_for_they_do_not_run(huey: Huey) -> None:
    """As in Huey: the tests of something else are not disturbed."""
    runs: list[float] = []
    declare_beat(huey, runs)
    async with virtual_clock(huey) as clock:
        await clock.advance(3600)
        assert runs == []
        assert (await huey.schedules.list())[0].last is None


async def test_a_revoked_periodic_task_does_not_run_until_it_is_restored(huey: Huey) -> None:
    """As in Huey its ticks are enqueued all the same, and what would run them drops them."""
    runs: list[float] = []
    heard: list[str] = []
    beat = declare_beat(huey, runs)

    @huey.signal()
    def hear(signal: str, task: Any) -> None:
        heard.append(signal)

    async with virtual_clock(huey, periodic=True) as clock:
        await beat.revoke()
        await clock.advance(60)
        assert runs == []
        assert heard == ["enqueued", "revoked"] * 4
        await beat.restore()
        await clock.advance(60)
        assert len(runs) == 4
        await beat.revoke(revoke_once=True)
        await clock.advance(60)
        assert len(runs) == 7
        await beat.revoke(revoke_until=clock.now() + timedelta(seconds=30))
        await clock.advance(60)
        assert len(runs) == 9


async def test_a_schedule_that_a_task_adds_is_served(huey: Huey) -> None:
    runs: list[str] = []

    @huey.task(name="greet")
    async def greet(name: str) -> None:
        runs.append(name)

    @huey.task
    async def begin() -> None:
        await huey.schedules.add("greeting", every(seconds=15), greet.s("you"))

    async with virtual_clock(huey, periodic=True) as clock:
        await begin.options(delay=60).enqueue()
        await clock.advance(59)
        assert runs == []
        await clock.advance(31)
        assert runs == ["you"] * 2
        await huey.schedules.pause("greeting")
        await clock.advance(60)
        assert runs == ["you"] * 2


async def test_a_function_is_asked_what_a_tick_is(huey: Huey) -> None:
    runs: list[datetime] = []

    @huey.periodic_task(lambda now: now.minute % 20 == 0, name="asked")
    async def asked() -> None:
        runs.append(clock.now())

    @huey.periodic_task(crontab(minute="*/20"), name="told")
    async def told() -> None:
        runs.append(clock.now())

    async with virtual_clock(huey, periodic=True) as clock:
        await clock.advance(3600)
    assert len(runs) == 6
    assert runs[::2] == runs[1::2]


async def test_a_periodic_task_that_fails_does_not_disturb_who_moves_the_clock(huey: Huey) -> None:
    """``raise_exceptions`` is for who enqueues, and nobody enqueued this."""
    huey.raise_exceptions = True

    @huey.periodic_task(every(minutes=1), name="fails")
    async def fails() -> None:
        raise ValueError("no")

    async with virtual_clock(huey, periodic=True) as clock:
        await clock.advance(60)
        with pytest.raises(ValueError, match="no"):
            await huey.schedules.run("fails")
