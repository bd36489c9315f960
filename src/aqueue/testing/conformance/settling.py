"""Settling: a verdict ends a task, any other settlement puts it back, and each happens once."""

from __future__ import annotations

import asyncio

from ...core.lifecycle import VERDICTS, State
from ...core.message import Envelope
from ...storage.protocol import Record
from .harness import (
    Harness,
    lend,
    opened,
    promote,
    pull,
    pull_one,
    put_back,
    state_of,
    take_over,
    verdict,
)

# -- verdicts


async def check_a_verdict_ends_its_task(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for state in sorted(VERDICTS):
            delivery = await lend(storage, state)
            assert await storage.settle([verdict(delivery, b"result of " + state.encode(), state=state)]) == [True]
            assert await storage.records([state]) == [Record(state, b"result of " + state.encode())]
        # If the lease still existed, it would expire and be taken over before the lease of the witness.
        witness = await lend(storage, "witness")
        assert (await take_over(harness, storage, "two")).id == witness.id
        assert await pull(storage) == []


async def check_a_second_verdict_changes_nothing(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        assert await storage.settle([verdict(delivery, b"first")]) == [True]
        later = [
            verdict(delivery, b"first"),
            verdict(delivery, b"second", state=State.FAILED),
            put_back(delivery),
            put_back(delivery, State.RETRYING, delay_ms=1),
        ]
        for settlement in later:
            assert await storage.settle([settlement]) == [False]
        assert await storage.settle(later) == [False] * len(later)
        assert await storage.records(["task"]) == [Record(State.DONE, b"first")]
        assert await pull(storage) == []
        assert await storage.promote(10) == (0, None)


async def check_a_receipt_twice_in_one_batch_counts_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        ended, returned = await lend(storage, "ended"), await lend(storage, "returned")
        batch = [verdict(ended, b"first"), verdict(ended, b"second"), put_back(returned), put_back(returned)]
        assert await storage.settle(batch) == [True, False, True, False]
        assert await storage.records(["ended"]) == [Record(State.DONE, b"first")]
        assert (await pull_one(storage)).id == "returned"


async def check_concurrent_settlements_of_one_delivery_count_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        settlements = [verdict(delivery, b"%d" % number) for number in range(10)]
        replies = await asyncio.gather(*(storage.settle([settlement]) for settlement in settlements))
        [accepted] = [settlement for settlement, reply in zip(settlements, replies, strict=True) if reply == [True]]
        assert await storage.records(["task"]) == [Record(State.DONE, accepted.result)]


async def check_a_batch_is_answered_in_its_order(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        levels = [("a", 0), ("b", 5), ("a", 5), ("b", 0), ("a", 0), ("b", 5)]
        await storage.push([Envelope(f"t{n}", b"", queue, priority) for n, (queue, priority) in enumerate(levels)])
        by_id = {delivery.id: delivery for delivery in await pull(storage, queues=["a", "b"])}
        t0, t1, t2, t3, t4, t5 = (by_id[f"t{number}"] for number in range(6))
        await storage.settle([verdict(t1), put_back(t4)])
        batch = [verdict(t0, b"r0"), verdict(t1), put_back(t2), verdict(t3, b"r3"), put_back(t4), put_back(t5)]
        assert await storage.settle(batch) == [True, False, True, True, False, True]
        assert await storage.records(["t0", "t1", "t3"]) == [
            Record(State.DONE, b"r0"),
            Record(State.DONE, b""),
            Record(State.DONE, b"r3"),
        ]
        assert [delivery.id for delivery in await pull(storage, queues=["a", "b"])] == ["t2", "t5", "t4"]


# -- put back


async def check_a_task_given_back_is_ready_at_the_tail(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("first", b"payload"), Envelope("second", b"")])
        [delivery] = await pull(storage, 1)
        for state in (State.QUEUED, State.SCHEDULED):
            assert await storage.settle([put_back(delivery, state)]) == [True]
            assert await state_of(storage, "first") is State.QUEUED
            [other, delivery] = await pull(storage)
            assert (other.id, delivery.id) == ("second", "first")
            assert (delivery.payload, delivery.failures, delivery.receipt.count) == (b"payload", 0, 1)
            assert await storage.settle([put_back(other)]) == [True]


async def check_a_retry_counts_its_failures(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        for failures in range(1, 5):
            assert await storage.settle([put_back(delivery, State.RETRYING, failures=failures)]) == [True]
            assert await state_of(storage, "task") is State.RETRYING
            delivery = await pull_one(storage)
            assert (delivery.payload, delivery.failures) == (b"payload of task", failures)
            assert await state_of(storage, "task") is State.RUNNING


async def check_failures_outlast_give_backs_take_overs_and_delays(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        await storage.settle([put_back(delivery, State.RETRYING, delay_ms=20, failures=3)])
        await promote(harness, storage, 1)
        delivery = await pull_one(storage)
        assert delivery.failures == 3
        delivery = await take_over(harness, storage, "two")
        assert delivery.failures == 3
        await storage.settle([put_back(delivery)])
        assert (await pull_one(storage)).failures == 3


async def check_a_put_back_keeps_payload_queue_and_priority(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"payload", "mail", 5), Envelope("rival", b"", "mail", 4)])
        for delay_ms in (0, 20, 0):
            [delivery] = await pull(storage, 1, queues=["mail"])
            assert (delivery.id, delivery.payload) == ("task", b"payload")
            await storage.settle([put_back(delivery, delay_ms=delay_ms)])
            if delay_ms:
                await promote(harness, storage, 1)
        assert [delivery.id for delivery in await pull(storage, queues=["mail"])] == ["task", "rival"]


async def check_a_repeated_put_back_makes_no_second_task(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for delay_ms in (0, 20):
            delivery = await lend(storage, f"delay-{delay_ms}")
            settlement = put_back(delivery, delay_ms=delay_ms)
            assert [await storage.settle([settlement]) for _ in range(3)] == [[True], [False], [False]]
            if delay_ms:
                await promote(harness, storage, 1)
            await storage.settle([verdict(await pull_one(storage))])
            assert await pull(storage) == []


CHECKS = (
    check_a_verdict_ends_its_task,
    check_a_second_verdict_changes_nothing,
    check_a_receipt_twice_in_one_batch_counts_once,
    check_concurrent_settlements_of_one_delivery_count_once,
    check_a_batch_is_answered_in_its_order,
    check_a_task_given_back_is_ready_at_the_tail,
    check_a_retry_counts_its_failures,
    check_failures_outlast_give_backs_take_overs_and_delays,
    check_a_put_back_keeps_payload_queue_and_priority,
    check_a_repeated_put_back_makes_no_second_task,
)
