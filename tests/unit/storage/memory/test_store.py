"""What the memory storage does beyond the contract."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.storage import open_storage
from aqueue.storage.memory.store import MemoryStorage
from aqueue.testing import ManualClock
from aqueue.testing.conformance.harness import keeper_of, pull


async def test_two_storages_of_one_namespace_are_two_stores() -> None:
    one, other = MemoryStorage("shop"), MemoryStorage("shop")
    await one.push([Envelope("task", b"")])
    assert await other.records(["task"]) == [None]
    assert await other.push([Envelope("task", b"")]) == [True]


async def test_the_url_opens_it_on_the_clock_of_the_machine() -> None:
    storage = open_storage("memory://", "shop")
    await storage.open()
    await storage.push([Envelope("task", b"", delay_ms=1)])
    async with asyncio.timeout(10):
        while (await storage.promote(1)).moved == 0:
            await pull(storage, 1, wait_ms=1)
    assert [delivery.id for delivery in await pull(storage, 1)] == ["task"]
    await storage.close()


async def test_nothing_is_left_of_a_task_whose_result_has_expired() -> None:
    clock = ManualClock()
    storage = MemoryStorage("shop", clock)
    for _ in range(3):
        await storage.push([Envelope(f"t{number}", b"", f"q{number}", number, number % 2) for number in range(10)])
        clock.advance(0.001)
        await storage.promote(10)
        deliveries = await pull(storage, 10, queues=[f"q{number}" for number in range(10)])
        await storage.settle(
            [Settlement(delivery.receipt, delivery.id, State.DONE, b"", 50) for delivery in deliveries]
        )
        clock.advance(0.05)
        assert await storage.push([]) == []
    tables = storage._tables
    left = tables.tasks, tables.ready, tables.lent, tables.scheduled, tables.expiring, storage._waiting._loops
    assert not any(left)


async def test_many_threads_may_renew_while_tasks_come_and_go() -> None:
    storage = MemoryStorage("shop")
    stop = threading.Event()
    await storage.push([Envelope("kept", b"")])
    [kept] = await pull(storage, 1)

    def beat(consumer: str) -> None:
        keeper = keeper_of(storage, consumer)
        while not stop.is_set():
            assert keeper.renew([kept.receipt], b"").lost == []

    with ThreadPoolExecutor() as threads:
        beats = [threads.submit(beat, f"w{number}") for number in range(3)]
        try:
            for number in range(2_000):
                await storage.push([Envelope(f"t{number}", b"")])
                [delivery] = await pull(storage, 1)
                assert await storage.settle([Settlement(delivery.receipt, delivery.id, State.DONE, b"", 1)]) == [True]
                await storage.retire(f"w{number % 3}")
                await storage.workers()
        finally:
            stop.set()
    for ended in beats:
        ended.result()
