"""Stopping tasks of workflows before they run: cancelling and revoking them in each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Trigger
from ...storage.protocol import CancelAsked, Record, Settled
from .harness import (
    KEEP_MS,
    Harness,
    begin,
    end,
    inputs_of,
    listening,
    node,
    opened,
    pull,
    pull_one,
    put_back,
    started_by_id,
    state_of,
)

if TYPE_CHECKING:
    from ...core.message import Node
    from ...storage.protocol import Storage

_WHY = b"stopped"


def _around(middle: Node) -> list[Node]:
    """A workflow with a node in the `middle`, and all kinds of nodes after that."""
    return [
        node("first"),
        middle,
        node("next", "middle", reply="me"),
        node("after-all", "middle", trigger=Trigger.ENDED),
        node("handler", "middle", trigger=Trigger.FAILED, reply="me"),
    ]


async def _check_what_follows(storage: Storage) -> None:
    """After the middle node was cancelled, all later nodes are cancelled, except those that take every verdict."""
    assert await storage.records(["middle", "next", "handler"]) == [Record(State.CANCELLED, _WHY)] * 3
    [after_all] = await pull(storage)
    assert (after_all.id, inputs_of(after_all)) == ("after-all", [("cancelled", _WHY)])
    assert await storage.promote(10) == (0, None)


async def check_a_node_that_waits_is_cancelled_for_those_after_it(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        started = await begin(storage, *_around(node("middle", "first", "first")))
        assert await storage.cancel("middle", _WHY, KEEP_MS, "me") is True
        told = [Settled(name, State.CANCELLED, _WHY) for name in ("middle", "next", "handler")]
        await mailbox.expect(*told)
        await _check_what_follows(storage)
        assert await storage.cancel("middle", b"again", KEEP_MS, "me") is False
        await end(storage, started["first"])
        assert await state_of(storage, "middle") is State.CANCELLED
        assert await pull(storage) == []


async def check_a_node_in_line_is_cancelled_for_those_after_it(harness: Harness) -> None:
    for delay_ms in (0, 60_000):
        async with opened(harness.make()) as storage:
            started = await begin(storage, *_around(node("middle", "first", delay_ms=delay_ms)))
            await end(storage, started["first"])
            assert await storage.cancel("middle", _WHY, KEEP_MS, "") is True
            await _check_what_follows(storage)


async def check_a_first_node_is_cancelled_for_those_after_it(harness: Harness) -> None:
    for delay_ms in (0, 60_000):
        async with opened(harness.make()) as storage:
            nodes = _around(node("middle", delay_ms=delay_ms))[1:]
            assert await storage.push_workflow(nodes) == [True] * 4
            assert await storage.cancel("middle", _WHY, KEEP_MS, "") is True
            await _check_what_follows(storage)


async def check_a_node_that_runs_is_asked_to_stop(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        started = await begin(storage, *_around(node("middle", "first")))
        await end(storage, started["first"])
        middle = await pull_one(storage)
        assert await storage.cancel("middle", _WHY, KEEP_MS, "") is True
        await mailbox.expect(CancelAsked("middle"))
        assert await state_of(storage, "next") is State.WAITING
        assert await storage.settle([put_back(middle, State.RETRYING, delay_ms=60_000)]) == [True]
        again = await pull_one(storage)
        assert (again.may_be_revoked, inputs_of(again)) == (True, inputs_of(middle))
        await end(storage, again, _WHY, state=State.CANCELLED)
        await _check_what_follows(storage)
        assert await storage.revoked([("middle", "")], True) == [False]


async def check_a_join_goes_on_without_what_was_cancelled(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        last = node("last", "a", "b", "c", trigger=Trigger.ENDED)
        started = await begin(storage, node("a"), node("slow"), node("b", "slow"), node("c"), last)
        await end(storage, started["a"], b"5")
        await storage.cancel("b", _WHY, KEEP_MS, "")
        assert await state_of(storage, "last") is State.WAITING
        await end(storage, started["c"], b"6")
        assert inputs_of(await pull_one(storage)) == [("done", b"5"), ("cancelled", _WHY), ("done", b"6")]


async def check_a_revocation_waits_with_its_node(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("first"), node("last", "first"))
        await storage.revoke("last", 0, False, 10)
        await harness.advance(50)
        await end(storage, started["first"])
        assert (await pull_one(storage)).may_be_revoked
        assert await storage.revoked([("last", "")], True) == [True]


async def check_a_revocation_ends_with_its_node(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("first"), node("next", "first"), node("last", "next"))
        for task_id in ("first", "next", "last"):
            await storage.revoke(task_id, 0, False, KEEP_MS)
        await end(storage, started["first"], _WHY, state=State.CANCELLED)
        assert await storage.revoked([("first", ""), ("next", ""), ("last", "")], False) == [False] * 3


async def check_what_was_pushed_as_a_node_can_be_seen(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        last = node("last", "first", queue="mail", priority=3)
        started = await begin(storage, node("first"), last)
        assert await storage.envelopes(["last"]) == [last.envelope]
        await end(storage, started["first"])
        [delivery] = await pull(storage, queues=["mail"])
        assert await storage.envelopes(["last"]) == [last.envelope._replace(payload=delivery.payload)]


async def check_an_id_that_is_used_again_waits_for_its_own(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("a"), node("b"), node("last", "a", "b"))
        await end(storage, started["a"], _WHY, state=State.FAILED, ttl_ms=50)
        for _ in range(500):
            if await storage.records(["last"]) == [None]:
                break
            await harness.advance(20)
        started |= await begin(storage, node("c"), node("last", "c"))
        await end(storage, started["b"], b"of the workflow before")
        assert await started_by_id(storage) == {}
        await end(storage, started["c"], b"its own")
        assert inputs_of(await pull_one(storage)) == [("done", b"its own")]


CHECKS = (
    check_a_node_that_waits_is_cancelled_for_those_after_it,
    check_a_node_in_line_is_cancelled_for_those_after_it,
    check_a_first_node_is_cancelled_for_those_after_it,
    check_a_node_that_runs_is_asked_to_stop,
    check_a_join_goes_on_without_what_was_cancelled,
    check_a_revocation_waits_with_its_node,
    check_a_revocation_ends_with_its_node,
    check_what_was_pushed_as_a_node_can_be_seen,
    check_an_id_that_is_used_again_waits_for_its_own,
)
