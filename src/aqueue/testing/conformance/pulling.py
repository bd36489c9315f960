"""Pulling: the order of tasks, limits, and waits that end when a task arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...core.message import Envelope
from .harness import (
    LONG_WAIT_MS,
    Harness,
    background,
    lend,
    listening,
    node,
    opened,
    outcome,
    promote,
    pull,
    put_back,
    taking,
)

if TYPE_CHECKING:
    from ...core.message import Delivery
    from ...storage.protocol import Intake


def _ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


# -- order


async def check_the_oldest_comes_first_within_a_priority(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("c", b"")])
        await storage.push([Envelope("a", b""), Envelope("d", b"")])
        await storage.push([Envelope("b", b"")])
        assert _ids(await pull(storage, 3)) == ["c", "a", "d"]
        assert _ids(await pull(storage, 3)) == ["b"]


async def check_the_highest_priority_comes_first(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        priorities = [0, 100, -1, 9, 10, 0, -20, 9]
        await storage.push([Envelope(f"t{n}", b"", priority=priority) for n, priority in enumerate(priorities)])
        # Some limits end in the middle of a lane.
        found = [_ids(await pull(storage, limit)) for limit in (2, 2, 3, 9)]
        assert found == [["t1", "t4"], ["t3", "t7"], ["t0", "t5", "t2"], ["t6"]]


async def check_priority_goes_before_the_order_of_the_queues(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("x0", b"", "x"), Envelope("y5", b"", "y", 5), Envelope("x1", b"", "x", 1)])
        assert _ids(await pull(storage, queues=["x", "y"])) == ["y5", "x1", "x0"]


async def check_equal_priorities_come_in_the_order_of_the_queues(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(f"{queue}{n}", b"", queue) for n in range(2) for queue in ("y", "z", "x")])
        assert _ids(await pull(storage, 3, queues=["z", "x", "y"])) == ["z0", "z1", "x0"]
        assert _ids(await pull(storage, 9, queues=["y", "x"])) == ["y0", "y1", "x1"]


async def check_only_the_asked_queues_are_pulled(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        # One name is a prefix of the other, also together with a priority.
        levels = [("q", 11), ("q1", 1), ("q.1", 1), ("q-1", 1), ("Q", 1), ("q_", 1)]
        await storage.push([Envelope(f"{queue}@{priority}", b"", queue, priority) for queue, priority in levels])
        for queue, priority in levels:
            assert _ids(await pull(storage, queues=[queue])) == [f"{queue}@{priority}"]


async def check_a_new_priority_is_seen_at_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage, taking(storage) as intake:
        assert await intake.pull(1, 0) == []
        await storage.push([Envelope("low", b"")])
        await storage.push([Envelope("high", b"", priority=7)])
        assert _ids(await intake.pull(1, 0)) == ["high"]


# -- limits


async def check_a_task_is_lent_to_one_consumer(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await lend(storage, "task", consumer="one")
        assert await pull(storage, consumer="one") == []
        assert await pull(storage, consumer="two") == []


async def check_a_pull_takes_no_more_than_its_limit(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(f"t{number}", b"", priority=number % 2) for number in range(10)])
        sizes = [len(await pull(storage, limit)) for limit in (0, 1, 3, 5, 5)]
        assert sizes == [0, 1, 3, 5, 1]


async def check_a_waiting_pull_takes_no_more_than_its_limit(harness: Harness) -> None:
    async with opened(harness.make()) as storage, taking(storage, queues=["a", "b"]) as intake:
        for number in range(5):
            async with background(intake.pull(1, LONG_WAIT_MS)) as task:
                await harness.advance(20)
                # All of them get in line at the same moment.
                nodes = [node(f"{queue}{number}", queue=queue) for queue in ("a", "b")]
                await storage.push_workflow([*nodes, node(f"c{number}", queue="a", priority=7)])
                found = await outcome(task)
                assert len(found) == 1
            for _ in range(200):
                found += await intake.pull(5, 0)
                if len(found) >= 3:
                    break
                await harness.advance(20)
            assert sorted(_ids(found)) == [f"{name}{number}" for name in "abc"]


# -- waits


async def check_an_empty_pull_ends_after_its_wait(harness: Harness) -> None:
    async with opened(harness.make()) as storage, background(pull(storage, 5, wait_ms=100)) as task:
        for _ in range(500):
            await harness.advance(20)
            if task.done():
                break
        assert task.done(), "the pull goes on waiting"
        assert task.result() == []


async def check_a_waiting_pull_is_woken_by_a_push(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        listening(storage, "client"),
        taking(storage, queues=["a", "b"]) as intake,
    ):
        for number, (queue, priority) in enumerate([("a", 0), ("b", 0), ("a", 7), ("b", -7), ("a", 7)]):
            async with background(intake.pull(5, LONG_WAIT_MS)) as task:
                await harness.advance(20)
                await storage.push([Envelope(f"t{number}", b"", queue, priority)])
                assert _ids(await outcome(task)) == [f"t{number}"]


async def check_a_waiting_pull_is_woken_by_a_promotion(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"", delay_ms=60)])
        async with background(pull(storage, 5, wait_ms=LONG_WAIT_MS)) as task:
            await promote(harness, storage, 1)
            assert _ids(await outcome(task)) == ["task"]


async def check_a_waiting_pull_is_woken_by_a_put_back(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task", consumer="two")
        async with background(pull(storage, 5, wait_ms=LONG_WAIT_MS)) as task:
            await harness.advance(20)
            await storage.settle([put_back(delivery)])
            assert _ids(await outcome(task)) == ["task"]


async def check_a_waiting_pull_can_be_interrupted(harness: Harness) -> None:
    async with opened(harness.make()) as storage, taking(storage) as intake:
        async with background(intake.pull(5, LONG_WAIT_MS)) as task:
            await _interrupt(harness, intake, task)
        await storage.push([Envelope("task", b"")])
        assert _ids(await intake.pull(5, 0)) == ["task"]


async def _interrupt(harness: Harness, intake: Intake, task: asyncio.Task[list[Delivery]]) -> None:
    """Interrupt `task`, a waiting pull of `intake`, which must return no tasks."""
    for _ in range(500):
        await intake.interrupt()
        await harness.advance(10)
        if task.done():
            break
    assert task.done(), "the pull goes on waiting"
    assert task.result() == []


async def check_a_cancelled_pull_loses_nothing(harness: Harness) -> None:
    async with opened(harness.make()) as storage, taking(storage) as intake:
        for number in range(6):
            async with background(intake.pull(5, LONG_WAIT_MS)):
                await harness.advance(10 * (number % 2))
                pushing = asyncio.create_task(storage.push([Envelope(f"t{number}", b"")]))
                # Each time the pull is cancelled at another point of the push.
                for _ in range(number):
                    await asyncio.sleep(0)
            assert await pushing == [True]
        assert sorted(_ids(await _pull_or_adopt(harness, intake, 6))) == [f"t{number}" for number in range(6)]


async def _pull_or_adopt(harness: Harness, intake: Intake, count: int) -> list[Delivery]:
    """Pull new tasks, and adopt deliveries that the consumer missed, until there are `count` of them."""
    found: list[Delivery] = []
    for _ in range(200):
        found += await intake.pull(10, 0)
        found += await intake.adopt([delivery.receipt for delivery in found])
        if len(found) >= count:
            break
        await harness.advance(20)
    return found


# -- several workers


async def check_each_intake_waits_for_its_own_queues(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        taking(storage, "one", ["a"]) as one,
        taking(storage, "two", ["b"]) as two,
    ):
        for number in range(3):
            waits = background(one.pull(5, LONG_WAIT_MS)), background(two.pull(5, LONG_WAIT_MS))
            async with waits[0] as first, waits[1] as second:
                await harness.advance(20)
                await storage.push([Envelope(f"b{number}", b"", "b")])
                assert _ids(await outcome(second)) == [f"b{number}"]
                assert not first.done()
                await storage.push([Envelope(f"a{number}", b"", "a")])
                assert _ids(await outcome(first)) == [f"a{number}"]


async def check_an_interrupt_leaves_the_other_intake_waiting(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        taking(storage, "one") as one,
        taking(storage, "two") as two,
        background(one.pull(5, LONG_WAIT_MS)) as first,
        background(two.pull(5, LONG_WAIT_MS)) as second,
    ):
        await _interrupt(harness, one, first)
        await harness.advance(20)
        assert not second.done()
        await storage.push([Envelope("task", b"")])
        assert _ids(await outcome(second)) == ["task"]


async def check_closing_one_intake_leaves_the_other_alone(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        taking(storage, "one") as one,
        background(one.pull(5, LONG_WAIT_MS)) as task,
    ):
        async with taking(storage, "two", ["other"]) as two:
            assert await two.pull(5, 0) == []
        await harness.advance(20)
        await storage.push([Envelope("task", b"")])
        assert _ids(await outcome(task)) == ["task"]


CHECKS = (
    check_the_oldest_comes_first_within_a_priority,
    check_the_highest_priority_comes_first,
    check_priority_goes_before_the_order_of_the_queues,
    check_equal_priorities_come_in_the_order_of_the_queues,
    check_only_the_asked_queues_are_pulled,
    check_a_new_priority_is_seen_at_once,
    check_a_task_is_lent_to_one_consumer,
    check_a_pull_takes_no_more_than_its_limit,
    check_a_waiting_pull_takes_no_more_than_its_limit,
    check_an_empty_pull_ends_after_its_wait,
    check_a_waiting_pull_is_woken_by_a_push,
    check_a_waiting_pull_is_woken_by_a_promotion,
    check_a_waiting_pull_is_woken_by_a_put_back,
    check_a_waiting_pull_can_be_interrupted,
    check_a_cancelled_pull_loses_nothing,
    check_each_intake_waits_for_its_own_queues,
    check_an_interrupt_leaves_the_other_intake_waiting,
    check_closing_one_intake_leaves_the_other_alone,
)
