"""Failures in workflows: which nodes a verdict cancels, which handle it, and which run nevertheless."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.lifecycle import TRIGGERING, VERDICTS, State
from ...core.message import Trigger
from ...storage.protocol import Record, Settled
from .harness import begin, end, inputs_of, listening, node, opened, pull, pull_one, state_of

if TYPE_CHECKING:
    from .harness import Harness

_ERROR = b'{"error":"oops"}'


async def check_a_failure_cancels_all_that_come_after(harness: Harness) -> None:
    for state in sorted(VERDICTS - {State.DONE}):
        async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
            nodes = [node("t0"), *(node(f"t{n}", f"t{n - 1}", reply="me") for n in range(1, 5)), node("other", "t0")]
            started = await begin(storage, *nodes)
            await end(storage, started["t0"], _ERROR, state=state)
            assert await storage.records(["t0"]) == [Record(state, _ERROR)]
            rest = ["t1", "t2", "t3", "t4", "other"]
            assert await storage.records(rest) == [Record(State.CANCELLED, _ERROR)] * 5
            await mailbox.expect(*(Settled(f"t{number}", State.CANCELLED, _ERROR) for number in range(1, 5)))
            assert await pull(storage) == []


async def check_the_first_failure_before_a_node_is_the_one_that_counts(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("a"), node("b"), node("c"), node("last", "a", "b", "c"))
        await end(storage, started["a"], b"5")
        await end(storage, started["b"], b"first error", state=State.FAILED)
        assert await storage.records(["last"]) == [Record(State.CANCELLED, b"first error")]
        await end(storage, started["c"], b"second error", state=State.FAILED)
        assert await storage.records(["last"]) == [Record(State.CANCELLED, b"first error")]
        assert await pull(storage) == []


async def check_a_node_that_takes_every_verdict_starts_after_the_last(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        states = sorted(VERDICTS)
        started = await begin(storage, *map(node, states), node("last", *states, trigger=Trigger.ENDED))
        for state in states:
            assert await pull(storage) == []
            await end(storage, started[state], b"of " + state.encode(), state=state)
        assert inputs_of(await pull_one(storage)) == [(state, b"of " + state.encode()) for state in states]


async def check_what_was_cancelled_hands_the_verdict_of_its_cause_on(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        nodes = [
            node("head"),
            node("middle", "head"),
            node("tail", "middle"),
            node("last", "tail", trigger=Trigger.ENDED),
        ]
        started = await begin(storage, *nodes)
        await end(storage, started["head"], _ERROR, state=State.FAILED)
        assert inputs_of(await pull_one(storage)) == [("failed", _ERROR)]


async def check_a_handler_runs_when_its_task_has_failed_and_else_never(harness: Harness) -> None:
    for state in sorted(VERDICTS):
        async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
            nodes = [
                node("task"),
                node("handler", "task", trigger=Trigger.FAILED, reply="me"),
                node("handler-of-the-handler", "handler", trigger=Trigger.FAILED, reply="me"),
            ]
            started = await begin(storage, *nodes)
            await end(storage, started["task"], b"result", state=state)
            if state in TRIGGERING[Trigger.FAILED]:
                assert inputs_of(await pull_one(storage)) == [(state, b"result")]
                assert await state_of(storage, "handler-of-the-handler") is State.WAITING
            else:
                kept = b"" if state is State.DONE else b"result"
                told = [Settled(name, State.CANCELLED, kept) for name in ("handler", "handler-of-the-handler")]
                await mailbox.expect(*told)
                assert await pull(storage) == []


async def check_a_failure_that_was_handed_on_is_not_handled_again(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        nodes = [node("head"), node("tail", "head"), node("handler", "tail", trigger=Trigger.FAILED)]
        started = await begin(storage, *nodes)
        await end(storage, started["head"], _ERROR, state=State.FAILED)
        assert await storage.records(["tail", "handler"]) == [Record(State.CANCELLED, _ERROR)] * 2
        assert await pull(storage) == []


async def check_a_cancelled_node_is_forgotten_with_its_cause(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        started = await begin(storage, node("first"), node("last", "first"))
        await end(storage, started["first"], _ERROR, state=State.FAILED, ttl_ms=50)
        for _ in range(500):
            if await storage.records(["first", "last"]) == [None, None]:
                break
            await harness.advance(20)
        assert await begin(storage, node("first"), node("last", "first")) != {}


CHECKS = (
    check_a_failure_cancels_all_that_come_after,
    check_the_first_failure_before_a_node_is_the_one_that_counts,
    check_a_node_that_takes_every_verdict_starts_after_the_last,
    check_what_was_cancelled_hands_the_verdict_of_its_cause_on,
    check_a_handler_runs_when_its_task_has_failed_and_else_never,
    check_a_failure_that_was_handed_on_is_not_handled_again,
    check_a_cancelled_node_is_forgotten_with_its_cause,
)
