"""Pulling: what fits, while it is wanted, and never what may belong to someone else by now."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from aqueue import QueueUnavailable
from aqueue.core.lifecycle import State
from aqueue.worker.services.fetcher import LARGEST_PULL, Fetcher

from ...facts import until
from ..bench import LEASE_MS, Bench
from ..execution.test_dispatcher import Stage, push_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from aqueue.storage.protocol import Promotion

LEASE = LEASE_MS / 1000


def fetcher_of(bench: Bench, burst: bool = False, most: int | None = None) -> Fetcher:
    slots = bench.runner.slots
    return Fetcher(
        bench.storage,
        bench.intake,
        bench.dispatcher,
        bench.loader,
        bench.settler,
        bench.clock,
        slots,
        burst,
        most,
    )


@pytest.fixture
def fetcher(bench: Bench) -> Fetcher:
    return fetcher_of(bench)


@pytest.fixture
def stage(bench: Bench) -> Stage:
    return Stage(bench)


async def test_it_pulls_what_the_free_slots_can_start() -> None:
    bench = Bench(concurrency=3)
    stage = Stage(bench)
    await push_all(bench, stage, "abcdef")
    async with bench.serving(fetcher_of(bench).run()):
        await until(lambda: set(stage.running) == set("abc"))
        assert bench.storage.pulled == [3], "full: it does not ask"
        assert await bench.state("d") is State.QUEUED
        stage.end("b")
        await until(lambda: set(stage.running) == set("acd"))
        stage.end("a", "c")
        await until(lambda: set(stage.running) == set("def"))
        assert all(1 <= limit <= 2 for limit in bench.storage.pulled[1:])
        stage.end(*"def")
        await bench.dispatcher.wait_until_idle()


async def test_it_ends_when_so_many_tasks_were_started() -> None:
    bench = Bench(concurrency=2)
    stage = Stage(bench)
    await push_all(bench, stage, "abcdef")
    fetching = asyncio.create_task(fetcher_of(bench, most=3).run())
    await until(lambda: set(stage.running) == set("ab"))
    stage.end("a")
    await until(lambda: set(stage.running) == set("bc"))
    # It does not wait for what it has started: whoever stops it does.
    stage.end("b")
    await fetching
    assert stage.running == ["c"]
    assert bench.storage.pulled == [2, 1]
    assert [await bench.state(name) for name in "def"] == [State.QUEUED] * 3
    stage.end("c")
    await bench.dispatcher.wait_until_idle()


async def test_a_new_task_wakes_it(bench: Bench, fetcher: Fetcher, stage: Stage) -> None:
    async with bench.serving(fetcher.run()):
        await bench.clock.wait_for_waiters()
        await push_all(bench, stage, "a")
        await until(lambda: stage.running == ["a"])
        stage.end("a")
        await until(lambda: not bench.dispatcher.is_busy)


async def test_an_idle_worker_asks_once_in_five_seconds(bench: Bench, fetcher: Fetcher) -> None:
    async with bench.serving(fetcher.run()):
        for asked in (1, 2, 3):
            await bench.clock.wait_for_waiters()
            assert len(bench.storage.pulled) == asked
            bench.clock.advance(5)


async def test_a_pull_has_a_largest_size() -> None:
    bench = Bench(concurrency=100_000)
    async with bench.serving(fetcher_of(bench).run()):
        await bench.clock.wait_for_waiters()
    assert bench.storage.pulled == [LARGEST_PULL]


async def test_it_asks_for_no_more_plain_tasks_than_fit(bench: Bench) -> None:
    may_end = threading.Event()

    @bench.huey.task
    def busy() -> bool:
        return may_end.wait(20)

    ids = [await bench.push(busy) for _ in range(40)]
    async with bench.serving(fetcher_of(bench).run()):
        # Four run, four wait, and two of the ten went back.
        await until(lambda: bench.dispatcher.running == 8)
        # It goes on to look whether there is anything behind them that needs no thread.
        await until(lambda: bench.storage.pulled[1:2] == [2] and bench.dispatcher.running == 8)
        may_end.set()
        await until(lambda: bench.storage.settled and not bench.dispatcher.is_busy and not bench.settler.backlog)
        returned = [each for batch in bench.storage.settled for each in batch if each.state is State.QUEUED]
        assert 4 <= len(returned) <= 8
    assert [await bench.state(task_id) for task_id in ids] == [State.DONE] * 40


async def test_plain_tasks_that_fill_the_line_do_not_keep_others_from_running() -> None:
    bench = Bench(concurrency=20)
    may_end = threading.Event()

    @bench.huey.task
    def busy() -> bool:
        return may_end.wait(20)

    @bench.huey.task
    async def quick() -> None: ...

    for _ in range(60):
        await bench.push(busy)
    last = await bench.push(quick)
    async with bench.serving(fetcher_of(bench).run()):
        async with asyncio.timeout(20):
            while await bench.state(last) is not State.DONE:
                await bench.dispatcher.next_move()
        assert not may_end.is_set()
        may_end.set()
        await until(lambda: not bench.dispatcher.is_busy)


async def test_what_was_turned_away_does_not_count_as_started() -> None:
    bench = Bench(concurrency=20)
    may_end = threading.Event()

    @bench.huey.task
    def busy() -> bool:
        return may_end.wait(20)

    ids = [await bench.push(busy) for _ in range(20)]
    async with bench.serving():
        fetching = asyncio.create_task(fetcher_of(bench, most=12).run())
        await until(lambda: bench.dispatcher.running == 8)
        may_end.set()
        await fetching
        await until(lambda: not bench.dispatcher.is_busy and not bench.settler.backlog)
    assert [await bench.state(task_id) for task_id in ids].count(State.DONE) == 12


async def test_it_waits_while_too_many_verdicts_wait_for_the_store(
    bench: Bench, stage: Stage, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.worker.services.fetcher._MOST_UNSETTLED", 2)
    bench.storage.may_settle.clear()
    stage.end("a", "b", "c")
    await push_all(bench, stage, "ab")
    async with bench.serving(fetcher.run()):
        await until(lambda: bench.settler.backlog == 2)
        pulled = len(bench.storage.pulled)
        await push_all(bench, stage, "c")
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(bench.storage.pulled) <= pulled + 1
        bench.storage.may_settle.set()
        await until(lambda: bench.settler.backlog == 0 and "c" in stage.order)


# -- stopping


async def test_stopping_ends_a_pull_that_waits(bench: Bench, fetcher: Fetcher) -> None:
    running = asyncio.create_task(fetcher.run())
    await bench.clock.wait_for_waiters()
    await fetcher.stop()
    await running
    assert bench.storage.pulled == [10]


async def test_stopping_ends_a_wait_for_a_slot() -> None:
    bench = Bench(concurrency=1)
    stage = Stage(bench)
    fetcher = fetcher_of(bench)
    await push_all(bench, stage, "ab")
    async with bench.serving():
        running = asyncio.create_task(fetcher.run())
        await until(lambda: stage.running)
        await fetcher.stop()
        await running
        assert await bench.state("b") is State.QUEUED
        stage.end("a")
        await bench.dispatcher.wait_until_idle()


async def test_what_a_pull_is_given_while_it_is_stopped_goes_back(bench: Bench, fetcher: Fetcher, stage: Stage) -> None:
    await push_all(bench, stage, "ab")
    bench.storage.after_pull = fetcher._stopped.set
    async with bench.serving():
        await fetcher.run()
        await bench.settler.wait_until_below(1)
    assert stage.order == []
    assert [await bench.state(name) for name in "ab"] == [State.QUEUED] * 2
    assert bench.held == {}


async def test_stopping_while_the_store_is_down_does_not_wait_for_it(bench: Bench, fetcher: Fetcher) -> None:
    bench.storage.is_down = True
    running = asyncio.create_task(fetcher.run())
    await bench.clock.wait_for_waiters()
    await fetcher.stop()
    await running


# -- what may have got lost, or been lost


async def test_an_outage_is_outlived(bench: Bench, fetcher: Fetcher, stage: Stage) -> None:
    bench.storage.is_down = True
    await push_all(bench, stage, "a")
    async with bench.serving(fetcher.run()):
        for _ in range(3):
            await bench.clock.wait_for_waiters()
            bench.clock.advance(0.5)
        await bench.clock.wait_for_waiters()
        assert stage.order == []
        bench.storage.is_down = False
        bench.clock.advance(0.5)
        await until(lambda: stage.running)
        stage.end("a")
        await until(lambda: not bench.dispatcher.is_busy)


async def test_tasks_whose_reply_was_lost_are_adopted(bench: Bench, fetcher: Fetcher, stage: Stage) -> None:
    bench.storage.loses_replies = True
    await push_all(bench, stage, "ab")
    async with bench.serving(fetcher.run()):
        await bench.clock.wait_for_waiters()
        assert [await bench.state(name) for name in "ab"] == [State.RUNNING] * 2
        assert stage.order == [], "they are lent to this worker, which does not know"
        bench.storage.loses_replies = False
        bench.clock.advance(0.5)
        await until(lambda: set(stage.running) == {"a", "b"})
        stage.end("a", "b")
        await bench.dispatcher.wait_until_idle()
    assert sorted(stage.order) == ["a", "b"]


async def test_what_runs_already_is_not_adopted(bench: Bench, fetcher: Fetcher, stage: Stage) -> None:
    await push_all(bench, stage, "a")
    async with bench.serving(fetcher.run()):
        await until(lambda: stage.running)
        bench.storage.is_down = True
        await push_all(bench, stage, "b")
        for _ in range(4):
            await bench.clock.wait_for_waiters()
            bench.clock.advance(5)
        bench.storage.is_down = False
        await bench.clock.wait_for_waiters()
        bench.clock.advance(5)
        await until(lambda: bench.storage.adopted)
        await bench.clock.wait_for_waiters()
        stage.end("a", "b")
        await until(lambda: not bench.dispatcher.is_busy)
    assert sorted(stage.order) == ["a", "b"]


def freeze_during_the_next_pull(bench: Bench, also: Callable[[], object] = lambda: None) -> None:
    """As if the process were suspended for a lease, after the store had sent its reply."""

    def freeze() -> None:
        bench.storage.after_pull = lambda: None
        bench.clock.advance(LEASE)
        also()

    bench.storage.after_pull = freeze


async def test_after_a_freeze_what_still_is_ours_is_run_once(bench: Bench, fetcher: Fetcher, stage: Stage) -> None:
    await push_all(bench, stage, "ab")
    freeze_during_the_next_pull(bench)
    async with bench.serving(fetcher.run()):
        await until(lambda: len(stage.running) == 2)
        assert bench.storage.adopted == 1
        stage.end("a", "b")
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert sorted(stage.order) == ["a", "b"]
    assert await bench.state("a") is State.DONE


async def test_after_a_freeze_what_someone_else_took_over_is_not_run(
    bench: Bench, fetcher: Fetcher, stage: Stage
) -> None:
    await push_all(bench, stage, "ab")
    other = bench.honest("other")
    await other.reclaim(0)

    def take_over() -> None:
        for task in list(bench.storage._lent.values()):
            other._lend(task)

    freeze_during_the_next_pull(bench, take_over)
    async with bench.serving(fetcher.run()):
        await until(lambda: bench.storage.adopted)
        await bench.clock.wait_for_waiters()
    assert stage.order == []
    assert bench.held == {}


# -- in a burst


async def test_a_burst_ends_when_nothing_is_left(bench: Bench, stage: Stage) -> None:
    await push_all(bench, stage, "abc")
    stage.end(*"abc")
    async with bench.serving():
        running = asyncio.create_task(fetcher_of(bench, burst=True).run())
        await until(lambda: len(stage.order) == 3 and not bench.dispatcher.is_busy and not bench.settler.backlog)
        await bench.clock.wait_for_waiters()
        bench.clock.advance(0.1)
        await running
    assert [await bench.state(name) for name in "abc"] == [State.DONE] * 3


async def test_a_burst_waits_out_an_outage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    promote, answers = bench.storage.promote, iter([QueueUnavailable("the store is down")])

    async def promote_later(limit: int) -> Promotion:
        for error in answers:
            raise error
        return await promote(limit)

    monkeypatch.setattr(bench.storage, "promote", promote_later)
    async with bench.serving():
        running = asyncio.create_task(fetcher_of(bench, burst=True).run())
        for _ in range(2):
            await bench.clock.wait_for_waiters()
            assert not running.done()
            bench.clock.advance(0.1)
        await running
    assert next(answers, None) is None


async def test_a_burst_waits_for_what_runs(bench: Bench, stage: Stage) -> None:
    await push_all(bench, stage, "a")
    async with bench.serving():
        running = asyncio.create_task(fetcher_of(bench, burst=True).run())
        for _ in range(5):
            await bench.clock.wait_for_waiters()
            bench.clock.advance(0.1)
        assert not running.done()
        stage.end("a")
        await until(lambda: not bench.dispatcher.is_busy and not bench.settler.backlog)
        await bench.clock.wait_for_waiters()
        bench.clock.advance(0.1)
        await running


async def test_a_burst_takes_what_is_due_along_and_leaves_what_is_not(bench: Bench, stage: Stage) -> None:
    await bench.push(stage.act, "due", id="due", delay=1)
    await bench.push(stage.act, "later", id="later", delay=3600)
    bench.clock.advance(1)
    stage.end("due", "later")
    async with bench.serving():
        running = asyncio.create_task(fetcher_of(bench, burst=True).run())
        for _ in range(2):
            await bench.clock.wait_for_waiters()
            bench.clock.advance(0.1)
        await running
    assert [await bench.state(name) for name in ("due", "later")] == [State.DONE, State.SCHEDULED]
