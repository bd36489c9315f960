"""Ownership: only the receipt of the latest delivery of a task counts."""

from __future__ import annotations

from ...core.lifecycle import State
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
    renew,
    take_over,
    verdict,
)


async def check_a_taken_over_task_is_delivered_anew(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        lost = await lend(storage, "task", consumer="one")
        taken = await take_over(harness, storage, "two")
        assert (taken.id, taken.payload, taken.failures) == (lost.id, lost.payload, lost.failures)
        assert (taken.receipt.consumer, taken.receipt.count, taken.fence) == ("two", 2, 2)
        assert await storage.settle([verdict(taken, b"of two")]) == [True]
        assert await storage.records(["task"]) == [Record(State.DONE, b"of two")]


async def check_a_former_owner_changes_nothing(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        lost = await lend(storage, "task", consumer="one")
        taken = await take_over(harness, storage, "two")
        attempts = [verdict(lost, b"of one"), put_back(lost), put_back(lost, State.RETRYING, delay_ms=1, failures=1)]
        for attempt in attempts:
            assert await storage.settle([attempt]) == [False]
        assert not await storage.report(lost.receipt, "task", b"progress of one", "client")
        assert renew(storage, [lost.receipt]) == [lost.receipt]
        assert await storage.records(["task"]) == [Record(State.RUNNING)]
        assert await pull(storage) == []
        assert await storage.promote(10) == (0, None)
        assert await storage.settle([verdict(taken, b"of two")]) == [True]
        assert await storage.settle(attempts) == [False] * len(attempts)
        assert not await storage.report(lost.receipt, "task", b"progress of one", "client")
        assert await storage.records(["task"]) == [Record(State.DONE, b"of two")]


async def check_a_consumer_does_not_inherit_from_itself(harness: Harness) -> None:
    """A worker that stalls may take its own delivery over. Then its receipt from before the stall is void."""
    async with opened(harness.make()) as storage:
        before = await lend(storage, "task", consumer="one")
        after = await take_over(harness, storage, "one")
        assert await storage.settle([verdict(before, b"before")]) == [False]
        assert not await storage.report(before.receipt, "task", b"before", "")
        assert renew(storage, [before.receipt, after.receipt]) == [before.receipt]
        assert await storage.settle([verdict(after, b"after")]) == [True]


async def check_a_receipt_does_not_outlast_a_put_back(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        before = await lend(storage, "task")
        for delay_ms in (0, 20):
            await storage.settle([put_back(before, delay_ms=delay_ms)])
            assert renew(storage, [before.receipt]) == [before.receipt]
            if delay_ms:
                await promote(harness, storage, 1)
            after = await pull_one(storage)
            # Both are first deliveries of their entries, of the same task to the same consumer.
            assert await storage.settle([verdict(before, b"before"), put_back(before)]) == [False, False]
            assert not await storage.report(before.receipt, "task", b"before", "")
            assert renew(storage, [before.receipt]) == [before.receipt]
            before = after
        assert await storage.settle([verdict(before)]) == [True]


async def check_every_part_of_a_receipt_counts(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"", priority=1), Envelope("other", b"")])
        [delivery, other] = await pull(storage)
        right = delivery.receipt
        forged = {
            right._replace(consumer="two"),
            right._replace(consumer=""),
            right._replace(place=other.receipt.place),
            right._replace(entry=other.receipt.entry),
            right._replace(count=0),
            right._replace(count=2),
            right._replace(count=-1),
        }
        # If a store does not need the place to identify an entry, one of these receipts is genuine.
        for receipt in forged - {right, other.receipt}:
            wrong = delivery._replace(receipt=receipt)
            assert await storage.settle([verdict(wrong), put_back(wrong)]) == [False, False]
            assert not await storage.report(receipt, "task", b"forged", "")
            assert renew(storage, [receipt], consumer=receipt.consumer) == [receipt]
        assert await storage.records(["task", "other"]) == [Record(State.RUNNING), Record(State.RUNNING)]
        assert await storage.settle([verdict(delivery), verdict(other)]) == [True, True]


async def check_the_fence_grows_with_every_delivery(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        fences = [delivery.fence]
        delivery = await take_over(harness, storage, "two")
        fences.append(delivery.fence)
        for state, delay_ms in [(State.QUEUED, 0), (State.RETRYING, 20), (State.RETRYING, 0)]:
            assert await storage.settle([put_back(delivery, state, delay_ms=delay_ms)]) == [True]
            if delay_ms:
                await promote(harness, storage, 1)
            fences.append((await pull_one(storage)).fence)
            delivery = await take_over(harness, storage, "two")
            fences.append(delivery.fence)
        assert fences == list(range(1, 9))


CHECKS = (
    check_a_taken_over_task_is_delivered_anew,
    check_a_former_owner_changes_nothing,
    check_a_consumer_does_not_inherit_from_itself,
    check_a_receipt_does_not_outlast_a_put_back,
    check_every_part_of_a_receipt_counts,
    check_the_fence_grows_with_every_delivery,
)
