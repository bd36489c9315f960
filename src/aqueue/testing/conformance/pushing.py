"""Pushing: the storage keeps a task once, even if it is pushed repeatedly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Delivery, Envelope
from ...core.patience import MOST_LENT_BYTES
from .harness import Harness, adopt, lend, opened, payload_of, pull, pull_one, put_back, verdict

if TYPE_CHECKING:
    from ...storage.protocol import Storage


async def check_a_task_is_delivered_as_it_was_pushed(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.push([Envelope("task", b"payload")]) == [True]
        delivery = await pull_one(storage, consumer="me")
        assert delivery == Delivery("task", b"payload", delivery.receipt, failures=0, fence=1)
        assert (delivery.receipt.consumer, delivery.receipt.count) == ("me", 1)


async def check_push_tells_which_tasks_are_new(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.push([Envelope("a", b""), Envelope("b", b"", "other", 3)]) == [True, True]
        batch = [Envelope("c", b""), Envelope("a", b""), Envelope("d", b"", delay_ms=5_000), Envelope("b", b"")]
        assert await storage.push(batch) == [True, False, True, False]


async def check_an_id_twice_in_one_batch_is_one_task(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.push([Envelope("a", b"first"), Envelope("a", b"second")]) == [True, False]
        assert (await pull_one(storage)).payload == b"first"
        assert await pull(storage) == []


async def check_a_known_id_is_the_same_task_at_every_stage(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"first")])
        await _push_again(storage, State.QUEUED)

        delivery = await pull_one(storage)
        assert delivery.payload == b"first"
        await _push_again(storage, State.RUNNING)

        assert await storage.settle([put_back(delivery, State.RETRYING, failures=1)]) == [True]
        await _push_again(storage, State.RETRYING)

        delivery = await pull_one(storage)
        assert delivery.payload == b"first"
        assert await storage.settle([put_back(delivery, State.RETRYING, delay_ms=60_000, failures=2)]) == [True]
        await _push_again(storage, State.RETRYING)
        assert await pull(storage) == []


async def _push_again(storage: Storage, state: State) -> None:
    """Push the task again, ready and scheduled, into the same queue and another one. It must stay where it is."""
    copies = [
        Envelope("task", b"second"),
        Envelope("task", b"third", "elsewhere", priority=9),
        Envelope("task", b"fourth", delay_ms=60_000),
    ]
    for copy in copies:
        assert await storage.push([copy]) == [False]
    assert await pull(storage, queues=["elsewhere"]) == []
    [record] = await storage.records(["task"])
    assert record is not None
    assert record.state is state


async def check_a_scheduled_id_is_not_pushed_again(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.push([Envelope("task", b"first", delay_ms=60_000)]) == [True]
        assert await storage.push([Envelope("task", b"second")]) == [False]
        assert await pull(storage) == []


async def check_an_ended_id_is_not_pushed_again(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        assert await storage.settle([verdict(delivery, b"result")]) == [True]
        assert await storage.push([Envelope("task", b"again"), Envelope("task", b"later", delay_ms=1)]) == [
            False,
            False,
        ]
        assert await pull(storage) == []
        [record] = await storage.records(["task"])
        assert record is not None
        assert (record.state, record.result) == (State.DONE, b"result")


async def check_concurrent_pushes_of_one_id_keep_one(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        batches = [[Envelope(f"task-{number}", b"") for number in range(5)] for _ in range(10)]
        replies = await asyncio.gather(*map(storage.push, batches))
        for number in range(5):
            assert [reply[number] for reply in replies].count(True) == 1
        assert len(await pull(storage, 100)) == 5


async def check_a_large_payload_is_the_same_at_every_stage(harness: Harness) -> None:
    large = bytes(range(256)) * 2**16
    async with opened(harness.make()) as storage:
        for task_id, delay_ms in (("ready", 0), ("later", 50)):
            assert await storage.push([Envelope(task_id, large, delay_ms=delay_ms)]) == [True]
            assert await storage.push([Envelope(task_id, b"other", delay_ms=delay_ms)]) == [False]
            await harness.advance(delay_ms)
            await storage.promote(10)
            [envelope] = await storage.envelopes([task_id])
            assert envelope is not None
            assert envelope.payload == large
            # The second time after a failure, which has a delay, and the third time as if it had not been begun.
            for back in (State.RETRYING, State.QUEUED, None):
                delivery = await pull_one(storage)
                assert await payload_of(storage, delivery) == large
                if back is None:
                    assert await storage.settle([verdict(delivery)]) == [True]
                    assert await payload_of(storage, delivery) in {b"", large}
                else:
                    delay_ms = 50 if back is State.RETRYING else 0
                    assert await storage.settle([put_back(delivery, back, delay_ms=delay_ms)]) == [True]
                    await harness.advance(delay_ms)
                    await storage.promote(10)


async def check_large_payloads_are_lent_like_small_ones(harness: Harness) -> None:
    payloads = {"small": b"small", "large": bytes(2**20), "empty": b"", "edge": bytes(MOST_LENT_BYTES)}
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(task_id, payload) for task_id, payload in payloads.items()])
        deliveries = await pull(storage)
        assert [delivery.id for delivery in deliveries] == list(payloads)
        for lent in (deliveries, await adopt(storage, [])):
            assert {delivery.id: await payload_of(storage, delivery) for delivery in lent} == payloads
            for delivery in lent:
                assert delivery.unread in {0, len(payloads[delivery.id])}
                assert delivery.unread == 0 or len(payloads[delivery.id]) > MOST_LENT_BYTES


CHECKS = (
    check_a_task_is_delivered_as_it_was_pushed,
    check_push_tells_which_tasks_are_new,
    check_an_id_twice_in_one_batch_is_one_task,
    check_a_known_id_is_the_same_task_at_every_stage,
    check_a_scheduled_id_is_not_pushed_again,
    check_an_ended_id_is_not_pushed_again,
    check_concurrent_pushes_of_one_id_keep_one,
    check_a_large_payload_is_the_same_at_every_stage,
    check_large_payloads_are_lent_like_small_ones,
)
