"""Settling: in batches, in order, and until the store has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.core.patience import FREIGHT_BYTES
from aqueue.worker.execution.held import HeldDelivery
from aqueue.worker.execution.settler import LARGEST_BATCH

from ...facts import until

if TYPE_CHECKING:
    import pytest

    from ..bench import Bench


async def lent(bench: Bench, count: int) -> list[Settlement]:
    """The verdicts of `count` tasks that this worker holds."""
    await bench.storage.push([Envelope(f"t{number}", b"") for number in range(count)])
    deliveries = await bench.pull(count)
    bench.held.update({delivery.receipt: HeldDelivery(delivery) for delivery in deliveries})
    return [Settlement(delivery.receipt, delivery.id, State.DONE, b"5", 60_000) for delivery in deliveries]


async def test_what_is_settled_is_not_held_any_more(bench: Bench) -> None:
    [settlement] = await lent(bench, 1)
    async with bench.serving():
        assert await bench.settler.settle(settlement) is True
        assert (bench.held, bench.settler.backlog) == ({}, 0)
    assert await bench.state("t0") is State.DONE


async def test_many_verdicts_are_few_batches_in_order(bench: Bench) -> None:
    settlements = await lent(bench, 1_200)
    for settlement in settlements:
        bench.settler.put(settlement)
    assert bench.settler.backlog == 1_200
    async with bench.serving():
        await bench.settler.wait_until_below(1)
    assert [len(batch) for batch in bench.storage.settled] == [LARGEST_BATCH, LARGEST_BATCH, 200]
    assert [settlement for batch in bench.storage.settled for settlement in batch] == settlements


async def test_what_arrives_while_a_batch_is_under_way_is_the_next_one(bench: Bench) -> None:
    first, *others = await lent(bench, 100)
    bench.storage.may_settle.clear()
    async with bench.serving():
        bench.settler.put(first)
        await until(lambda: bench.storage.settled)
        for settlement in others:
            bench.settler.put(settlement)
        bench.storage.may_settle.set()
        await bench.settler.wait_until_below(1)
    assert [len(batch) for batch in bench.storage.settled] == [1, 99]


async def test_an_outage_is_waited_out(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    settlements = await lent(bench, 3)
    bench.storage.is_down = True
    for settlement in settlements:
        bench.settler.put(settlement)
    async with bench.serving():
        for _ in range(5):
            await bench.clock.wait_for_waiters()
            assert bench.settler.backlog == 3
            assert len(bench.held) == 3, "their leases must be renewed meanwhile"
            bench.clock.advance(1)
        await bench.clock.wait_for_waiters()
        bench.storage.is_down = False
        bench.clock.advance(1)
        await bench.settler.wait_until_below(1)
    assert [await bench.state(f"t{number}") for number in range(3)] == [State.DONE] * 3
    assert bench.held == {}
    assert "3 verdicts wait for the store: the store is down" in caplog.text


async def test_a_verdict_that_came_too_late_is_told_and_changes_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    late, timely = await lent(bench, 2)
    await bench.storage.settle([late._replace(result=b"7")])
    async with bench.serving():
        assert await asyncio.gather(bench.settler.settle(late), bench.settler.settle(timely)) == [False, True]
    assert bench.held == {}
    [record] = await bench.storage.records(["t0"])
    assert record is not None
    assert record.result == b"7"
    [message] = [entry.getMessage() for entry in caplog.records]
    assert message.startswith("Task t0: done changes nothing, the task is not ours any more")


async def test_a_caller_that_gives_up_disturbs_nobody(bench: Bench) -> None:
    settlements = await lent(bench, 3)
    bench.storage.may_settle.clear()
    async with bench.serving():
        callers = [asyncio.create_task(bench.settler.settle(settlement)) for settlement in settlements]
        await until(lambda: bench.storage.settled)
        callers[1].cancel()
        await asyncio.wait([callers[1]])
        bench.storage.may_settle.set()
        assert [await callers[0], await callers[2]] == [True, True]
    assert await bench.state("t1") is State.DONE


async def test_one_can_wait_for_a_backlog_to_shrink(bench: Bench) -> None:
    bench.storage.may_settle.clear()
    for settlement in await lent(bench, 10):
        bench.settler.put(settlement)
    async with bench.serving():
        await bench.settler.wait_until_below(11)
        waiting = asyncio.create_task(bench.settler.wait_until_below(10))
        await until(lambda: bench.storage.settled)
        assert not waiting.done()
        bench.storage.may_settle.set()
        await waiting


async def test_a_large_result_delays_no_other_verdict(bench: Bench) -> None:
    large, *small = await lent(bench, 4)
    large = large._replace(result=bytes(FREIGHT_BYTES + 1))
    bench.storage.slow = {large.id}
    bench.storage.may_settle.clear()
    async with bench.serving():
        bench.settler.put(large)
        assert [await bench.settler.settle(each) for each in small] == [True] * 3
        assert bench.settler.backlog == 1
        bench.storage.may_settle.set()
        await bench.settler.wait_until_below(1)
    assert await bench.state("t0") is State.DONE


async def test_results_leave_in_flights_that_are_bounded_in_bytes(bench: Bench) -> None:
    result = bytes(FREIGHT_BYTES)
    for settlement in await lent(bench, 10):
        bench.settler.put(settlement._replace(result=result))
    async with bench.serving():
        await bench.settler.wait_until_below(1)
    assert [len(batch) for batch in bench.storage.settled] == [4, 4, 2]


async def test_one_verdict_that_the_store_never_takes_holds_up_no_other(bench: Bench) -> None:
    settlements = await lent(bench, 8)
    bench.storage.refused = {"t3"}
    for settlement in settlements:
        bench.settler.put(settlement)
    async with bench.serving():
        while bench.settler.backlog > 1:
            await bench.clock.wait_for_waiters()
            bench.clock.advance(1)
        await bench.clock.wait_for_waiters()
        assert await bench.state("t3") is not State.DONE
        bench.storage.refused = set()
        bench.clock.advance(1)
        await bench.settler.wait_until_below(1)
    assert [await bench.state(f"t{number}") for number in range(8)] == [State.DONE] * 8


async def test_a_settlement_that_is_under_way_is_waited_for(bench: Bench) -> None:
    [settlement] = await lent(bench, 1)
    bench.storage.may_settle.clear()
    async with bench.serving():
        bench.settler.put(settlement)
        await until(lambda: bench.storage.settled)
        finishing = asyncio.create_task(bench.settler.finish(0))
        await until(lambda: bench.settler._moved._waiters)
        assert not finishing.done()
        bench.storage.may_settle.set()
        assert await finishing
    assert await bench.state("t0") is State.DONE


async def test_an_outage_is_not_waited_for(bench: Bench) -> None:
    [settlement] = await lent(bench, 1)
    bench.storage.is_down = True
    async with bench.serving():
        bench.settler.put(settlement)
        finishing = asyncio.create_task(bench.settler.finish(0))
        await bench.clock.wait_for_waiters()
        bench.clock.advance(1_000)
        assert await finishing is False
