"""Several processes that share one store, each with its own handle."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Envelope
from ...storage.protocol import Advance, CancelAsked, Due, Progressed, Record, ScheduleChanged, Settled
from .harness import (
    KEEP_MS,
    LONG_WAIT_MS,
    SharedHarness,
    adopt,
    background,
    begin,
    end,
    inputs_of,
    lend,
    listening,
    node,
    opened,
    outcome,
    promote,
    pull,
    pull_one,
    put_back,
    renew,
    take_over,
    taking,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ...core.message import Delivery
    from ...storage.protocol import Storage


@asynccontextmanager
async def _two(harness: SharedHarness) -> AsyncIterator[tuple[Storage, Storage]]:
    """Open two handles of one new store."""
    async with opened(harness.make()) as first, opened(harness.join(first)) as second:
        yield first, second


async def check_a_task_travels_between_processes(harness: SharedHarness) -> None:
    async with _two(harness) as (client, worker):
        assert await pull(worker) == []
        assert await client.push([Envelope("task", b"payload", priority=4)]) == [True]
        assert await worker.push([Envelope("task", b"copy")]) == [False]
        delivery = await pull_one(worker)
        assert delivery.payload == b"payload"
        assert await client.records(["task"]) == [Record(State.RUNNING)]
        assert await pull(client) == []
        assert await worker.settle([verdict(delivery, b"result")]) == [True]
        assert await client.records(["task"]) == [Record(State.DONE, b"result")]


async def check_a_receipt_holds_at_every_handle(harness: SharedHarness) -> None:
    async with _two(harness) as (one, other):
        for number in range(2):
            delivery = await lend(one, f"t{number}")
            assert renew(other, [delivery.receipt]) == []
            assert await other.report(delivery.receipt, delivery.id, b"1/2", "")
            assert await adopt(other, [delivery.receipt]) == []
            assert await other.settle([verdict(delivery)]) == [True]
            assert await one.settle([verdict(delivery)]) == [False]
            one, other = other, one


async def check_a_waiting_pull_is_woken_from_elsewhere(harness: SharedHarness) -> None:
    async with _two(harness) as (client, worker), listening(worker, "worker"):
        for number, priority in enumerate([0, 0, 7, -7, 7]):
            async with background(pull(worker, 5, wait_ms=LONG_WAIT_MS)) as task:
                await harness.advance(20)
                await client.push([Envelope(f"t{number}", b"", priority=priority)])
                assert [delivery.id for delivery in await outcome(task)] == [f"t{number}"]
        delivery = await lend(client, "returned", consumer="two")
        async with background(pull(worker, 5, wait_ms=LONG_WAIT_MS)) as task:
            await harness.advance(20)
            await client.settle([put_back(delivery)])
            assert [delivery.id for delivery in await outcome(task)] == ["returned"]
        async with background(pull(worker, 5, wait_ms=LONG_WAIT_MS)) as task:
            await client.push([Envelope("delayed", b"", delay_ms=20)])
            await promote(harness, client, 1)
            assert [delivery.id for delivery in await outcome(task)] == ["delayed"]


async def check_the_first_task_of_a_queue_and_priority_wakes_every_intake_that_reads_it(
    harness: SharedHarness,
) -> None:
    async with (
        _two(harness) as (one, two),
        listening(one, "one"),
        listening(two, "two"),
        taking(one, "a's", ["a"]) as reads_a,
        taking(two, "b's", ["b"]) as reads_b,
    ):
        for priority in range(1, 4):
            waits = background(reads_a.pull(1, LONG_WAIT_MS)), background(reads_b.pull(1, LONG_WAIT_MS))
            async with waits[0] as task_of_a, waits[1] as task_of_b:
                await harness.advance(20)
                await one.push([Envelope(f"b{priority}", b"", "b", priority)])
                assert [delivery.id for delivery in await outcome(task_of_b)] == [f"b{priority}"]
                assert not task_of_a.done()
                await two.push([Envelope(f"a{priority}", b"", "a", priority)])
                assert [delivery.id for delivery in await outcome(task_of_a)] == [f"a{priority}"]


async def check_events_reach_other_processes(harness: SharedHarness) -> None:
    async with _two(harness) as (client, worker), listening(client, "me") as mailbox:
        delivery = await lend(worker, "task")
        assert await worker.report(delivery.receipt, "task", b"1/2", "me")
        await mailbox.expect(Progressed("task", b"1/2"))
        await worker.settle([verdict(delivery, b"result", reply="me")])
        await mailbox.expect(Settled("task", State.DONE, b"result"))
        await worker.push([Envelope("later", b"", delay_ms=3_600_000)])
        assert isinstance(await mailbox.next(), Due)


async def check_a_request_to_stop_reaches_other_processes(harness: SharedHarness) -> None:
    async with _two(harness) as (client, worker), listening(worker, "worker") as mailbox:
        delivery = await lend(worker, "running")
        assert await client.cancel("running", b"", KEEP_MS, "")
        await mailbox.expect(CancelAsked("running"))
        await client.push([Envelope("waiting", b"")])
        assert await client.cancel("waiting", b"why", KEEP_MS, "worker")
        await mailbox.expect(Settled("waiting", State.CANCELLED, b"why"))
        await client.revoke("all of a kind", 0, True, 0)
        assert (await lend(worker, "next")).may_be_revoked
        assert await worker.revoked([("next", "all of a kind")], True) == [True]
        assert await client.revoked([("other", "all of a kind")], True) == [False]
        assert await worker.settle([verdict(delivery, state=State.CANCELLED)]) == [True]
        assert not await client.cancel("running", b"", KEEP_MS, "")


async def check_a_vanished_process_is_replaced(harness: SharedHarness) -> None:
    async with opened(harness.make()) as survivor:
        async with opened(harness.join(survivor)) as victim:
            lost = await lend(victim, "task", consumer="victim")
            renew(victim, [lost.receipt], consumer="victim", description=b"alive")
        [worker] = await survivor.workers()
        assert (worker.consumer, worker.description) == ("victim", b"alive")
        taken = await take_over(harness, survivor, "survivor")
        async with opened(harness.join(survivor)) as revenant:
            assert renew(revenant, [lost.receipt], consumer="victim") == [lost.receipt]
            assert await revenant.settle([verdict(lost)]) == [False]
        assert await survivor.settle([verdict(taken, b"result")]) == [True]


async def check_concurrent_processes_share_the_work(harness: SharedHarness) -> None:
    """Four processes push the same tasks and pull all they can. Each task is pushed once, lent once and ended once."""
    ids = [f"t{number}" for number in range(200)]
    batches = [[Envelope(task_id, b"", priority=n % 3) for task_id in ids[n * 20 : n * 20 + 20]] for n in range(10)]
    pushed: list[bool] = []
    lent: list[str] = []
    settled: list[bool] = []

    async def work(storage: Storage, consumer: str) -> None:
        for batch in batches:
            pushed.extend(await storage.push(batch))
            await run(storage, consumer)
        while await run(storage, consumer):
            pass

    async def run(storage: Storage, consumer: str) -> bool:
        deliveries = await pull(storage, 10, consumer=consumer)
        lent.extend(delivery.id for delivery in deliveries)
        settled.extend(await storage.settle([verdict(delivery) for delivery in deliveries]))
        return bool(deliveries)

    async with _two(harness) as (a, b), opened(harness.join(a)) as c, opened(harness.join(a)) as d:
        await asyncio.gather(*(work(storage, f"c{number}") for number, storage in enumerate((a, b, c, d))))
        assert sorted(lent) == sorted(ids)
        assert pushed.count(True) == 200
        assert settled == [True] * 200
        assert [record and record.state for record in await a.records(ids)] == [State.DONE] * 200


async def check_concurrent_processes_fire_each_tick_once(harness: SharedHarness) -> None:
    """Four processes serve one schedule, and each tries to fire every tick that it sees."""
    ticks = 60

    async def serve(storage: Storage, who: int) -> int:
        made = 0
        while True:
            seen = (await storage.schedules()).get("hourly", b"")
            tick = int(seen.partition(b" ")[0] or 0) + 1
            if tick > ticks:
                return made
            fired = [Envelope(f"{tick}.{who}", b"", priority=tick % 3)]
            made += await storage.advance("hourly", seen, b"%d %d" % (tick, who), fired) is Advance.MADE

    async with _two(harness) as (a, b), opened(harness.join(a)) as c, opened(harness.join(a)) as d:
        made = await asyncio.gather(*(serve(storage, number) for number, storage in enumerate((a, b, c, d))))
        assert sum(made) == ticks
        fired = [delivery.id for _ in range(3) for delivery in await pull(b, 100)]
        assert sorted(int(task_id.partition(".")[0]) for task_id in fired) == [*range(1, ticks + 1)]


async def check_a_changed_schedule_is_announced_to_other_processes(harness: SharedHarness) -> None:
    async with _two(harness) as (client, worker), listening(worker, "me") as mailbox:
        assert await client.advance("hourly", b"", b"one", [])
        await mailbox.expect(ScheduleChanged("hourly"))
        assert await worker.schedules() == {"hourly": b"one"}
        async with background(pull(worker, 5, wait_ms=LONG_WAIT_MS)) as task:
            await harness.advance(20)
            assert await client.advance("hourly", b"one", b"two", [Envelope("tick", b"", priority=7)])
            assert [delivery.id for delivery in await outcome(task)] == ["tick"]
        assert not await worker.advance("hourly", b"one", b"three", [])


async def check_a_workflow_moves_on_between_processes(harness: SharedHarness) -> None:
    async with _two(harness) as (client, worker), listening(client, "me") as mailbox:
        nodes = [node("first", reply="me"), node("next", "first", priority=7), node("last", "next", reply="me")]
        first = (await begin(client, *nodes))["first"]
        async with background(pull(worker, 5, consumer="two", wait_ms=LONG_WAIT_MS)) as task:
            await harness.advance(20)
            await end(client, first)
            [following] = await outcome(task)
        assert (following.id, inputs_of(following)) == ("next", [("done", b"1")])
        await end(worker, following, b"oops", state=State.FAILED)
        await mailbox.expect(Settled("last", State.CANCELLED, b"oops"))
        assert await client.records(["last"]) == [Record(State.CANCELLED, b"oops")]


async def check_members_that_end_in_several_processes_join_once(harness: SharedHarness) -> None:
    async with _two(harness) as (a, b), opened(harness.join(a)) as c, opened(harness.join(a)) as d:
        members = [node(f"t{number}") for number in range(40)]
        await a.push_workflow([*members, node("last", *(member.envelope.id for member in members))])

        async def work(storage: Storage, consumer: str) -> None:
            while deliveries := await pull(storage, 3, consumer=consumer):
                batch = [verdict(delivery, delivery.id.encode())._replace(linked=True) for delivery in deliveries]
                await storage.settle([item for item in batch if item.id != "last"])
                joined.extend(delivery for delivery in deliveries if delivery.id == "last")

        joined: list[Delivery] = []
        await asyncio.gather(*(work(storage, f"c{number}") for number, storage in enumerate((a, b, c, d))))
        [last] = joined
        assert inputs_of(last) == [("done", member.envelope.id.encode()) for member in members]


async def check_closing_one_handle_leaves_the_others_alone(harness: SharedHarness) -> None:
    async with opened(harness.make()) as stays:
        async with opened(harness.join(stays)) as leaves:
            delivery = await lend(leaves, "task")
            await leaves.push([Envelope("ready", b"")])
        assert await stays.settle([verdict(delivery)]) == [True]
        assert (await pull_one(stays)).id == "ready"


CHECKS = (
    check_a_task_travels_between_processes,
    check_a_receipt_holds_at_every_handle,
    check_a_waiting_pull_is_woken_from_elsewhere,
    check_the_first_task_of_a_queue_and_priority_wakes_every_intake_that_reads_it,
    check_events_reach_other_processes,
    check_a_request_to_stop_reaches_other_processes,
    check_a_vanished_process_is_replaced,
    check_concurrent_processes_share_the_work,
    check_concurrent_processes_fire_each_tick_once,
    check_a_changed_schedule_is_announced_to_other_processes,
    check_a_workflow_moves_on_between_processes,
    check_members_that_end_in_several_processes_join_once,
    check_closing_one_handle_leaves_the_others_alone,
)
