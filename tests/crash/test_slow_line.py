"""Large values on a line that carries them slowly. A call takes as long as its bytes take, and holds up no other."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from .rig import Rig, task_of, until

if TYPE_CHECKING:
    from aqueue import Huey

    from .proxy import FaultProxy

MB = 1_000_000
# By how much longer than the line is busy a machine that is busy itself may take.
SLACK = 1.5


@pytest.fixture
def store_url(redis_url: str) -> str:
    """Only a server is behind a line."""
    return redis_url


async def test_small_verdicts_do_not_wait_behind_a_large_result_which_is_sent_once(rig: Rig, proxy: FaultProxy) -> None:
    size, rate = 12 * MB, 2 * MB
    worker = rig.start_worker(url=proxy.url)
    large = await rig.enqueue("produce", rig.gate("large"), size)
    small = [await rig.enqueue("hold", rig.gate("small")) for _ in range(3)]
    await rig.started([large, *small])
    proxy.throttle(rate)
    before = proxy.requests.carried
    began = time.monotonic()
    rig.open(rig.gate("large"))
    await until(lambda: proxy.requests.carried > before + MB, "the large result under way")

    opened_at = time.monotonic()
    rig.open(rig.gate("small"))
    assert await rig.values(small) == [1] * 3
    assert time.monotonic() - opened_at < 1
    assert len(await large.get(timeout=30)) == size
    assert time.monotonic() - began < SLACK * size / rate
    assert proxy.requests.carried - before < SLACK * size
    proxy.heal()
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_process_goes_on_while_it_fetches_a_large_result(rig: Rig, proxy: FaultProxy, producer: Huey) -> None:
    size, rate = 8 * MB, 2 * MB
    worker = rig.start_worker()
    rig.open(rig.gate())
    large = await rig.enqueue("produce", rig.gate(), size)
    assert len(await large.get(timeout=30)) == size
    quick = task_of(producer, "quick")
    await (await quick.enqueue()).get(timeout=30)
    proxy.throttle(rate)
    before = proxy.replies.carried
    fetching = asyncio.create_task(producer.result(large.id).get(timeout=60))
    await until(lambda: proxy.replies.carried > before + MB, "the large result under way")

    began = time.monotonic()
    assert await (await quick.enqueue("well")).get(timeout=30) == "well"
    assert time.monotonic() - began < 1
    assert not fetching.done()
    assert len(await fetching) == size
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_large_batch_is_kept_whole(rig: Rig, proxy: FaultProxy, producer: Huey) -> None:
    count, size, rate = 4000, 4000, 2 * MB
    measure = task_of(producer, "measure")
    calls = [measure.s("x" * size) for _ in range(count)]
    proxy.throttle(rate)
    began = time.monotonic()
    results = await producer.enqueue_many(calls)
    assert time.monotonic() - began < SLACK * count * size / rate
    proxy.heal()
    assert len({result.id for result in results}) == count == await rig.count("ready")
