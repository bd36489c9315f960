"""Unusual sizes, bytes and repetitions."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import DEFAULT_QUEUE, Envelope
from ...exceptions import QueueUnavailable
from ...storage.protocol import Record
from .harness import (
    LONG_WAIT_MS,
    Harness,
    adopt,
    background,
    lend,
    listening,
    opened,
    outcome,
    payload_of,
    promote,
    pull,
    pull_one,
    put_back,
    reclaim,
    renew,
    state_of,
    taking,
    verdict,
)

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ...core.message import Delivery
    from ...storage.protocol import Storage

# More than a storage puts into one transaction or one script.
_MANY = 1_200

# -- sizes


async def check_an_empty_batch_is_a_batch(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.push([]) == []
        assert await storage.settle([]) == []
        assert await storage.records([]) == []
        assert await adopt(storage, []) == []
        assert await reclaim(storage, "one", 10) == []
        assert await storage.promote(0) == (0, None)
        assert renew(storage, []) == []


async def check_a_large_batch_is_a_batch(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        ids = [f"t{number}" for number in range(_MANY)]
        envelopes = [Envelope(task_id, task_id.encode()) for task_id in ids]
        assert await storage.push(envelopes) == [True] * _MANY
        assert await storage.push(envelopes) == [False] * _MANY

        deliveries = await _pull_all(storage, _MANY)
        assert [delivery.id for delivery in deliveries] == ids
        assert [delivery.payload.decode() for delivery in deliveries] == ids

        receipts = [delivery.receipt for delivery in deliveries]
        assert renew(storage, receipts) == []
        assert await adopt(storage, receipts) == []
        held = receipts[::2]
        while adopted := await adopt(storage, held):
            held += [delivery.receipt for delivery in adopted]
        assert sorted(held) == sorted(receipts)

        verdicts = [verdict(delivery, delivery.payload) for delivery in deliveries]
        assert await storage.settle(verdicts) == [True] * _MANY
        assert await storage.settle(verdicts) == [False] * _MANY
        assert renew(storage, receipts) == receipts
        assert await storage.records(ids) == [Record(State.DONE, task_id.encode()) for task_id in ids]


async def check_a_large_batch_of_later_tasks(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        later = [Envelope(f"t{number}", b"", delay_ms=1) for number in range(_MANY)]
        assert await storage.push(later) == [True] * _MANY
        await promote(harness, storage, _MANY)
        deliveries = await _pull_all(storage, _MANY)
        assert await storage.settle([put_back(delivery, delay_ms=1) for delivery in deliveries]) == [True] * _MANY
        await promote(harness, storage, _MANY)
        deliveries = await _pull_all(storage, _MANY)
        assert await storage.settle([put_back(delivery) for delivery in deliveries]) == [True] * _MANY
        deliveries = await _pull_all(storage, _MANY)
        assert {delivery.fence for delivery in deliveries} == {3}


async def _pull_all(storage: Storage, count: int) -> list[Delivery]:
    """Pull all `count` ready tasks, in as many calls as it takes."""
    deliveries: list[Delivery] = []
    while some := await pull(storage, count):
        deliveries += some
    assert len({delivery.id for delivery in deliveries}) == len(deliveries) == count
    return deliveries


# -- bytes and names


async def check_a_payload_is_kept_as_it_is(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        payloads = [b"", bytes(range(256)), b"\r\n", b"\x00", "naïve 東京 🚀".encode(), bytes(range(256)) * 4096]
        await storage.push([Envelope(f"t{number}", payload) for number, payload in enumerate(payloads)])
        deliveries = await _pull_all(storage, len(payloads))
        assert [await payload_of(storage, delivery) for delivery in deliveries] == payloads
        # Once through the schedule, and once through a retry.
        await storage.settle([put_back(delivery, delay_ms=1) for delivery in deliveries])
        await promote(harness, storage, len(payloads))
        deliveries = await _pull_all(storage, len(payloads))
        await storage.settle([put_back(delivery) for delivery in deliveries])
        deliveries = await _pull_all(storage, len(payloads))
        assert {delivery.id: await payload_of(storage, delivery) for delivery in deliveries} == {
            f"t{number}": payload for number, payload in enumerate(payloads)
        }


async def check_names_may_use_every_character_they_are_allowed(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        letters = string.ascii_letters + string.digits
        ids = [letters + "_.:@/+=-", ".", ":", "-1", "0", "a" * 200, "A" * 200, "null"]
        queues = [letters + "_.-", "-", "0", "q" * 100, "Q" * 100, "null", DEFAULT_QUEUE, "x"]
        for task_id, queue in zip(ids, queues, strict=True):
            assert await storage.push([Envelope(task_id, b"p", queue, priority=3)]) == [True]
            [delivery] = await pull(storage, queues=[queue])
            assert delivery.id == task_id
            assert await storage.settle([put_back(delivery)]) == [True]
            [delivery] = await pull(storage, queues=[queue], consumer="host.example:4711:0a1b2c3d")
            assert await storage.settle([verdict(delivery, b"r")]) == [True]
            assert await storage.records([task_id]) == [Record(State.DONE, b"r")]


# -- repetitions: a caller repeats a call if it lost the reply


async def check_every_call_may_be_repeated(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for _ in range(2):
            await storage.push([Envelope("a", b""), Envelope("b", b""), Envelope("c", b"", delay_ms=20)])
        a, b = await pull(storage)
        for _ in range(2):
            assert renew(storage, [a.receipt, b.receipt]) == []
            assert await storage.report(a.receipt, "a", b"1/2", "nobody")
        for _ in range(2):
            await storage.settle([verdict(a, b"r"), put_back(b, State.RETRYING, delay_ms=20, failures=1)])
        await promote(harness, storage, 2)
        assert (await storage.promote(10)).moved == 0
        assert sorted((delivery.id, delivery.failures) for delivery in await pull(storage)) == [("b", 1), ("c", 0)]
        [record] = await storage.records(["a"])
        assert record is not None
        assert (record.state, record.result) == (State.DONE, b"r")
        for _ in range(2):
            await storage.retire("one")
            async with taking(storage) as intake:
                await intake.interrupt()


# -- opening and closing


async def check_two_stores_share_nothing(harness: Harness) -> None:
    async with (
        opened(harness.make()) as one,
        opened(harness.make()) as other,
        listening(other, "me") as mailbox,
    ):
        delivery = await lend(one, "task")
        assert await other.records(["task"]) == [None]
        assert await pull(other) == []
        assert await adopt(other, []) == []
        assert await other.push([Envelope("task", b"other")]) == [True]
        assert await one.settle([verdict(delivery, b"one", reply="me")]) == [True]
        mine = await pull_one(other)
        assert mine.payload == b"other"
        assert await other.settle([verdict(mine, b"other", reply="me")]) == [True]
        event: Any = await mailbox.next()
        assert event.result == b"other"
        assert await one.records(["task"]) == [Record(State.DONE, b"one")]


async def check_a_storage_can_be_opened_again(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "lent")
        await storage.push([Envelope("ready", b"p"), Envelope("later", b"", delay_ms=20)])
        for _ in range(3):
            await storage.close()
            await storage.open()
        assert await storage.settle([verdict(delivery, b"r")]) == [True]
        assert await storage.records(["lent"]) == [Record(State.DONE, b"r")]
        assert (await pull_one(storage)).payload == b"p"
        await promote(harness, storage, 1)
        async with background(pull(storage, 1, wait_ms=LONG_WAIT_MS)) as task:
            assert [delivery.id for delivery in await outcome(task)] == ["later"]


async def check_closing_ends_a_waiting_pull(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        async with background(pull(storage, 1, wait_ms=LONG_WAIT_MS)) as task:
            await harness.advance(50)
            await storage.close()
            assert isinstance(await _error_of(task), QueueUnavailable)
        await storage.open()
        assert await state_of(storage, "task") is None


async def check_closing_ends_a_listener(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        async with background(storage.listen("me", lambda event: None)) as task:
            await harness.advance(50)
            await storage.close()
            assert isinstance(await _error_of(task), QueueUnavailable)
        await storage.open()
        assert await state_of(storage, "task") is None


async def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    try:
        await outcome(task)
    except QueueUnavailable as error:
        return error
    return None


CHECKS = (
    check_an_empty_batch_is_a_batch,
    check_a_large_batch_is_a_batch,
    check_a_large_batch_of_later_tasks,
    check_a_payload_is_kept_as_it_is,
    check_names_may_use_every_character_they_are_allowed,
    check_every_call_may_be_repeated,
    check_two_stores_share_nothing,
    check_a_storage_can_be_opened_again,
    check_closing_ends_a_waiting_pull,
    check_closing_ends_a_listener,
)
