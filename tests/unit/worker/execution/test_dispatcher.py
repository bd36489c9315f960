"""From a delivery to its settlement: in slots, one suspect at a time, and given up or given back in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import CancelExecution, EncodeError, RateLimitExceeded, RetryTask, TaskLockedException
from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope

from ...facts import until
from ..bench import LEASE_MS, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from aqueue.core.message import Delivery


class Stage:
    """A task whose runs wait until they are let go."""

    def __init__(self, bench: Bench) -> None:
        self.running: list[str] = []
        self.most = 0
        self.order: list[str] = []
        self.may_end: dict[str, asyncio.Event] = {}

        @bench.huey.task(name="act")
        async def act(name: str) -> str:
            self.order.append(name)
            self.running.append(name)
            self.most = max(self.most, len(self.running))
            try:
                await self.may_end.setdefault(name, asyncio.Event()).wait()
            finally:
                self.running.remove(name)
            return name

        self.act = act

    def end(self, *names: str) -> None:
        for name in names:
            self.may_end.setdefault(name, asyncio.Event()).set()


async def push_all(bench: Bench, stage: Stage, names: str) -> None:
    for name in names:
        await bench.push(stage.act, name, id=name)


async def suspects(bench: Bench, crashes: int = 2) -> list[Delivery]:
    """All that is ready, after `crashes` workers that held it are gone."""
    await bench.crash(crashes)
    return await bench.intake.reclaim(100)


# -- slots


async def test_no_more_run_at_once_than_there_are_slots() -> None:
    bench = Bench(concurrency=3)
    stage = Stage(bench)
    await push_all(bench, stage, "abcdefgh")
    async with bench.serving():
        assert bench.dispatcher.free == 3
        bench.dispatcher.start(await bench.pull())
        await until(lambda: len(stage.running) == 3)
        assert (bench.dispatcher.running, bench.dispatcher.free, len(bench.held)) == (3, -5, 8)
        stage.end("b")
        await until(lambda: "d" in stage.running)
        stage.end(*"abcdefgh")
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert stage.most == 3
    assert stage.order == list("abcdefgh"), "in the order in which they were pulled"
    assert (bench.dispatcher.free, bench.dispatcher.started, bench.held) == (3, 8, {})
    assert [await bench.state(name) for name in "abcdefgh"] == [State.DONE] * 8


async def test_who_waits_for_a_move_is_woken_by_a_start_and_by_an_end(bench: Bench) -> None:
    stage = Stage(bench)
    await push_all(bench, stage, "a")
    async with bench.serving():
        waiting = asyncio.create_task(bench.dispatcher.next_move())
        await asyncio.sleep(0)
        bench.dispatcher.start(await bench.pull())
        await waiting
        waiting = asyncio.create_task(bench.dispatcher.next_move())
        await until(lambda: stage.running)
        assert not waiting.done()
        stage.end("a")
        await waiting


async def test_a_task_that_never_waits_is_settled_with_its_neighbours(bench: Bench) -> None:
    quick = bench.huey.task(name="quick")(_quick)
    for _ in range(5):
        await bench.push(quick)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert [len(batch) for batch in bench.storage.settled] == [5]


async def _quick() -> None: ...


async def test_runs_share_no_context_variables(bench: Bench) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="nothing")
    seen = []

    @bench.huey.task
    async def leave_a_trace(name: str) -> None:
        seen.append(variable.get())
        variable.set(name)
        await asyncio.sleep(0)
        seen.append(variable.get())

    for name in "ab":
        await bench.push(leave_a_trace, name)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await bench.dispatcher.wait_until_idle()
    assert sorted(seen) == ["a", "b", "nothing", "nothing"]
    assert variable.get() == "nothing"


# -- suspects


async def test_of_those_in_their_last_delivery_one_runs_at_a_time_beside_the_others(bench: Bench) -> None:
    stage = Stage(bench)
    await push_all(bench, stage, "abc")
    deliveries = await suspects(bench)
    await push_all(bench, stage, "xyz")
    async with bench.serving():
        bench.dispatcher.start(deliveries)
        bench.dispatcher.start(await bench.pull())
        for name in "abc":
            await until(lambda name=name: set(stage.running) == {name, *"xyz"})
            stage.end(name)
        stage.end(*"xyz")
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert [await bench.state(name) for name in "abc"] == [State.DONE] * 3


async def test_those_that_outlived_fewer_workers_run_beside_each_other(bench: Bench) -> None:
    stage = Stage(bench)
    await push_all(bench, stage, "abc")
    async with bench.serving():
        bench.dispatcher.start(await suspects(bench, crashes=1))
        assert not bench.dispatcher.has_suspect
        await until(lambda: set(stage.running) == set("abc"))
        stage.end(*"abc")
        await bench.dispatcher.wait_until_idle()


async def test_a_suspect_that_never_waits_lets_the_next_one_run(bench: Bench) -> None:
    quick = bench.huey.task(name="quick")(_quick)
    ids = [await bench.push(quick) for _ in range(3)]
    async with bench.serving():
        bench.dispatcher.start(await suspects(bench))
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
    assert [await bench.state(task_id) for task_id in ids] == [State.DONE] * 3


async def test_a_suspect_that_waits_for_others_lets_the_next_one_run(bench: Bench) -> None:
    stage = Stage(bench)
    await push_all(bench, stage, "ab")
    async with bench.serving():
        deliveries = await suspects(bench)
        bench.dispatcher.start(deliveries)
        await until(lambda: list(stage.running) == ["a"])
        bench.dispatcher.lend_slot(bench.held[deliveries[0].receipt])
        await until(lambda: set(stage.running) == {"a", "b"})
        bench.dispatcher.take_slot_back_at_once()
        stage.end("a", "b")
        await bench.dispatcher.wait_until_idle()


async def test_a_task_that_outlived_too_many_workers_is_dead() -> None:
    bench = Bench(max_crashes=1)
    stage = Stage(bench)
    await push_all(bench, stage, "a")
    async with bench.serving():
        bench.dispatcher.start(await suspects(bench, crashes=1))
        await until(lambda: bench.storage.settled)
        await bench.settler.wait_until_below(1)
    assert await bench.state("a") is State.DEAD
    assert stage.order == []


# -- lost


async def test_what_is_lost_is_stopped_and_changes_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(bench)
    await push_all(bench, stage, "a")
    async with bench.serving():
        [delivery] = await bench.pull()
        bench.dispatcher.start([delivery])
        await until(lambda: stage.running)
        await bench.honest("other").reclaim(0)
        bench.clock.advance(LEASE_MS / 1000)
        [taken] = await bench.honest("other").reclaim(1)
        bench.dispatcher.lose([delivery.receipt])
        assert bench.held == {}, "its lease is not ours to renew"
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
        assert stage.running == []
        assert await bench.state("a") is State.RUNNING, "the other one has it"
        await bench.storage.settle([Settlement(taken.receipt, "a", State.DONE, b"7", 60_000)])
    assert await bench.state("a") is State.DONE
    assert "is not ours any more: its lease ran out" in caplog.text


async def test_what_is_lost_before_it_has_a_slot_never_starts() -> None:
    bench = Bench(concurrency=1)
    stage = Stage(bench)
    await push_all(bench, stage, "abc")
    async with bench.serving():
        a, b, c = await bench.pull()
        bench.dispatcher.start([a, b, c])
        await until(lambda: stage.running)
        bench.dispatcher.lose([b.receipt, b.receipt])
        stage.end(*"abc")
        await bench.dispatcher.wait_until_idle()
    assert stage.order == ["a", "c"]


async def test_losing_what_has_ended_meanwhile_is_nothing(bench: Bench) -> None:
    stage = Stage(bench)
    await push_all(bench, stage, "a")
    stage.end("a")
    async with bench.serving():
        [delivery] = await bench.pull()
        bench.dispatcher.start([delivery])
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
        bench.dispatcher.lose([delivery.receipt])
    assert await bench.state("a") is State.DONE


# -- interrupted


async def test_what_is_interrupted_is_given_back_at_no_cost_to_it(bench: Bench) -> None:
    stage = Stage(bench)
    await push_all(bench, stage, "ab")
    async with bench.serving():
        before = {delivery.id: delivery for delivery in await bench.pull()}
        bench.dispatcher.start(before.values())
        await until(lambda: len(stage.running) == 2)
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert (stage.running, bench.held) == ([], {})
    assert [await bench.state(name) for name in "ab"] == [State.QUEUED] * 2
    for delivery in await bench.pull():
        assert (delivery.failures, delivery.receipt.count) == (0, 1), "it is no suspect, and spent no retry"
        assert delivery.fence > before[delivery.id].fence


async def test_what_waits_for_a_slot_is_given_back_too() -> None:
    bench = Bench(concurrency=1)
    stage = Stage(bench)
    await push_all(bench, stage, "abc")
    deliveries = await suspects(bench)
    await push_all(bench, stage, "xyz")
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        bench.dispatcher.start(deliveries)
        await until(lambda: stage.running)
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert [await bench.state(name) for name in "abcxyz"] == [State.QUEUED] * 6
    assert bench.held == {}


async def test_a_run_that_ends_well_in_spite_of_an_interruption_has_ended_well(bench: Bench) -> None:
    started = asyncio.Event()

    @bench.huey.task
    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done anyway"
        return ""

    task_id = await bench.push(stubborn)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await started.wait()
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.DONE


async def test_an_error_while_it_is_being_interrupted_is_no_failure(bench: Bench) -> None:
    started = asyncio.Event()

    @bench.huey.task
    async def clumsy() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    task_id = await bench.push(clumsy)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await started.wait()
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.QUEUED


async def test_an_interruption_during_a_hook_gives_the_task_back(bench: Bench) -> None:
    in_hook = asyncio.Event()

    @bench.huey.pre_execute()
    async def patient(task: Any) -> None:
        in_hook.set()
        await asyncio.Event().wait()

    task_id = await bench.push(bench.huey.task(name="quick")(_quick))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await in_hook.wait()
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.QUEUED


async def test_an_interruption_after_the_verdict_changes_nothing(bench: Bench) -> None:
    in_hook = asyncio.Event()

    @bench.huey.post_execute()
    async def patient(task: Any, value: Any, exception: Any) -> None:
        in_hook.set()
        await asyncio.Event().wait()

    task_id = await bench.push(bench.huey.task(name="quick")(_quick))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await in_hook.wait()
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
    assert await bench.state(task_id) is State.DONE


async def test_a_task_that_is_interrupted_before_its_first_step_is_given_back(bench: Bench) -> None:
    """Where tasks do not start eagerly, a run can be cancelled before it has begun."""
    stage = Stage(bench)
    await push_all(bench, stage, "a")
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state("a") is State.QUEUED
    assert bench.held == {}


# -- hooks


def fail() -> None:
    raise ValueError("no")


def cancel() -> None:
    raise CancelExecution("no")


def ask_again() -> None:
    raise RetryTask(delay=60)


@pytest.mark.parametrize(
    ("body", "options", "seen_state", "state", "exception"),
    [
        (lambda: 5, {}, State.DONE, State.DONE, None),
        (fail, {}, State.FAILED, State.FAILED, ValueError),
        (cancel, {}, State.CANCELLED, State.CANCELLED, CancelExecution),
        (lambda: object(), {}, State.FAILED, State.FAILED, EncodeError),
        (fail, {"retries": 1}, State.RUNNING, State.RETRYING, ValueError),
        (ask_again, {}, State.RUNNING, State.RETRYING, RetryTask),
    ],
)
async def test_a_post_execute_hook_sees_a_verdict_that_is_kept_and_a_retry_that_has_not_begun(
    bench: Bench,
    body: Callable[[], Any],
    options: dict[str, Any],
    seen_state: State,
    state: State,
    exception: type[Exception] | None,
) -> None:
    seen = []

    @bench.huey.post_execute()
    async def look(task: Any, value: Any, error: BaseException | None) -> None:
        seen.append((await bench.state(task.id), type(error)))

    task_id = await bench.push(bench.huey.task(name="body", **options)(body))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert seen == [(seen_state, exception or type(None))]
    assert await bench.state(task_id) is state


async def test_no_post_execute_hook_runs_for_a_task_that_is_given_back(bench: Bench) -> None:
    seen = []
    bench.huey.post_execute("note")(lambda task, *_: seen.append(task.id))
    stage = Stage(bench)
    await push_all(bench, stage, "a")
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: stage.running)
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state("a") is State.QUEUED
    assert seen == []


async def test_an_interruption_of_a_hook_does_not_lose_the_retry(bench: Bench) -> None:
    in_hook = asyncio.Event()

    @bench.huey.post_execute()
    async def patient(*_: Any) -> None:
        in_hook.set()
        await asyncio.Event().wait()

    task_id = await bench.push(bench.huey.task(name="body", retries=1, retry_delay=60)(fail))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await in_hook.wait()
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.RETRYING


async def test_no_post_execute_hook_runs_for_a_body_that_did_not(bench: Bench) -> None:
    seen = []
    bench.huey.post_execute("note")(lambda task, *_: seen.append(task.name))

    @bench.huey.pre_execute()
    def choosy(task: Any) -> None:
        if task.name == "unwanted":
            raise CancelExecution

    unwanted = bench.huey.task(name="unwanted")(_quick)
    quick = bench.huey.task(name="quick")(_quick)
    ids = [
        await bench.push(unwanted),
        await bench.push(quick, expires=datetime(1990, 1, 1)),
        "garbage",
        "unknown",
        "misfit",
    ]
    payloads = {"garbage": b"garbage", "unknown": b'["unheard-of"]', "misfit": b'["quick","",[1]]'}
    await bench.storage.push([Envelope(task_id, payload) for task_id, payload in payloads.items()])
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
    assert seen == []
    assert [await bench.state(task_id) for task_id in ids] == [
        State.CANCELLED,
        State.EXPIRED,
        State.DEAD,
        State.SCHEDULED,
        State.FAILED,
    ]


async def test_a_post_execute_hook_that_fails_does_not_change_the_verdict(bench: Bench) -> None:
    @bench.huey.post_execute()
    def broken(*_: Any) -> None:
        raise SystemExit

    task_id = await bench.push(bench.huey.task(name="quick")(_quick))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await bench.dispatcher.wait_until_idle()
    assert await bench.state(task_id) is State.DONE


async def test_no_post_execute_hook_runs_for_a_verdict_that_came_too_late(bench: Bench) -> None:
    seen = []
    bench.huey.post_execute("note")(lambda task, *_: seen.append(task.id))
    stage = Stage(bench)
    await push_all(bench, stage, "a")
    async with bench.serving():
        [delivery] = await bench.pull()
        bench.dispatcher.start([delivery])
        await until(lambda: stage.running)
        await bench.storage.settle([Settlement(delivery.receipt, "a", State.DONE, b"7", 60_000)])
        stage.end("a")
        await bench.dispatcher.wait_until_idle()
    assert seen == []


# -- what is told


async def test_each_end_but_a_good_one_is_told_in_one_line(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.push(bench.huey.task(name="good")(_quick), id="1")
    await bench.push(bench.huey.task(name="shop.fail")(fail), id="2")
    await bench.push(bench.huey.task(name="shop.again", retries=1)(fail), id="3")
    await bench.push(bench.huey.task(name="shop.cancel")(cancel), id="4")
    await bench.storage.push([Envelope("5", b'["shop.fial"]'), Envelope("6", b"garbage")])
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
    told = sorted(record.getMessage() for record in caplog.records)
    assert [line.split(" ")[1].strip(":") for line in told] == ["2", "3", "4", "5", "6"]
    assert told[0] == "Task 2 (shop.fail) failed"
    assert told[1] == "Task 3 (shop.again) will be retried: ValueError('no')"
    assert told[2].startswith("Task 4 (shop.cancel) is cancelled: CancelExecution(")
    assert told[3].startswith("Task 5: no task is named 'shop.fial' here; did you mean 'shop.fail'? It is kept, ")
    assert told[4] == "Task 6 () is dead: not a value of this codec: b'garbage' (7 bytes)"
    [failure] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert failure.exc_info is not None


@pytest.mark.parametrize("wish", [RetryTask(delay=60), RateLimitExceeded("key", 60), TaskLockedException("busy", 60)])
async def test_waiting_for_a_turn_is_no_reason_to_warn(
    bench: Bench, wish: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    @bench.huey.task(retries=1)
    async def wait_for_it() -> None:
        raise wish

    task_id = await bench.push(wait_for_it)
    with caplog.at_level(logging.INFO, "aqueue"):
        async with bench.serving():
            bench.dispatcher.start(await bench.pull())
            await until(lambda: not bench.dispatcher.is_busy)
            await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.RETRYING
    [line] = [record for record in caplog.records if task_id in record.getMessage()]
    assert line.levelname == "INFO"


class Evil(Exception):
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


@pytest.mark.parametrize(("retries", "state"), [(0, State.FAILED), (1, State.RETRYING)])
async def test_an_exception_that_cannot_be_shown_is_told_too(
    bench: Bench, retries: int, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    @bench.huey.task(retries=retries, retry_delay=60)
    async def evil() -> None:
        raise Evil

    task_id = await bench.push(evil)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is state
    assert "Evil" in caplog.text


# -- whatever happens, a delivery is settled or left to others, and its slot is free


ENDS = [GeneratorExit, KeyboardInterrupt, SystemExit, asyncio.CancelledError, StopIteration]


@pytest.mark.parametrize("kind", ["bare", "with a timeout", "in a context"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_body_that_raises_what_ends_programs_has_failed(
    bench: Bench, end: type[BaseException], kind: str
) -> None:
    async def at_once() -> None:
        raise end

    async def later() -> None:
        await asyncio.sleep(0)
        raise end

    def in_a_thread() -> None:
        raise end

    if kind == "in a context":
        declare: Callable[..., Any] = partial(bench.huey.context_task, contextlib.nullcontext)
    else:
        declare = partial(bench.huey.task, timeout=60 if kind == "with a timeout" else None)
    ids = [await bench.push(declare(name=body.__name__)(body)) for body in (at_once, later, in_a_thread)]
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
    assert [await bench.state(task_id) for task_id in ids] == [State.FAILED] * 3
    assert (bench.held, bench.dispatcher.free) == ({}, 10)


@pytest.mark.parametrize("kind", ["pre_execute", "post_execute"])
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("end", [GeneratorExit, asyncio.CancelledError])
async def test_a_hook_that_raises_what_ends_tasks_keeps_no_delivery_and_no_slot(
    bench: Bench, end: type[BaseException], retries: int, kind: str
) -> None:
    @getattr(bench.huey, kind)()
    def broken(*_: Any) -> None:
        raise end

    body = bench.huey.task(name="body", retries=retries, retry_delay=60, retry_on=BaseException)(fail)
    task_id = await bench.push(body)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is (State.RETRYING if retries else State.FAILED)
    assert (bench.held, bench.dispatcher.free) == ({}, 10)


async def test_a_future_that_closes_its_coroutines_leaves_the_task_to_another_worker(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    @bench.huey.task
    async def wait() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.get_loop().call_soon(future.set_exception, GeneratorExit())
        await future

    task_id = await bench.push(wait)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
    assert (bench.held, bench.dispatcher.free) == ({}, 10), "its lease lapses"
    assert await bench.state(task_id) is State.RUNNING
    assert f"Task {task_id} could not be brought to a verdict" in caplog.text


@pytest.mark.parametrize("fault", [LookupError, GeneratorExit])
async def test_a_fault_of_ours_leaves_the_task_to_another_worker(
    bench: Bench, fault: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(delivery: Delivery) -> Any:
        raise fault("our fault")

    monkeypatch.setattr(bench.dispatcher, "_run", broken)
    task_id = await bench.push(bench.huey.task(name="quick")(_quick))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
    assert bench.held == {}, "its lease lapses"
    assert bench.dispatcher.free == 10
    assert await bench.state(task_id) is State.RUNNING
    assert f"Task {task_id} could not be brought to a verdict" in caplog.text
