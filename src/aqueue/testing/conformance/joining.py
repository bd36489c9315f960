"""Workflows: nodes wait for the verdicts of other tasks, and the step of a verdict also starts or cancels nodes."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from ...core.lifecycle import TRIGGERING, VERDICTS, State
from ...core.message import Envelope, Node, Trigger, as_input, joined, parted
from ...storage.protocol import Record, Settled
from .harness import (
    KEEP_MS,
    LONG_WAIT_MS,
    Harness,
    background,
    begin,
    end,
    inputs_of,
    listening,
    node,
    opened,
    outcome,
    payload_of,
    promote,
    pull,
    pull_one,
    put_back,
    started_by_id,
    state_of,
    take_over,
    verdict,
)

if TYPE_CHECKING:
    from ...core.message import Delivery
    from ...storage.protocol import Storage


# -- pushing


async def check_a_node_waits_for_those_before_it(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("last", "first", "other"), node("first"), node("other"))
        assert set(started) == {"first", "other"}
        assert started["first"].payload == b"payload of first"
        assert await state_of(storage, "last") is State.WAITING
        assert await storage.promote(10) == (0, None)
        await end(storage, started["first"])
        assert await pull(storage) == []
        assert await state_of(storage, "last") is State.WAITING
        await end(storage, started["other"])
        assert await state_of(storage, "last") is State.QUEUED
        last = await pull_one(storage)
        assert (last.id, last.failures, last.fence) == ("last", 0, 1)


async def check_a_workflow_is_kept_as_a_whole_or_not_at_all(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("known", b"")])
        nodes = [node("new"), node("known", "new"), node("newer", "known")]
        assert await storage.push_workflow(nodes) == [True, False, True]
        assert await storage.records(["new", "newer"]) == [None, None]
        assert [delivery.id for delivery in await pull(storage)] == ["known"]
        assert await storage.push_workflow([]) == []


async def check_a_workflow_that_is_pushed_again_is_known(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        nodes = [node("first"), node("last", "first")]
        first = (await begin(storage, *nodes))["first"]
        assert await storage.push_workflow(nodes) == [False, False]
        await end(storage, first)
        assert await storage.push_workflow(nodes) == [False, False]
        assert await storage.push([Envelope("last", b"copy")]) == [False]
        await end(storage, await pull_one(storage))
        assert await storage.push_workflow(nodes) == [False, False]
        assert await pull(storage) == []


# -- inputs


async def check_a_node_gets_the_results_in_its_own_order(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        ids = [f"t{number}" for number in range(12)]
        started = await begin(storage, *map(node, ids), node("last", *ids, "t3"))
        for task_id in Random(0).sample(ids, len(ids)):
            await end(storage, started[task_id], task_id.encode())
        assert inputs_of(await pull_one(storage)) == [("done", task_id.encode()) for task_id in [*ids, "t3"]]


async def check_a_result_goes_to_everyone_who_waits_for_it(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("first"), node("a", "first"), node("b", "first"), node("last", "a", "b"))
        await end(storage, started["first"], b"5")
        started = await started_by_id(storage)
        given = [("done", b"5")]
        assert {task_id: inputs_of(each) for task_id, each in started.items()} == {"a": given, "b": given}
        await end(storage, started["b"], b"7")
        await end(storage, started["a"], b"6")
        assert inputs_of(await pull_one(storage)) == [("done", b"6"), ("done", b"7")]


async def check_an_input_is_the_result_as_it_is(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        results = [b"", b"\0", b"\n", bytes(range(256)), b"%d %s", "naïve 東京 🚀".encode(), bytes(range(256)) * 4096]
        ids = [f"t{number}" for number in range(len(results))]
        started = await begin(storage, *map(node, ids), node("last", *ids))
        for task_id, result in zip(ids, results, strict=True):
            await end(storage, started[task_id], result)
        last = await pull_one(storage)
        last = last._replace(payload=await payload_of(storage, last))
        assert inputs_of(last) == [("done", result) for result in results]


async def check_a_node_keeps_its_own_payload_as_it_is(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for number, payload in enumerate([b"", b"\0", b"\n 5\n", bytes(range(256)) * 16]):
            envelope = Envelope(f"last{number}", payload, eta_ms=1_000)
            started = await begin(storage, node(f"first{number}"), Node(envelope, (f"first{number}",)))
            await end(storage, started[f"first{number}"], payload)
            last = await pull_one(storage)
            assert last.payload == joined(payload, 1_000, [as_input(State.DONE, payload)])
            assert parted(last.payload) == (payload, 1_000, [(State.DONE, payload)])
            await end(storage, last)


async def check_inputs_outlast_put_backs_retries_delays_and_take_overs(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("first"), node("last", "first"))
        await end(storage, started["first"], b"5")
        last = await pull_one(storage)
        payload = last.payload
        for settlement in (
            put_back(last),
            put_back(last, State.RETRYING, failures=1),
            put_back(last, State.RETRYING, delay_ms=20, failures=2),
        ):
            assert await storage.settle([settlement._replace(receipt=last.receipt)]) == [True]
            if settlement.delay_ms:
                await promote(harness, storage, 1)
            last = await pull_one(storage)
            assert last.payload == payload
        assert (await take_over(harness, storage, "two")).payload == payload


async def check_a_hundred_members_join_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        ids = [f"t{number}" for number in range(100)]
        started = await begin(storage, *map(node, ids), node("last", *ids))
        settlements = [verdict(started[task_id], task_id.encode())._replace(linked=True) for task_id in ids]
        replies = await asyncio.gather(*(storage.settle(settlements[start::7]) for start in range(7)))
        assert all(all(reply) for reply in replies)
        last = await pull_one(storage)
        assert inputs_of(last) == [("done", task_id.encode()) for task_id in ids]


# -- when it starts


async def check_a_node_keeps_queue_and_priority(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        nodes = [
            node("first"),
            node("low", "first", queue="mail", priority=-5),
            node("high", "first", queue="mail", priority=5),
        ]
        started = await begin(storage, *nodes)
        await end(storage, started["first"])
        assert await pull(storage) == []
        assert [delivery.id for delivery in await pull(storage, queues=["mail"])] == ["high", "low"]


async def check_a_waiting_pull_is_woken_by_a_join(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        nodes = [node("first"), node("last", "first", priority=7)]
        first = (await begin(storage, *nodes))["first"]
        async with background(pull(storage, 5, wait_ms=LONG_WAIT_MS)) as task:
            await harness.advance(20)
            await end(storage, first)
            assert [delivery.id for delivery in await outcome(task)] == ["last"]


async def check_a_delay_counts_from_the_last_verdict_before(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("first"), node("last", "first", delay_ms=100))
        await harness.advance(150)
        await end(storage, started["first"])
        ended_ms = harness.now_ms()
        assert await state_of(storage, "last") is State.SCHEDULED
        assert await pull(storage) == []
        await promote(harness, storage, 1)
        # Different clocks and rounding may cause a difference of some milliseconds.
        assert harness.now_ms() - ended_ms >= 90
        last = await pull_one(storage)
        assert inputs_of(last) == [("done", b"1")]
        assert abs(parted(last.payload).due_ms - ended_ms - 100) < 2_000


async def check_an_instant_is_kept_as_it_is(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        eta_ms = harness.now_ms() + 200
        nodes = [node("first"), node("later", "first", eta_ms=eta_ms), node("passed", "first", eta_ms=1_000)]
        started = await begin(storage, *nodes)
        await end(storage, started["first"])
        passed = await pull_one(storage)
        assert parted(passed.payload) == (b"payload of passed", 1_000, [("done", b"1")])
        await promote(harness, storage, 1)
        assert harness.now_ms() >= eta_ms - 10
        assert parted((await pull_one(storage)).payload).due_ms == eta_ms


async def check_nodes_without_predecessors_start_like_tasks(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        now_ms = harness.now_ms()
        nodes = [
            node("delayed", delay_ms=50),
            node("due", eta_ms=now_ms + 50),
            node("passed", eta_ms=1_000),
            node("high", priority=3),
        ]
        assert await storage.push_workflow(nodes) == [True] * 4
        assert [delivery.id for delivery in await pull(storage)] == ["high", "passed"]
        assert await state_of(storage, "delayed") is State.SCHEDULED
        await promote(harness, storage, 2)
        assert {delivery.id for delivery in await pull(storage)} == {"delayed", "due"}


# -- once


async def check_only_a_verdict_moves_a_workflow_on(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = (await begin(storage, node("first"), node("last", "first")))["first"]
        for failures in range(1, 4):
            settlement = put_back(delivery, State.RETRYING, failures=failures)._replace(linked=True)
            assert await storage.settle([settlement]) == [True]
            assert await state_of(storage, "last") is State.WAITING
            delivery = await pull_one(storage)
            assert (delivery.id, delivery.payload) == ("first", b"payload of first")
        await end(storage, delivery)
        assert (await pull_one(storage)).id == "last"


async def check_a_verdict_that_is_refused_moves_nothing_on(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        nodes = [node("first"), node("last", "first"), node("handler", "first", trigger=Trigger.FAILED)]
        lost = (await begin(storage, *nodes))["first"]
        taken = await take_over(harness, storage, "two")
        late = verdict(lost, b"late", state=State.FAILED)._replace(linked=True)
        assert await storage.settle([late]) == [False]
        assert await state_of(storage, "last") is State.WAITING
        assert await state_of(storage, "handler") is State.WAITING
        timely = verdict(taken, b"timely")._replace(linked=True)
        assert await storage.settle([late, timely, late, timely]) == [False, True, False, False]
        assert await storage.settle([timely]) == [False]
        assert inputs_of(await pull_one(storage)) == [("done", b"timely")]
        assert await storage.records(["first"]) == [Record(State.DONE, b"timely")]


async def check_a_batch_with_workflows_is_answered_in_its_order(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("a"), node("b", priority=5), node("last", "a", "b"))
        await storage.push([Envelope("plain", b""), Envelope("again", b"", priority=5)])
        started |= await started_by_id(storage)
        a, b = (verdict(started[name], name.encode())._replace(linked=True) for name in "ab")
        batch = [a, verdict(started["plain"], b"p"), a, b, put_back(started["again"]), b]
        assert await storage.settle(batch) == [True, True, False, True, True, False]
        ready = await started_by_id(storage)
        assert set(ready) == {"last", "again"}
        assert inputs_of(ready["last"]) == [("done", b"a"), ("done", b"b")]


async def check_a_verdict_that_nobody_waits_for_is_like_any_other(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        await storage.push([Envelope("task", b"")])
        settlement = verdict(await pull_one(storage), b"result", reply="me")._replace(linked=True)
        assert await storage.settle([settlement]) == [True]
        await mailbox.expect(Settled("task", State.DONE, b"result"))
        assert await storage.records(["task"]) == [Record(State.DONE, b"result")]


# -- events and records


async def check_a_client_is_told_the_verdict_of_a_node(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        listening(storage, "me") as mine,
        listening(storage, "you") as yours,
    ):
        started = await begin(storage, node("first"), node("last", "first", reply="me"))
        assert await storage.records(["last"], "you") == [Record(State.WAITING)]
        await storage.settle([verdict(started["first"], b"oops", state=State.FAILED, reply="me")._replace(linked=True)])
        last = Settled("last", State.CANCELLED, b"oops")
        await mine.expect(Settled("first", State.FAILED, b"oops"), last)
        await yours.expect(last)


async def check_any_workflow_ends_as_the_rules_say(harness: Harness) -> None:
    for seed in range(5):
        async with opened(harness.make()) as storage:
            await _play(storage, Random(seed))


async def _play(storage: Storage, random: Random) -> None:
    """Run a random workflow whose tasks end in random order and in random states, some before they are due."""
    nodes: list[Node] = []
    for number in range(30):
        before = (
            random.choices([known.envelope.id for known in nodes], k=random.choice((0, 1, 1, 2, 3))) if nodes else []
        )
        nodes.append(
            node(f"t{number}", *before, trigger=random.choice(list(Trigger)), priority=random.choice((0, 0, 5)))
        )
    assert await storage.push_workflow(random.sample(nodes, len(nodes))) == [True] * len(nodes)
    fates = {known.envelope.id: random.choice((State.DONE, State.DONE, *sorted(VERDICTS))) for known in nodes}
    held: dict[str, Delivery] = {}
    ran: set[str] = set()
    cancelled: set[str] = set()
    while started := await started_by_id(storage) | held:
        assert not ran & set(started), "a task was run again after its verdict"
        chosen = random.sample(sorted(started), random.randint(1, len(started)))
        batch = [
            verdict(started[task_id], task_id.encode(), state=fates[task_id])._replace(linked=True)
            for task_id in chosen
        ]
        assert await storage.settle(batch) == [True] * len(batch)
        ran |= set(chosen)
        [unlucky] = random.sample(nodes, 1)
        if await state_of(storage, unlucky.envelope.id) is State.WAITING:
            cancelled.add(unlucky.envelope.id)
            assert await storage.cancel(unlucky.envelope.id, b"stopped", KEEP_MS, "")
        held = {task_id: delivery for task_id, delivery in started.items() if task_id not in chosen}
    for task, after, trigger, _ in nodes:
        [record] = await storage.records([task.id])
        states = [fates[each] if each in ran else State.CANCELLED for each in after]
        starts = task.id not in cancelled and all(state in TRIGGERING[trigger] for state in states)
        assert (task.id in ran) is starts, (
            f"{task.id} must start when the tasks before it are {trigger}, but they are {states}"
        )
        assert record is not None
        assert record.state is (fates[task.id] if starts else State.CANCELLED)


CHECKS = (
    check_a_node_waits_for_those_before_it,
    check_a_workflow_is_kept_as_a_whole_or_not_at_all,
    check_a_workflow_that_is_pushed_again_is_known,
    check_a_node_gets_the_results_in_its_own_order,
    check_a_result_goes_to_everyone_who_waits_for_it,
    check_an_input_is_the_result_as_it_is,
    check_a_node_keeps_its_own_payload_as_it_is,
    check_inputs_outlast_put_backs_retries_delays_and_take_overs,
    check_a_hundred_members_join_once,
    check_a_node_keeps_queue_and_priority,
    check_a_waiting_pull_is_woken_by_a_join,
    check_a_delay_counts_from_the_last_verdict_before,
    check_an_instant_is_kept_as_it_is,
    check_nodes_without_predecessors_start_like_tasks,
    check_only_a_verdict_moves_a_workflow_on,
    check_a_verdict_that_is_refused_moves_nothing_on,
    check_a_batch_with_workflows_is_answered_in_its_order,
    check_a_verdict_that_nobody_waits_for_is_like_any_other,
    check_a_client_is_told_the_verdict_of_a_node,
    check_any_workflow_ends_as_the_rules_say,
)
