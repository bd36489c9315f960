"""What tasks and processes share beside the queue: locks, semaphores, rate limits and values."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from aqueue import RateLimitExceeded, TaskLockedException

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_a_lock_lets_one_in_at_a_time(huey: Huey) -> None:
    """In whatever process. Who does not want to wait for it gets an error."""
    async with huey, huey.lock_task("report") as permit:
        assert permit.is_held
        with pytest.raises(TaskLockedException, match="unable to acquire lock report"):
            await huey.lock_task("report").acquire()


async def test_a_task_can_wait_for_its_lock(huey: Huey) -> None:
    """As a decorator it stands above or below ``@huey.task``. Who waits is woken when it is released."""
    inside = []

    @huey.task()
    @huey.lock_task("report", wait=10)
    async def write_report(day: int) -> int:
        inside.append(day)
        assert inside == [day]
        await asyncio.sleep(0)
        inside.remove(day)
        return day

    async with running(huey):
        assert await (await write_report.map([1, 2, 3, 4])) == [1, 2, 3, 4]


async def test_a_semaphore_has_room_for_several(huey: Huey) -> None:
    """And what holds a permit can write its fence beside what it changes, and refuse a lower one."""
    room = huey.semaphore("database", 2)
    async with huey, room as first, room as second:
        assert second.fence > first.fence
        with pytest.raises(TaskLockedException):
            await room.acquire()


async def test_a_rate_limit_admits_so_many_in_a_span_of_time(huey: Huey) -> None:
    """A task that comes too often runs later, at no cost to its retries; other code gets an error."""
    limit = huey.rate_limit("api", 2, per=0.2)

    @huey.task()
    @limit
    async def call(number: int) -> int:
        return number

    async with running(huey):
        assert await (await call.map([1, 2, 3, 4, 5])) == [1, 2, 3, 4, 5]
        hourly = huey.rate_limit("mails", 1, per=3600)
        async with hourly:
            assert await hourly.current_usage() == 1
        with pytest.raises(RateLimitExceeded):
            await hourly.acquire()


async def test_values_are_shared_under_keys(huey: Huey) -> None:
    """Reading leaves them, unlike in Huey; ``pop=True`` takes them. They know nothing of tasks and locks."""
    async with huey:
        await huey.put("settings", {"colour": "blue", "sizes": (1, 2)})
        assert await huey.get("settings") == {"colour": "blue", "sizes": (1, 2)}
        assert await huey.get("missing", default=5) == 5
        assert await huey.put_if_empty("settings", None) is False
        assert [await huey.incr("visits"), await huey.incr("visits", 10)] == [1, 11]
        assert await huey.get("visits", pop=True) == 11
        assert await huey.delete("visits") is False
