"""Large values on a slow line: nobody takes more of them than the line carries, and what is small does not wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from aqueue import Huey
from aqueue.client.results import ResultGroup

from .app import declare
from .rig import Rig, until

if TYPE_CHECKING:
    from .proxy import FaultProxy

MBIT = 125_000
MB = 1_000_000
# By how much longer than the line is busy a machine that is busy itself may take.
SLACK = 1.5


@pytest.fixture
def store_url(redis_url: str) -> str:
    """Only a server is behind a line."""
    return redis_url


async def test_a_hundred_large_arguments_arrive_at_the_speed_of_the_line_and_two_workers_share_them(
    rig: Rig, proxy: FaultProxy
) -> None:
    count, size, rate = 100, 2 * MB, 100 * MBIT
    workers = [rig.start_worker(url=proxy.url, concurrency=100) for _ in range(2)]
    await rig.up(*workers)
    # So that all of them are there when the workers look.
    await rig.huey.queues.pause("default")
    results = [await rig.enqueue("measure", "x" * size) for _ in range(count)]
    proxy.throttle(rate)
    began = time.monotonic()
    await rig.huey.queues.resume("default")
    assert await rig.values(results, 60) == [size] * count
    assert time.monotonic() - began < SLACK * count * size / rate
    proxy.heal()
    assert rig.starts_of(results) == [1] * count
    shares = [sum(entry.pid == worker.pid for entry in rig.ledger.entries("start")) for worker in workers]
    assert min(shares) >= count // 4, f"tasks by worker: {shares}"
    await rig.stop(*workers)
    await rig.check_drained()


async def test_small_tasks_run_while_a_large_argument_is_on_its_way(rig: Rig, proxy: FaultProxy) -> None:
    size, rate = 8 * MB, 2 * MB
    worker = rig.start_worker(url=proxy.url, concurrency=10)
    await rig.up(worker)
    proxy.throttle(rate)
    large = await rig.enqueue("measure", "x" * size)
    began = time.monotonic()
    small = [await rig.enqueue("quick", number) for number in range(20)]
    assert await rig.values(small) == list(range(20))
    assert time.monotonic() - began < size / rate / 2
    assert rig.starts_of([large]) == [0]
    assert await rig.values([large]) == [size]
    proxy.heal()
    await rig.stop(worker)
    await rig.check_drained()


async def test_many_large_results_are_gathered_at_the_speed_of_the_line_and_delay_no_small_one(
    rig: Rig, proxy: FaultProxy
) -> None:
    count, size, rate = 30, 2 * MB, 40 * MBIT
    worker = rig.start_worker()
    rig.open(rig.gate())
    large = [await rig.enqueue("produce", rig.gate(), size) for _ in range(count)]
    small = await rig.enqueue("quick", "small")
    await until(lambda: is_idle(rig), "all of them done")
    proxy.throttle(rate)
    async with declare(Huey(rig.name, proxy.url), rig.ledger) as reader:
        began = time.monotonic()
        gathering = asyncio.create_task(ResultGroup([reader.result(each.id) for each in large]).get(timeout=60))
        await until(lambda: proxy.replies.carried > 10 * size, "the results under way")
        asked_at = time.monotonic()
        assert await reader.result(small.id).get(timeout=30) == "small"
        assert time.monotonic() - asked_at < 1
        assert [len(value) for value in await gathering] == [size] * count
        assert time.monotonic() - began < SLACK * count * size / rate
    proxy.heal()
    await rig.stop(worker)
    await rig.check_drained()


async def is_idle(rig: Rig) -> bool:
    return await rig.count("ready") + await rig.count("running") == 0
