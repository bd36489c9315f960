"""Replies that are lost between a client and its Redis server."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import Huey, QueueUnavailable

from .app import second
from .rig import Rig, task_of, until

if TYPE_CHECKING:
    from aqueue.client.results import Result
    from aqueue.tasks.task import Call

    from .proxy import FaultProxy


@pytest.fixture
def store_url(redis_url: str) -> str:
    """Only a server is behind a line."""
    return redis_url


def _calls(producer: Huey) -> list[Call[Any]]:
    """Calls that a store keeps in different ways."""
    quick = task_of(producer, "quick")
    configured = (quick.options(), quick.options(priority=5), quick.options(delay=0.1), quick.options(queue="other"))
    return [task.s(number) for task in configured for number in range(3)]


async def _warm_up(rig: Rig) -> None:
    """Make the server know every script: the reply that a test loses should be that of a script, not a NOSCRIPT."""
    await rig.values([await rig.enqueue("flaky", 1), await rig.enqueue("quick", delay=0.1)])


async def test_an_enqueue_whose_reply_is_lost_is_one_task(rig: Rig, proxy: FaultProxy, producer: Huey) -> None:
    calls = _calls(producer)
    warm_up = await producer.enqueue_many(calls)
    worker = rig.start_worker(queues="default,other")
    await rig.values(warm_up)
    proxy.cut("commands")
    enqueueing = [asyncio.create_task(producer.enqueue(call)) for call in calls]
    enqueueing_many = asyncio.create_task(producer.enqueue_many(calls))
    # The producer still repeats itself when its tasks have been run already.
    await until(lambda: len(rig.ledger.starts()) == 3 * len(calls) and proxy.faults > 6, "tasks run, replies lost")
    proxy.heal()
    results = [*warm_up, *[await task for task in enqueueing], *await enqueueing_many]

    await rig.values(results)
    await rig.stop(worker)
    assert rig.ledger.starts() == {result.id: 1 for result in results}
    await rig.check_drained()


async def test_an_enqueue_that_got_no_answer_can_be_repeated_under_its_id(
    rig: Rig, proxy: FaultProxy, producer: Huey
) -> None:
    quick = task_of(producer, "quick")
    await quick.options(id="order-0").enqueue()
    proxy.mute("commands")
    with pytest.raises(QueueUnavailable):
        await quick.options(id="order-1").enqueue("first")
    proxy.heal()
    result = await quick.options(id="order-1").enqueue("first")
    assert not result.created

    worker = rig.start_worker()
    assert await result.get(timeout=30) == "first"
    assert rig.ledger.starts() == {"order-0": 1, "order-1": 1}
    await rig.stop(worker)
    await rig.check_drained()


@pytest.mark.parametrize("fault", ["cut", "mute"])
async def test_a_settlement_whose_reply_is_lost_stands(rig: Rig, proxy: FaultProxy, fault: str) -> None:
    gate = rig.gate()
    rig.open(second(gate))
    worker = rig.start_worker(url=proxy.url, concurrency=20)
    await _warm_up(rig)
    ends = [(how, priority) for how in ("returns", "asks for a retry") for priority in (0, 0, 0, 7, 7)]
    results = [await rig.enqueue("turn", gate, how, priority=priority) for how, priority in ends]
    await rig.started(results)
    getattr(proxy, fault)("commands")
    rig.open(gate)

    async def some_settled() -> bool:
        return await rig.count("running") < 10 or rig.starts_of(results) != [1] * 10

    await until(some_settled, "settlements executed")
    await until(lambda: proxy.faults >= (3 if fault == "cut" else 1), "their replies lost")
    proxy.heal()

    assert await rig.values(results) == [1] * 5 + [2] * 5
    assert rig.starts_of(results) == [1] * 5 + [2] * 5
    assert await (await rig.enqueue("quick", "well")).get(timeout=30) == "well"
    await rig.stop(worker)
    await rig.check_drained()


@pytest.mark.parametrize("fault", ["cut", "mute"])
async def test_a_delivery_that_is_lost_on_the_way_starts_long_before_its_lease_is_over(
    rig: Rig, proxy: FaultProxy, fault: str
) -> None:
    worker = rig.start_worker(url=proxy.url, lease=60)
    await _warm_up(rig)
    getattr(proxy, fault)("reader")
    results = list(await rig.enqueue_many(10, "quick", "lost"))

    async def all_lent() -> bool:
        return await rig.count("running") == len(results)

    await until(all_lent, "every task lent to the worker", seconds=10)
    proxy.heal()
    assert await rig.values(results, seconds=12) == ["lost"] * 10
    assert rig.starts_of(results) == [1] * 10
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_delivery_that_arrives_after_the_signal_to_stop_goes_to_another_worker_at_once(
    rig: Rig, proxy: FaultProxy
) -> None:
    stopped = rig.start_worker(url=proxy.url, lease=60)
    await _warm_up(rig)
    proxy.hold("reader")
    results = list(await rig.enqueue_many(10, "quick", "late"))

    async def all_lent() -> bool:
        return await rig.count("running") == len(results)

    await until(all_lent, "every task lent to the worker")
    stopped.terminate()
    await until(lambda: "Stopping" in stopped.said, "the signal heard")
    proxy.heal()
    assert await stopped.exit_code() == 0
    other = rig.start_worker(lease=60)
    assert await rig.values(results) == ["late"] * 10
    assert rig.starts_of(results) == [1] * 10
    assert {entry.pid for entry in rig.ledger.entries("start") if entry.fence == 2} >= {other.pid}
    await rig.stop(other)
    await rig.check_drained()


async def test_a_result_whose_message_is_lost_still_arrives(rig: Rig, proxy: FaultProxy, producer: Huey) -> None:
    waiting = asyncio.create_task((await task_of(producer, "hold").enqueue(rig.gate())).get(timeout=30))
    worker = rig.start_worker()
    await until(lambda: bool(rig.ledger.entries("start")), "the start")
    proxy.mute("events")
    rig.open(rig.gate())
    assert await waiting == 1
    assert proxy.faults
    await rig.stop(worker)


async def test_a_call_whose_reply_is_lost_counts_once(proxy: FaultProxy, producer: Huey) -> None:
    def calls(number: int) -> list[Any]:
        return [
            producer.incr("sum"),
            producer.put_if_empty(f"first-{number}", number),
            producer.get(f"kept-{number}", pop=True),
            producer.lock_task(f"lock-{number}").acquire(),
            producer.rate_limit("api", 1000, 3600).acquire(),
        ]

    for number in (1, 2):
        await producer.put(f"kept-{number}", number)
    await asyncio.gather(*calls(1))
    proxy.cut("commands")
    repeating = [asyncio.create_task(call) for call in calls(2)]
    await until(lambda: proxy.faults > 3, "replies lost, and lost again")
    proxy.heal()
    total, was_first, kept, permit, _ = await asyncio.gather(*repeating)

    assert (total, was_first, kept) == (2, True, 2)
    assert permit.is_held
    assert await producer.get("sum") == 2
    assert await producer.rate_limit("api", 1000, 3600).current_usage() == 2
    shared = (await producer._parts.clients.storage()).shared
    assert [holder.name for holder in await shared.holders()] == ["lock-1", "lock-2"]


async def test_connections_that_break_anywhere_lose_nothing_and_start_nothing_twice(
    rig: Rig, proxy: FaultProxy, producer: Huey
) -> None:
    workers = [rig.start_worker(url=proxy.url, concurrency=20) for _ in range(2)]
    await rig.up(*workers)
    proxy.reset_at_random(Random(20))

    async def enqueue(name: str, number: int, *arguments: Any) -> Result[Any]:
        while True:
            try:
                call = task_of(producer, name).options(id=f"{name}-{number}", priority=number % 3).s(*arguments)
                return await producer.enqueue(call)
            except QueueUnavailable:
                continue

    quick: list[Result[Any]] = []
    flaky: list[Result[Any]] = []
    while proxy.faults < 150:
        number = len(quick)
        quick += await asyncio.gather(*(enqueue("quick", number + i, "x" * 100) for i in range(10)))
        flaky += await asyncio.gather(*(enqueue("flaky", number + i, 1) for i in range(5)))
    proxy.heal()

    await rig.values(quick + flaky)
    assert all(worker.is_alive for worker in workers)
    assert set(rig.starts_of(quick)) == {1}
    assert set(rig.starts_of(flaky)) == {2}
    await rig.stop(*workers)
    await rig.check_drained()
