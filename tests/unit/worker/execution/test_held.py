"""The state of one delivery: a stop never loses it, and comes too late once its fate is decided."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import Stop
from aqueue.core.message import Delivery, Receipt
from aqueue.worker.execution.held import HeldDelivery

if TYPE_CHECKING:
    from collections.abc import Callable


class Run:
    """A held delivery whose run notes how often it was cancelled, and ends when it may."""

    def __init__(self) -> None:
        self.held = HeldDelivery(Delivery("id", b"", Receipt("worker", "place", "entry", 1)))
        self.may_end = asyncio.Event()
        self.cancelled = 0

    async def execute(self, held: HeldDelivery) -> None:
        while not self.may_end.is_set():
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.cancelled += 1

    async def after(self, *stops: Callable[[], None]) -> HeldDelivery:
        """Begin, make each of `stops` in a turn of its own, and end."""
        task = self.held.begin(self.execute, copy_context())
        for stop in stops:
            stop()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.may_end.set()
        await task
        return self.held


@pytest.fixture
def run() -> Run:
    return Run()


async def test_it_waits_then_runs_then_is_decided_then_is_handed_over(run: Run) -> None:
    held = run.held
    assert held.phase == "waiting"
    await run.after()
    assert (held.phase, held.stop, run.cancelled) == ("running", None, 0)
    held.decide()
    assert held.phase == "decided"
    held.hand_over()
    assert held.phase == "handed over"


async def test_a_stop_before_the_first_step_does_not_keep_the_run_from_beginning(run: Run) -> None:
    entered = []

    async def execute(held: HeldDelivery) -> None:
        entered.append(held)
        await run.execute(held)

    task = run.held.begin(execute, copy_context())
    run.held.interrupt()
    run.held.cancel()
    asyncio.get_running_loop().call_soon(run.may_end.set)
    await task
    assert entered == [run.held]
    assert run.cancelled


async def test_what_is_cancelled_is_cancelled_once(run: Run) -> None:
    held = await run.after(run.held.cancel, run.held.cancel)
    assert (held.stop, run.cancelled) == (Stop.CANCELLED, 1)


async def test_what_is_interrupted_can_be_cancelled_and_stays_that(run: Run) -> None:
    held = await run.after(run.held.interrupt, run.held.cancel, run.held.interrupt)
    assert (held.stop, run.cancelled) == (Stop.CANCELLED, 3)


@pytest.mark.parametrize("moves", [["decide"], ["hand_over"], ["decide", "hand_over"]])
async def test_what_is_decided_can_be_interrupted_but_not_cancelled(run: Run, moves: list[str]) -> None:
    held = await run.after(*(getattr(run.held, move) for move in moves), run.held.cancel)
    assert (held.stop, run.cancelled) == (None, 0)
    run = Run()
    held = await run.after(*(getattr(run.held, move) for move in moves), run.held.interrupt)
    assert (held.stop, run.cancelled) == (Stop.INTERRUPTED, 1)


async def test_a_stop_of_what_has_ended_or_never_began_is_nothing(run: Run) -> None:
    run.held.interrupt()
    run.held.cancel()
    await asyncio.sleep(0)
    assert run.held.phase == "waiting"
    ended = Run()
    await ended.after()
    ended.held.cancel()
    ended.held.interrupt()
    await asyncio.sleep(0)
    assert ended.cancelled == 0


def test_it_can_be_asked_about_before_it_starts(run: Run) -> None:
    assert not run.held.delivery.may_be_revoked
    run.held.ask_before_start()
    assert run.held.delivery.may_be_revoked
