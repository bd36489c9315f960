"""Inspection: records, depths, workers, and the storage's description of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Envelope
from ...storage.protocol import QueueDepth, Record
from .harness import (
    Harness,
    lend,
    opened,
    promote,
    pull,
    pull_one,
    put_back,
    renew,
    state_of,
    take_over,
    verdict,
)

if TYPE_CHECKING:
    from ...storage.protocol import Storage, WorkerInfo


async def check_a_record_follows_the_life_of_its_task(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await state_of(storage, "task") is None
        await storage.push([Envelope("task", b"", delay_ms=50)])
        assert await state_of(storage, "task") is State.SCHEDULED
        await promote(harness, storage, 1)
        assert await state_of(storage, "task") is State.QUEUED
        delivery = await pull_one(storage)
        assert await state_of(storage, "task") is State.RUNNING
        await storage.settle([put_back(delivery)])
        assert await state_of(storage, "task") is State.QUEUED
        delivery = await pull_one(storage)
        await storage.settle([put_back(delivery, State.RETRYING, failures=1)])
        assert await state_of(storage, "task") is State.RETRYING
        delivery = await pull_one(storage)
        assert await state_of(storage, "task") is State.RUNNING
        # The task is given back unstarted, so it is not waiting for a retry.
        await storage.settle([put_back(delivery)])
        assert await state_of(storage, "task") is State.QUEUED
        await pull_one(storage)
        delivery = await take_over(harness, storage, "two")
        assert await state_of(storage, "task") is State.RUNNING
        await storage.settle([put_back(delivery, State.SCHEDULED, delay_ms=50)])
        assert await state_of(storage, "task") is State.SCHEDULED
        await promote(harness, storage, 1)
        await storage.settle([verdict(await pull_one(storage), b"error", state=State.FAILED)])
        assert await storage.records(["task"]) == [Record(State.FAILED, b"error")]


async def check_records_come_in_the_order_of_the_ids(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([verdict(await lend(storage, "done"), b"result")])
        await lend(storage, "running")
        await storage.push([Envelope("queued", b"", "other"), Envelope("scheduled", b"", delay_ms=60_000)])
        asked = ["unknown", "queued", "done", "scheduled", "running", "done"]
        assert await storage.records(asked) == [
            None,
            Record(State.QUEUED),
            Record(State.DONE, b"result"),
            Record(State.SCHEDULED),
            Record(State.RUNNING),
            Record(State.DONE, b"result"),
        ]


async def check_depths_count_every_live_task_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert sum(depth.ready + depth.running + depth.scheduled for depth in await storage.depths()) == 0
        await storage.push([Envelope(f"a{n}", b"", "a", priority=n) for n in range(6)])
        await storage.push([Envelope(f"b{n}", b"", "b", delay_ms=3_600_000) for n in range(3)])
        assert await _counts(storage, "a", "b", "c") == [(6, 0, 0), (0, 0, 3), (0, 0, 0)]
        ended, retried, returned, *_ = await pull(storage, 4, queues=["a"])
        assert await _counts(storage, "a", "b") == [(2, 4, 0), (0, 0, 3)]
        again = put_back(retried, State.RETRYING, delay_ms=3_600_000, failures=1)
        await storage.settle([verdict(ended), again, put_back(returned)])
        assert await _counts(storage, "a", "b") == [(3, 1, 1), (0, 0, 3)]


async def _counts(storage: Storage, *queues: str) -> list[tuple[int, int, int]]:
    """The numbers of ready, running and scheduled tasks of each queue."""
    depths = {depth.queue: depth for depth in await storage.depths()}
    found = [depths.get(queue, QueueDepth(queue)) for queue in queues]
    return [(depth.ready, depth.running, depth.scheduled) for depth in found]


async def check_depths_tell_how_long_the_oldest_task_waits(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("old", b"", priority=1)])
        await harness.advance(100)
        await storage.push([Envelope("young", b"")])
        before = await _oldest_ms(storage)
        await harness.advance(50)
        # Both clocks are read in whole milliseconds.
        assert await _oldest_ms(storage) >= before + 49
        assert before >= 99
        await pull(storage, 1)
        assert await _oldest_ms(storage) >= 49
        await pull(storage, 1)
        assert await _oldest_ms(storage) == 0


async def _oldest_ms(storage: Storage) -> int:
    return sum(depth.oldest_ms for depth in await storage.depths())


async def check_a_worker_is_known_by_its_renewals(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.workers() == []
        delivery = await lend(storage, "task")
        assert renew(storage, [delivery.receipt], consumer="one", description=bytes(range(256))) == []
        assert renew(storage, [], consumer="two", description="größer 東京".encode()) == []
        one, two = await _workers(storage)
        assert (one.consumer, one.description) == ("one", bytes(range(256)))
        assert (two.consumer, two.description) == ("two", "größer 東京".encode())
        await harness.advance(100)
        assert renew(storage, [], consumer="two", description=b"new") == []
        one, two = await _workers(storage)
        assert (two.consumer, two.description) == ("two", b"new")
        assert one.seen_ms >= 99
        assert 0 <= two.seen_ms <= one.seen_ms


async def _workers(storage: Storage) -> list[WorkerInfo]:
    return sorted(await storage.workers(), key=lambda worker: worker.consumer)


async def check_a_retired_worker_is_forgotten(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task", consumer="one")
        for consumer in ("one", "two"):
            renew(storage, [], consumer=consumer)
        await storage.settle([verdict(delivery)])
        for _ in range(2):
            await storage.retire("one")
            assert [worker.consumer for worker in await storage.workers()] == ["two"]
        await storage.retire("stranger")


async def check_retiring_a_worker_loses_nothing(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await lend(storage, "task", consumer="one")
        await storage.retire("one")
        assert (await take_over(harness, storage, "two")).id == "task"


async def check_a_storage_describes_itself(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        description = await storage.describe()
        assert description.kind
        assert description.location
        assert description.durability
        assert all(isinstance(warning, str) and "\n" not in warning for warning in description.warnings)


CHECKS = (
    check_a_record_follows_the_life_of_its_task,
    check_records_come_in_the_order_of_the_ids,
    check_depths_count_every_live_task_once,
    check_depths_tell_how_long_the_oldest_task_waits,
    check_a_worker_is_known_by_its_renewals,
    check_a_retired_worker_is_forgotten,
    check_retiring_a_worker_loses_nothing,
    check_a_storage_describes_itself,
)
