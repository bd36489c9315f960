"""Payloads that the store keeps back until the worker loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import State
from aqueue.core.patience import FLIGHT_BYTES

from ..facts import until
from .services.test_fetcher import fetcher_of

if TYPE_CHECKING:
    from aqueue import Task

    from .bench import Bench


@pytest.fixture
def measure(bench: Bench) -> Task[[str], int]:
    @bench.huey.task(name="measure")
    async def measure(text: str) -> int:
        return len(text)

    return measure


async def push(bench: Bench, measure: Task[[str], int], names: str, size: int = 20_000) -> None:
    """Push tasks with arguments of `size` characters, whose payloads are kept back."""
    for name in names:
        bench.storage.kept_back.add(await bench.push(measure, "x" * size, id=name))


async def test_a_payload_is_loaded_before_its_task_runs(bench: Bench, measure: Task[[str], int]) -> None:
    await push(bench, measure, "a")
    async with bench.serving():
        bench.storage.may_load.clear()
        bench.dispatcher.start(await bench.intake.pull(10, 0))
        await until(lambda: bench.storage.loads)
        assert (bench.dispatcher.running, len(bench.held)) == (1, 1), "its lease is renewed meanwhile"
        bench.storage.may_load.set()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    [record] = await bench.storage.records(["a"])
    assert record is not None
    assert record.result == b"20000"


async def test_a_task_whose_payload_cannot_be_loaded_is_given_back(
    bench: Bench, measure: Task[[str], int], caplog: pytest.LogCaptureFixture
) -> None:
    await push(bench, measure, "a")
    async with bench.serving():
        deliveries = await bench.intake.pull(10, 0)
        bench.storage.is_down = True
        bench.dispatcher.start(deliveries)
        await bench.dispatcher.wait_until_idle()
        assert "a is given back, its payload cannot be loaded: the store is down" in caplog.text
        assert bench.dispatcher.started == 0
        bench.storage.is_down = False
        await bench.clock.wait_for_waiters()
        bench.clock.advance(1)
        await bench.settler.wait_until_below(1)
        assert (await bench.state("a"), bench.held) == (State.QUEUED, {})


async def test_a_worker_that_ends_gives_back_what_it_loads(bench: Bench, measure: Task[[str], int]) -> None:
    await push(bench, measure, "a")
    async with bench.serving():
        bench.storage.may_load.clear()
        bench.dispatcher.start(await bench.intake.pull(10, 0))
        await until(lambda: bench.storage.loads)
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
        assert (await bench.state("a"), bench.held) == (State.QUEUED, {})


async def test_a_task_that_is_cancelled_while_it_is_loaded_does_not_run(
    bench: Bench, measure: Task[[str], int]
) -> None:
    await push(bench, measure, "a")
    async with bench.serving():
        bench.storage.may_load.clear()
        bench.dispatcher.start(await bench.intake.pull(10, 0))
        await until(lambda: bench.storage.loads)
        assert await bench.storage.cancel("a", b"", 60_000, "")
        bench.dispatcher.cancel("a")
        bench.storage.may_load.set()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state("a") is State.CANCELLED


async def test_a_worker_takes_no_more_large_payloads_than_its_line_carries(
    bench: Bench, measure: Task[[str], int]
) -> None:
    names = "abcdefgh"
    await push(bench, measure, names, FLIGHT_BYTES)
    bench.storage.may_load.clear()
    async with bench.serving(fetcher_of(bench).run()):
        await until(lambda: len(bench.held) == 4)
        assert [await bench.state(name) for name in names] == [State.RUNNING] * 4 + [State.QUEUED] * 4
        assert bench.storage.pulled == [10], "full: it does not ask, though it has slots"
        bench.storage.may_load.set()
        await until(lambda: bench.dispatcher.taken == len(names))
        assert bench.storage.pulled[1] == 1, "what comes next may be as large"
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
        bench.storage.kept_back.clear()
        for size in (2, 4, 8, 9):
            await bench.push(measure, "x")
            await until(lambda expected=size: bench.storage.pulled[-1] >= expected)
    assert [await bench.state(name) for name in names] == [State.DONE] * 8
