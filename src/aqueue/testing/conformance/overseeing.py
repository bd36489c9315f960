"""Administration of a namespace: the tasks in each place, page by page, and flushing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Envelope, Node
from ...storage.admin import PAGE, Place, StoredTask
from .harness import KEEP_MS, LEASE_MS, Harness, lend, opened, pull, put_back, renew, verdict

if TYPE_CHECKING:
    from ...storage.protocol import Storage

_HOUR_MS = 3_600_000


async def walk(storage: Storage, place: Place, queue: str = "") -> list[StoredTask]:
    """List all tasks in `place`."""
    found: list[StoredTask] = []
    async for page in storage.admin.walk(place, queue):
        assert 0 < len(page) <= PAGE
        found += page
    return found


async def ids_in(storage: Storage, place: Place, queue: str = "") -> list[str]:
    return [kept.id for kept in await walk(storage, place, queue)]


async def check_every_task_is_listed_in_its_place(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for place in Place:
            assert await walk(storage, place) == []
        await storage.settle([verdict(await lend(storage, "done"), b"result")])
        await storage.settle([verdict(await lend(storage, "failed"), b"error", state=State.FAILED)])
        await lend(storage, "running")
        await storage.push([Envelope("ready", b""), Envelope("later", b"", delay_ms=_HOUR_MS)])
        first, second = Envelope("before", b"", "other"), Envelope("node", b"payload", "mail", 7)
        assert await storage.push_workflow([Node(first), Node(second, ("before",))]) == [True, True]
        node = StoredTask("node", State.WAITING, b"payload", "mail", 7)
        assert await walk(storage, Place.WAITING) == await walk(storage, Place.WAITING, "mail") == [node]
        assert await walk(storage, Place.WAITING, "other") == []
        assert await ids_in(storage, Place.READY, "other") == ["before"]
        assert await ids_in(storage, Place.READY, "default") == ["ready"]
        assert await ids_in(storage, Place.SCHEDULED) == ["later"]
        assert await ids_in(storage, Place.LENT) == ["running"]
        ended = [StoredTask("done", State.DONE, result=b"result"), StoredTask("failed", State.FAILED, result=b"error")]
        assert sorted(await walk(storage, Place.ENDED)) == ended


async def check_a_listed_task_is_told_in_full(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        began_ms = harness.now_ms()
        await storage.push([Envelope("task", b"\x00payload", "mail", 7)])
        [delivery] = await pull(storage, queues=["mail"])
        [lent] = await walk(storage, Place.LENT)
        assert lent[:5] == ("task", State.RUNNING, b"\x00payload", "mail", 7)
        assert (lent.deliveries, lent.consumer, lent.failures) == (1, "one", 0)
        # Both clocks are read in whole milliseconds, and a server has its own.
        assert began_ms - 1 <= lent.at_ms - LEASE_MS <= harness.now_ms() + 1
        await storage.settle([put_back(delivery, State.RETRYING, delay_ms=_HOUR_MS, failures=1)])
        [later] = await walk(storage, Place.SCHEDULED)
        assert later[:5] == ("task", State.RETRYING, b"\x00payload", "mail", 7)
        assert (later.failures, later.consumer) == (1, "")
        assert began_ms - 1 <= later.at_ms - _HOUR_MS <= harness.now_ms() + 1
        await storage.push([Envelope("other", b"\xff", "mail", 7)])
        [delivery] = await pull(storage, queues=["mail"])
        await storage.settle([put_back(delivery, State.RETRYING, failures=2)])
        [ready] = await walk(storage, Place.READY)
        assert ready[:5] == ("other", State.RETRYING, b"\xff", "mail", 7)
        assert (ready.failures, ready.consumer) == (2, "")
        assert began_ms - 1 <= ready.at_ms <= harness.now_ms() + 1


async def check_ready_tasks_are_listed_in_the_order_of_their_turns(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(f"b{n}", b"", "b") for n in range(2)])
        await storage.push([Envelope(f"a{n}", b"", "a", priority) for n, priority in enumerate([-1, 0, 5, 0, 100])])
        turns = ["a4", "a2", "a1", "a3", "a0"]
        assert await ids_in(storage, Place.READY) == [*turns, "b0", "b1"]
        assert await ids_in(storage, Place.READY, "a") == turns
        assert await ids_in(storage, Place.READY, "b") == ["b0", "b1"]
        assert await ids_in(storage, Place.READY, "c") == []
        assert [delivery.id for delivery in await pull(storage, queues=["a"])] == turns


async def check_scheduled_tasks_are_listed_by_their_instants(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        hours = {"third": 3, "first": 1, "second": 2}
        await storage.push([Envelope(name, b"", "a", 5, hours[name] * _HOUR_MS) for name in hours])
        await storage.push([Envelope("other", b"", "b", 0, 2 * _HOUR_MS)])
        assert await ids_in(storage, Place.SCHEDULED, "a") == ["first", "second", "third"]
        assert await ids_in(storage, Place.SCHEDULED, "b") == ["other"]
        assert sorted(await ids_in(storage, Place.SCHEDULED)) == ["first", "other", "second", "third"]


async def check_lent_tasks_are_listed_with_those_who_hold_them(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(f"a{n}", b"", "a") for n in range(3)])
        await storage.push([Envelope("b0", b"", "b")])
        [first] = await pull(storage, 1, consumer="one", queues=["a"])
        await pull(storage, consumer="two", queues=["a", "b"])
        held = {(kept.id, kept.consumer) for kept in await walk(storage, Place.LENT)}
        assert held == {("a0", "one"), ("a1", "two"), ("a2", "two"), ("b0", "two")}
        assert await ids_in(storage, Place.LENT, "b") == ["b0"]
        [before] = [kept.at_ms for kept in await walk(storage, Place.LENT) if kept.id == "a0"]
        await harness.advance(50)
        assert renew(storage, [first.receipt]) == []
        [after] = [kept.at_ms for kept in await walk(storage, Place.LENT) if kept.id == "a0"]
        assert after >= before + 49


async def check_a_long_list_comes_in_pages(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        names = [f"t{number:04}" for number in range(2 * PAGE + 50)]
        await storage.push([Envelope(f"later-{name}", b"", delay_ms=_HOUR_MS) for name in names])
        await storage.push([Envelope(name, b"") for name in names])
        assert await ids_in(storage, Place.READY) == names
        assert sorted(await ids_in(storage, Place.SCHEDULED)) == [f"later-{name}" for name in names]
        deliveries = await pull(storage, len(names))
        assert sorted(await ids_in(storage, Place.LENT)) == names
        await storage.settle([verdict(delivery) for delivery in deliveries])
        # A scan may return the same record twice.
        assert set(await ids_in(storage, Place.ENDED)) == set(names)
        assert await ids_in(storage, Place.READY) == await ids_in(storage, Place.LENT) == []


async def check_a_verdict_is_listed_for_as_long_as_it_is_kept(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([verdict(await lend(storage, "short"), ttl_ms=30)])
        await storage.settle([verdict(await lend(storage, "long"))])
        await harness.advance(60)
        assert await ids_in(storage, Place.ENDED) == ["long"]


async def check_nothing_is_left_of_what_was_flushed(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([verdict(await lend(storage, "done"))])
        await storage.settle([verdict(await lend(storage, "failed"), state=State.FAILED)._replace(dead_ttl_ms=KEEP_MS)])
        running = await lend(storage, "running")
        await storage.push([Envelope("ready", b"", "a", 5), Envelope("later", b"", delay_ms=_HOUR_MS)])
        await storage.push_workflow([Node(Envelope("before", b"")), Node(Envelope("node", b""), ("before",))])
        await storage.revoke("ready", 0, False, 0)
        await storage.shared.put("key", b"1", "token")
        await storage.shared.acquire("lock", "token", 1, 60_000)
        assert sum([forgotten async for forgotten in storage.admin.flush()]) == 7
        for place in Place:
            assert await walk(storage, place) == []
        assert sum(depth.ready + depth.running + depth.scheduled for depth in await storage.depths()) == 0
        assert await storage.records(["done", "failed", "running", "ready", "later", "node"]) == [None] * 6
        assert await storage.promote(10) == (0, None)
        assert await storage.shared.get("key") is None
        assert await storage.shared.holders() == []
        assert renew(storage, [running.receipt]) == [running.receipt]
        assert await storage.settle([verdict(running)]) == [False]
        # The namespace works again, the old ids are free, and nothing is revoked.
        assert await storage.push([Envelope("ready", b""), Envelope("running", b"")]) == [True, True]
        again = [*await pull(storage), *await pull(storage)]
        assert [(delivery.id, delivery.may_be_revoked) for delivery in again] == [("ready", False), ("running", False)]
        assert await storage.settle([verdict(delivery) for delivery in again]) == [True, True]


async def check_pauses_and_schedules_outlive_a_flush(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.advance("hourly", b"", b"state", [Envelope("old", b"")])
        await storage.admin.pause("default")
        assert sum([forgotten async for forgotten in storage.admin.flush()]) == 1
        await storage.push([Envelope("new", b"")])
        assert await storage.admin.paused() == {"default"}
        assert await storage.schedules() == {"hourly": b"state"}
        assert await pull(storage) == []
        assert await ids_in(storage, Place.READY) == ["new"]
        await storage.admin.resume("default")
        assert [delivery.id for delivery in await pull(storage)] == ["new"]


CHECKS = (
    check_every_task_is_listed_in_its_place,
    check_a_listed_task_is_told_in_full,
    check_ready_tasks_are_listed_in_the_order_of_their_turns,
    check_scheduled_tasks_are_listed_by_their_instants,
    check_lent_tasks_are_listed_with_those_who_hold_them,
    check_a_long_list_comes_in_pages,
    check_a_verdict_is_listed_for_as_long_as_it_is_kept,
    check_nothing_is_left_of_what_was_flushed,
    check_pauses_and_schedules_outlive_a_flush,
)
