"""Results: any client can read the verdict and the result of a task until they expire."""

from __future__ import annotations

from ...core.lifecycle import VERDICTS, State
from ...core.message import Envelope
from ...storage.protocol import Record
from .harness import (
    Harness,
    lend,
    opened,
    pull,
    pull_one,
    put_back,
    state_of,
    verdict,
    wait_until_unknown,
)


async def check_a_result_is_kept_as_it_is(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        results = [b"", bytes(range(256)), b"\r\n\x00", "naïve 東京 🚀".encode(), bytes(range(256)) * 4096]
        for number, result in enumerate(results):
            await storage.settle([verdict(await lend(storage, f"t{number}"), result)])
        records = await storage.records([f"t{number}" for number in range(len(results))])
        assert records == [Record(State.DONE, result) for result in results]


async def check_many_large_results_are_read_at_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        sizes = [10, 2**18, 2**18 + 1, 5 * 2**20, 0, *[2**18] * 5, 2**24, 2**24, 1]
        expected: dict[str, Record | None] = {"unknown": None}
        for number, size in enumerate(sizes):
            result = b"%d" % number * (size // 2) + b"!"
            await storage.settle([verdict(await lend(storage, f"t{number}"), result)])
            expected[f"t{number}"] = Record(State.DONE, result)
        await storage.push([Envelope("ready", b"")])
        expected["ready"] = Record(State.QUEUED)
        for watcher in ("", "client"):
            records = await storage.records(list(expected), watcher)
            assert dict(zip(expected, records, strict=True)) == expected


async def check_reading_a_result_leaves_it_there(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([verdict(await lend(storage, "task"), b"result")])
        for _ in range(3):
            assert await storage.records(["task", "task"]) == [Record(State.DONE, b"result")] * 2


async def check_a_result_expires_and_frees_its_id(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for state in sorted(VERDICTS):
            delivery = await lend(storage, "task")
            assert delivery.fence == 1
            assert await storage.settle([verdict(delivery, b"result", state=state, ttl_ms=50)]) == [True]
            await wait_until_unknown(harness, storage, "task")


async def check_each_result_of_a_batch_expires_in_its_own_time(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        late, soon = await lend(storage, "late"), await lend(storage, "soon")
        await storage.settle([verdict(late, ttl_ms=3_600_000), verdict(soon, ttl_ms=50)])
        await wait_until_unknown(harness, storage, "soon")
        assert await state_of(storage, "late") is State.DONE
        assert await storage.push([Envelope("late", b""), Envelope("soon", b"")]) == [False, True]


async def check_a_new_task_does_not_inherit_the_expiry_of_its_id(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([verdict(await lend(storage, "task"), b"old", ttl_ms=50)])
        await wait_until_unknown(harness, storage, "task")
        assert await storage.push([Envelope("task", b"new")]) == [True]
        await harness.advance(150)
        assert await storage.records(["task"]) == [Record(State.QUEUED)]
        delivery = await pull_one(storage)
        await harness.advance(150)
        assert delivery.payload == b"new"
        assert await storage.settle([verdict(delivery, b"new")]) == [True]
        assert await storage.records(["task"]) == [Record(State.DONE, b"new")]


async def check_a_task_without_a_verdict_does_not_expire(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        # The time to live in a settlement applies only to results, not to a task that is put back.
        delivery = await lend(storage, "task")
        assert await storage.settle([put_back(delivery, State.RETRYING, failures=1)._replace(ttl_ms=20)]) == [True]
        await harness.advance(100)
        assert await state_of(storage, "task") is State.RETRYING
        assert (await pull_one(storage)).failures == 1
        assert await pull(storage) == []


CHECKS = (
    check_a_result_is_kept_as_it_is,
    check_many_large_results_are_read_at_once,
    check_reading_a_result_leaves_it_there,
    check_a_result_expires_and_frees_its_id,
    check_each_result_of_a_batch_expires_in_its_own_time,
    check_a_new_task_does_not_inherit_the_expiry_of_its_id,
    check_a_task_without_a_verdict_does_not_expire,
)
