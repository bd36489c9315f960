"""Large values on a slow line: nobody takes more of them than the line carries, and what is small does not wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from .proxy import FaultProxy
from .rig import Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MBIT = 125_000
MB = 1_000_000
# By how much longer than the line is busy a machine that is busy itself may take.
SLACK = 1.5


@pytest.fixture
async def rig(redis_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(redis_url, tmp_path)
    yield rig
    await rig.close()


@pytest.fixture
async def proxy(redis_url: str, rig: Rig) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(redis_url)
    await proxy.open()
    yield proxy
    await proxy.close()


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
