"""Pauses: no call hands out tasks of a paused queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Envelope
from ...storage.admin import EVERYTHING, Place
from .harness import (
    LEASE_MS,
    LONG_WAIT_MS,
    QUEUES,
    Harness,
    adopt,
    background,
    lend,
    opened,
    outcome,
    promote,
    pull,
    pull_one,
    put_back,
    reclaim,
    renew,
    state_of,
    take_over,
    verdict,
)
from .overseeing import ids_in

if TYPE_CHECKING:
    from ...storage.protocol import Storage

_BOTH = ("a", "b")


async def _pulled(storage: Storage, *queues: str) -> list[str]:
    return [delivery.id for delivery in await pull(storage, queues=queues or QUEUES)]


async def check_nothing_of_a_paused_queue_is_handed_out(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("a0", b"", "a"), Envelope("b0", b"", "b"), Envelope("a1", b"", "a", 5)])
        assert await storage.admin.pause("a")
        assert await storage.admin.paused() == {"a"}
        await storage.push([Envelope("a2", b"", "a"), Envelope("b1", b"", "b", 9), Envelope("a3", b"", "a", 7)])
        assert await _pulled(storage, "a") == []
        assert sorted(await _pulled(storage, *_BOTH)) == ["b0", "b1"]
        assert await storage.admin.resume("a")
        assert await storage.admin.paused() == set()
        # The tasks keep the order in which they came.
        assert await _pulled(storage, *_BOTH) == ["a3", "a1", "a0", "a2"]


async def check_a_queue_can_be_paused_before_it_holds_anything(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.admin.pause("default")
        assert await pull(storage) == []
        await storage.push([Envelope("low", b""), Envelope("high", b"", priority=7)])
        assert await pull(storage) == []
        await storage.admin.resume("default")
        # The first pull from a line may return nothing.
        assert await _pulled(storage) + await _pulled(storage) == ["high", "low"]


async def check_everything_can_be_paused(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("a0", b"", "a")])
        assert await storage.admin.pause(EVERYTHING)
        await storage.push([Envelope("b0", b"", "b"), Envelope("default", b"")])
        assert await _pulled(storage, "a", "b", "default") == []
        assert await storage.admin.pause("b")
        assert await storage.admin.paused() == {EVERYTHING, "b"}
        assert await storage.admin.resume(EVERYTHING)
        assert sorted(await _pulled(storage, "a", "b", "default")) == ["a0", "default"]
        assert await storage.admin.resume("b")
        assert await _pulled(storage, "b") == ["b0"]


async def check_one_queue_stays_paused_while_everything_is(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("a0", b"", "a")])
        await storage.admin.pause("a")
        await storage.admin.pause(EVERYTHING)
        assert await storage.admin.resume("a")
        assert await _pulled(storage, "a") == []
        assert await storage.admin.resume(EVERYTHING)
        assert await _pulled(storage, "a") == ["a0"]


async def check_a_pause_is_told_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for queue in ("a", EVERYTHING):
            assert not await storage.admin.resume(queue)
            assert await storage.admin.pause(queue)
            assert not await storage.admin.pause(queue)
            assert await storage.admin.resume(queue)
            assert not await storage.admin.resume(queue)


async def check_a_pull_that_waits_gets_nothing_of_a_paused_queue(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for queues in (QUEUES, ("default", "other")):
            async with background(pull(storage, 10, queues=queues, wait_ms=LONG_WAIT_MS)) as waiting:
                await harness.advance(50)
                await storage.admin.pause("default")
                await storage.push([Envelope(f"task-{len(queues)}", b"")])
                await harness.advance(50)
                assert await ids_in(storage, Place.READY) == [f"task-{len(queues)}"]
                await storage.admin.resume("default")
                deliveries = await outcome(waiting) or await pull(storage, queues=queues)
                assert [delivery.id for delivery in deliveries] == [f"task-{len(queues)}"]


async def check_a_resume_wakes_waiting_pulls(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"")])
        await storage.admin.pause("default")
        async with background(_pull_until_there_is_one(storage)) as waiting:
            await harness.advance(50)
            await storage.admin.resume("default")
            assert await outcome(waiting) == "task"


async def _pull_until_there_is_one(storage: Storage) -> str:
    """Pull in a loop, as a worker does, because a woken pull may return nothing."""
    while True:
        for delivery in await pull(storage, 10, wait_ms=LONG_WAIT_MS):
            return delivery.id


async def check_what_is_lent_is_not_disturbed_by_a_pause(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        done, returned = await lend(storage, "done"), await lend(storage, "returned")
        await storage.admin.pause("default")
        assert renew(storage, [done.receipt, returned.receipt]) == []
        assert await storage.settle([verdict(done), put_back(returned)]) == [True, True]
        assert await state_of(storage, "done") is State.DONE
        assert await pull(storage) == []
        await storage.admin.resume("default")
        assert (await pull_one(storage)).id == "returned"


async def check_nothing_of_a_paused_queue_is_taken_over(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        await storage.admin.pause("default")
        for _ in range(12):
            assert await reclaim(storage, "two", 10) == []
            await harness.advance(LEASE_MS // 4)
        assert await adopt(storage, []) == []
        await storage.admin.resume("default")
        assert (await take_over(harness, storage, "two")).id == "task"
        assert renew(storage, [delivery.receipt]) == [delivery.receipt]


async def check_a_lost_reply_is_adopted_after_the_pause(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await lend(storage, "task")
        await storage.admin.pause(EVERYTHING)
        assert await adopt(storage, []) == []
        await storage.admin.resume(EVERYTHING)
        assert [delivery.id for delivery in await adopt(storage, [])] == ["task"]


async def check_what_waits_in_a_paused_queue_can_be_seen_and_moved(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await lend(storage, "running")
        await storage.push([Envelope("ready", b""), Envelope("later", b"", delay_ms=20)])
        await storage.admin.pause("default")
        await promote(harness, storage, 1)
        [depth] = [depth for depth in await storage.depths() if depth.queue == "default"]
        assert (depth.ready, depth.running, depth.scheduled) == (2, 1, 0)
        assert await ids_in(storage, Place.READY) == ["ready", "later"]
        assert await ids_in(storage, Place.LENT) == ["running"]
        assert await storage.cancel("ready", b"", 60_000, "")
        assert [record and record.state for record in await storage.records(["ready", "later"])] == [
            State.CANCELLED,
            State.QUEUED,
        ]
        await storage.admin.resume("default")
        assert await _pulled(storage) == ["later"]


CHECKS = (
    check_nothing_of_a_paused_queue_is_handed_out,
    check_a_queue_can_be_paused_before_it_holds_anything,
    check_everything_can_be_paused,
    check_one_queue_stays_paused_while_everything_is,
    check_a_pause_is_told_once,
    check_a_pull_that_waits_gets_nothing_of_a_paused_queue,
    check_a_resume_wakes_waiting_pulls,
    check_what_is_lent_is_not_disturbed_by_a_pause,
    check_nothing_of_a_paused_queue_is_taken_over,
    check_a_lost_reply_is_adopted_after_the_pause,
    check_what_waits_in_a_paused_queue_can_be_seen_and_moved,
)
