"""Dead letters: what the storage keeps of failed and dead tasks, and how they run again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Envelope, Node, Trigger, parted
from ...storage.admin import MOST_DEAD_LETTERS, Place
from ...storage.protocol import Record
from .harness import (
    KEEP_MS,
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
from .overseeing import ids_in, walk

if TYPE_CHECKING:
    from ...core.lifecycle import Settlement
    from ...core.message import Delivery
    from ...storage.protocol import Storage


def death(
    delivery: Delivery,
    error: bytes = b"error",
    *,
    state: State = State.FAILED,
    ttl_ms: int = KEEP_MS,
    dead_ttl_ms: int = KEEP_MS,
) -> Settlement:
    """A settlement that ends a task and leaves a dead letter."""
    return verdict(delivery, error, state=state, ttl_ms=ttl_ms)._replace(dead_ttl_ms=dead_ttl_ms)


async def _retry(storage: Storage, task_id: str, payload: bytes | None = None) -> bool:
    [revived] = await storage.admin.retry([(task_id, payload)])
    return revived


async def check_what_failed_or_died_leaves_a_letter(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        began_ms = harness.now_ms()
        await storage.push([Envelope("failed", b"\x00payload", "mail", 7)])
        [delivery] = await pull(storage, queues=["mail"])
        await storage.settle([put_back(delivery, State.RETRYING, failures=2)])
        [delivery] = await pull(storage, queues=["mail"])
        assert await storage.settle([death(delivery, b"\xffwhy")]) == [True]
        assert await storage.settle([death(await lend(storage, "dead"), state=State.DEAD)]) == [True]
        await storage.settle([verdict(await lend(storage, "unkept"), state=State.FAILED)])
        failed, dead, *others = await storage.admin.dead_letters(["failed", "dead", "unkept", "unknown"])
        assert others == [None, None]
        assert failed is not None
        assert dead is not None
        assert failed[:5] == ("failed", State.FAILED, b"\x00payload", "mail", 7)
        assert (failed.failures, failed.deliveries, failed.result) == (2, 2, b"\xffwhy")
        assert began_ms - 1 <= failed.at_ms <= harness.now_ms() + 1
        assert (dead.id, dead.state, dead.payload, dead.queue) == ("dead", State.DEAD, b"payload of dead", "default")
        # A dead letter does not change the record.
        assert await storage.records(["failed"]) == [Record(State.FAILED, b"\xffwhy")]


async def check_letters_are_listed_the_latest_first(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for name in ("first", "second", "third"):
            await storage.settle([death(await lend(storage, name))])
            await harness.advance(2)
        await storage.push([Envelope("other", b"", "mail")])
        await storage.settle([death(each) for each in await pull(storage, queues=["mail"])])
        assert await ids_in(storage, Place.DEAD, "default") == ["third", "second", "first"]
        assert await ids_in(storage, Place.DEAD, "mail") == ["other"]
        assert await ids_in(storage, Place.DEAD) == ["other", "third", "second", "first"]
        [letter] = await storage.admin.dead_letters(["first"])
        assert (await walk(storage, Place.DEAD))[-1] == letter


async def check_only_the_owner_leaves_a_letter(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        zombie = await lend(storage, "task")
        owner = await take_over(harness, storage, "two")
        assert await storage.settle([death(zombie)]) == [False]
        assert await walk(storage, Place.DEAD) == []
        await storage.settle([verdict(owner)])
        assert await storage.settle([death(owner)]) == [False]
        assert await walk(storage, Place.DEAD) == []


async def check_a_letter_brings_its_task_back(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"payload", "mail", 7)])
        [delivery] = await pull(storage, queues=["mail"])
        await storage.settle([put_back(delivery, State.RETRYING, failures=1)])
        [delivery] = await pull(storage, queues=["mail"])
        await storage.settle([death(delivery)])
        assert await _retry(storage, "task")
        assert await storage.records(["task"]) == [Record(State.QUEUED)]
        assert await storage.push([Envelope("task", b"")]) == [False]
        [again] = await pull(storage, queues=["mail"])
        assert (again.id, again.payload, again.failures, again.receipt.count) == ("task", b"payload", 0, 1)
        assert again.fence > delivery.fence
        assert await storage.settle([death(delivery)]) == [False]
        assert await storage.settle([verdict(again, b"result")]) == [True]
        assert await storage.records(["task"]) == [Record(State.DONE, b"result")]
        assert await walk(storage, Place.DEAD) == []


async def check_a_task_can_come_back_with_another_payload(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, "task"))])
        assert await _retry(storage, "task", b"")
        delivery = await pull_one(storage)
        assert delivery.payload == b""
        await storage.settle([death(delivery)])
        assert await _retry(storage, "task", b"\x00other")
        assert (await pull_one(storage)).payload == b"\x00other"


async def check_a_retry_of_a_linked_task_moves_no_node_on(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        nodes = [Node(Envelope(name, b"payload")) for name in ("a", "b")]
        await storage.push_workflow([*nodes, Node(Envelope("c", b"join"), ("a", "b"), Trigger.ENDED)])
        a, b = await pull(storage)
        assert await storage.settle([death(a, b"why")._replace(linked=True)]) == [True]
        [letter] = await walk(storage, Place.DEAD)
        assert (letter.id, letter.payload, letter.result) == ("a", b"payload", b"why")
        assert await _retry(storage, "a")
        again = await pull_one(storage)
        assert again.id == "a"
        assert await storage.settle([verdict(again, b"late")._replace(linked=True)]) == [True]
        assert await ids_in(storage, Place.WAITING) == ["c"]
        assert await storage.settle([verdict(b, b"result")._replace(linked=True)]) == [True]
        inputs = [("failed", b"why"), ("done", b"result")]
        joint = await pull_one(storage)
        assert parted(joint.payload).inputs == inputs
        # A node comes back with the inputs that it had.
        assert await storage.settle([death(joint)._replace(linked=True)]) == [True]
        assert await _retry(storage, "c")
        assert parted((await pull_one(storage)).payload).inputs == inputs


async def check_a_letter_is_good_for_one_retry(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, name)) for name in ("a", "b")])
        asked = [[("a", None), ("unknown", None), ("b", None)], [("b", None), ("a", None)]]
        answers = await asyncio.gather(*map(storage.admin.retry, asked))
        assert answers == [[True, False, True], [False, False]]
        assert sorted(delivery.id for delivery in await pull(storage)) == ["a", "b"]


async def check_a_retry_wakes_a_pull_that_waits(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, "task"))])
        waiting = asyncio.create_task(pull(storage, 1, consumer="two", queues=["default"], wait_ms=60_000))
        await harness.advance(20)
        assert await _retry(storage, "task")
        async with asyncio.timeout(15):
            assert [delivery.id for delivery in await waiting] == ["task"]


async def check_a_task_fails_again_after_its_retry(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, "task"), b"first")])
        assert await _retry(storage, "task")
        delivery = await pull_one(storage)
        await storage.settle([put_back(delivery, State.RETRYING, delay_ms=20, failures=1)])
        await promote(harness, storage, 1)
        await storage.settle([death(await pull_one(storage), b"second")])
        [letter] = await walk(storage, Place.DEAD)
        assert (letter.result, letter.failures, letter.deliveries) == (b"second", 1, 3)
        assert await storage.records(["task"]) == [Record(State.FAILED, b"second")]


async def check_an_id_in_use_is_not_retried(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, "task"), ttl_ms=30)])
        await harness.advance(60)
        assert await state_of(storage, "task") is None
        delivery = await lend(storage, "task")
        assert not await _retry(storage, "task")
        await storage.settle([verdict(delivery, b"new")])
        assert not await _retry(storage, "task")
        assert await storage.records(["task"]) == [Record(State.DONE, b"new")]
        assert await ids_in(storage, Place.DEAD) == ["task"]


async def check_a_later_letter_takes_the_place_of_an_earlier_one(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, "task"), b"first", ttl_ms=30)])
        await storage.settle([death(await lend(storage, "other"))])
        await harness.advance(60)
        await storage.settle([death(await lend(storage, "task"), b"second", state=State.DEAD)])
        [latest, other] = await walk(storage, Place.DEAD)
        assert (latest.id, latest.state, latest.result, other.id) == ("task", State.DEAD, b"second", "other")


async def check_a_letter_outlives_its_verdict(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        first = await lend(storage, "task")
        await storage.settle([death(first, ttl_ms=30)])
        await harness.advance(60)
        assert await state_of(storage, "task") is None
        assert await _retry(storage, "task")
        again = await pull_one(storage)
        assert again.fence > first.fence
        await storage.settle([verdict(again, ttl_ms=KEEP_MS)])
        await harness.advance(60)
        assert await state_of(storage, "task") is State.DONE


async def check_a_task_that_came_back_does_not_expire(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, "task"), ttl_ms=50)])
        assert await _retry(storage, "task")
        await harness.advance(80)
        assert await state_of(storage, "task") is State.QUEUED
        assert (await pull_one(storage)).id == "task"


async def check_a_letter_lapses(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, "short"), dead_ttl_ms=30)])
        await storage.settle([death(await lend(storage, "long"))])
        await harness.advance(60)
        assert not await _retry(storage, "short")
        assert await storage.admin.drop(["short"]) == [False]
        assert await storage.admin.dead_letters(["short"]) == [None]
        assert await ids_in(storage, Place.DEAD) == ["long"]


async def check_a_letter_can_be_dropped(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([death(await lend(storage, name)) for name in ("a", "b")])
        assert await storage.admin.drop(["b", "unknown"]) == [True, False]
        assert await storage.admin.drop(["b"]) == [False]
        assert not await _retry(storage, "b")
        assert await ids_in(storage, Place.DEAD) == ["a"]
        assert await state_of(storage, "b") is State.FAILED


async def check_the_oldest_letters_make_room(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        names = [f"t{number:05}" for number in range(MOST_DEAD_LETTERS + 200)]
        await storage.push([Envelope(name, b"") for name in names])
        deliveries = await pull(storage, len(names))
        for start in range(0, len(names), 3000):
            await storage.settle([death(delivery) for delivery in deliveries[start : start + 3000]])
            await harness.advance(2)
        kept = await ids_in(storage, Place.DEAD)
        assert len(kept) == MOST_DEAD_LETTERS
        assert names[-1] in kept
        assert await storage.admin.dead_letters(names[:1]) == [None]
        assert not await _retry(storage, names[0])


CHECKS = (
    check_what_failed_or_died_leaves_a_letter,
    check_letters_are_listed_the_latest_first,
    check_only_the_owner_leaves_a_letter,
    check_a_letter_brings_its_task_back,
    check_a_task_can_come_back_with_another_payload,
    check_a_retry_of_a_linked_task_moves_no_node_on,
    check_a_letter_is_good_for_one_retry,
    check_a_retry_wakes_a_pull_that_waits,
    check_a_task_fails_again_after_its_retry,
    check_an_id_in_use_is_not_retried,
    check_a_later_letter_takes_the_place_of_an_earlier_one,
    check_a_letter_outlives_its_verdict,
    check_a_task_that_came_back_does_not_expire,
    check_a_letter_lapses,
    check_a_letter_can_be_dropped,
    check_the_oldest_letters_make_room,
)
