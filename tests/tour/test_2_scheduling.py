"""When a task runs, and before which others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from aqueue import TaskException

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_a_delay_is_an_option_of_the_call(huey: Huey) -> None:
    """``options`` changes how one call is queued and run; the arguments stay the function's own."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with running(huey):
        later = await add.options(delay=0.05).enqueue(1, 2)
        assert await later.status() == "scheduled"
        assert await later == 3


async def test_a_task_can_be_due_at_an_instant(huey: Huey) -> None:
    """``eta`` is a datetime: an aware one is exact, a naive one is local time. One that is past means now."""

    @huey.task()
    async def now() -> float:
        return datetime.now(UTC).timestamp()

    async with running(huey):
        for eta in (
            datetime.now(UTC) + timedelta(milliseconds=50),
            datetime.now() + timedelta(milliseconds=50),
            datetime(2001, 1, 1),
        ):
            result = await now.options(eta=eta).enqueue()
            assert await result >= eta.timestamp()


async def test_schedule_is_hueys_spelling_of_a_delayed_call(huey: Huey) -> None:
    """``schedule`` takes the arguments as a tuple and a dict, and when to run them."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with running(huey):
        result = await add.schedule(args=(1,), kwargs={"b": 2}, delay=timedelta(milliseconds=50))
        assert await result == 3
        with pytest.raises(ValueError, match="eta= or delay="):
            await add.schedule(args=(1, 2))


async def test_urgent_tasks_overtake_others(huey: Huey) -> None:
    """Higher priorities run first; within one priority the oldest."""
    order = []

    @huey.task()
    async def note(name: str) -> None:
        order.append(name)

    async with huey:
        for name, priority in (("low", -10), ("first", 0), ("second", 0), ("high", 100)):
            await note.options(priority=priority).enqueue(name)
        await huey.create_worker(burst=True, concurrency=1).run()
    assert order == ["high", "first", "second", "low"]


async def test_a_task_can_come_too_late(huey: Huey) -> None:
    """``expires`` says until when a task may start; after that it is not run at all."""

    @huey.task(expires=timedelta(minutes=1))
    async def remind() -> str:
        return "the meeting starts now"

    async with running(huey):
        in_time = await remind.enqueue()
        too_late = await remind.options(expires=datetime(2001, 1, 1)).enqueue()
        assert await in_time == "the meeting starts now"
        with pytest.raises(TaskException) as caught:
            await too_late
        assert caught.value.state == "expired"
