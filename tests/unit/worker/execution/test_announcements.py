"""Signals of a run: which, in which order, at which moment, and at nobody's cost."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    CancelExecution,
    Huey,
    MemoryHuey,
    RateLimitExceeded,
    RedisHuey,
    RetryTask,
    TaskLockedException,
    TaskRun,
)
from aqueue.core.ids import kind_key, new_token
from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.signals import SIGNAL_COMPLETE, SIGNAL_ERROR, SIGNAL_EXECUTING, SIGNALS

from ....tour.running import running
from ...facts import until
from ..bench import LEASE_MS, Bench

if TYPE_CHECKING:
    from collections.abc import Callable


def note(huey: Huey) -> list[str]:
    """The signals that are sent from now on."""
    seen: list[str] = []
    huey.signal()(lambda signal, *_: seen.append(signal))
    return seen


async def work_off(bench: Bench) -> None:
    """Run what is ready until nothing is."""
    async with bench.serving():
        while deliveries := await bench.pull():
            bench.dispatcher.start(deliveries)
            await until(lambda: not bench.dispatcher.is_busy)
            await bench.settler.wait_until_below(1)


# -- which, and in which order


def succeed() -> int:
    return 5


def fail() -> None:
    raise ValueError("no")


def cancel() -> None:
    raise CancelExecution


def cancel_and_retry() -> None:
    raise CancelExecution(retry=True)


async def hang() -> None:
    await asyncio.Event().wait()


def once(error: Exception) -> Callable[[], None]:
    """A body that raises `error` the first time."""
    errors = [error]

    def body() -> None:
        if errors:
            raise errors.pop()

    return body


@pytest.mark.parametrize(
    ("body", "options", "signals"),
    [
        (succeed, {}, "executing complete"),
        (fail, {}, "executing error"),
        (fail, {"retries": 1}, "executing error retrying enqueued executing error"),
        (once(TaskLockedException("no")), {}, "executing locked"),
        (once(TaskLockedException("no", 60)), {"retries": 1}, "executing locked retrying scheduled"),
        (once(RateLimitExceeded("key", 60)), {}, "executing rate-limited retrying scheduled"),
        (once(RateLimitExceeded("key", 60, retry=False)), {}, "executing rate-limited"),
        (fail, {"retries": 1, "retry_delay": 60}, "executing error retrying scheduled"),
        (cancel, {}, "executing canceled"),
        (once(CancelExecution(retry=True)), {}, "executing canceled retrying enqueued executing complete"),
        (once(RetryTask()), {}, "executing retrying enqueued executing complete"),
        (once(RetryTask(delay=60)), {}, "executing retrying scheduled"),
        (once(RetryTask(eta=datetime(2100, 1, 1))), {}, "executing retrying scheduled"),
        (hang, {"timeout": 0.001}, "executing timeout"),
        (hang, {"timeout": 0.001, "retries": 1, "retry_delay": 9}, "executing timeout retrying scheduled"),
        (lambda: object(), {}, "executing error"),
        (succeed, {"expires": datetime(1990, 1, 1)}, "expired"),
    ],
)
async def test_signals_come_in_hueys_order(
    bench: Bench, body: Callable[[], Any], options: dict[str, Any], signals: str
) -> None:
    seen = note(bench.huey)
    await bench.push(bench.huey.task(name="body", **options)(body))
    await work_off(bench)
    assert " ".join(seen) == signals


async def test_a_task_that_a_hook_cancels_is_executing_and_then_canceled(bench: Bench) -> None:
    seen = note(bench.huey)
    bench.huey.pre_execute("no")(lambda _: cancel())
    await bench.push(bench.huey.task(name="body")(succeed))
    await work_off(bench)
    assert seen == ["executing", "canceled"]


async def test_a_revoked_task_is_revoked_and_nothing_else(bench: Bench) -> None:
    seen = note(bench.huey)
    task = bench.huey.task(name="body")(succeed)
    await bench.storage.revoke(kind_key("body"), 0, once=False, keep_ms=0)
    await bench.push(task)
    await work_off(bench)
    assert seen == ["revoked"]


async def test_arguments_that_do_not_fit_are_an_error(bench: Bench) -> None:
    seen = note(bench.huey)
    bench.huey.task(name="body")(succeed)
    await bench.storage.push([Envelope("misfit", b'["body","",[1]]')])
    await work_off(bench)
    assert seen == ["executing", "error"]


async def test_what_names_no_task_has_no_signal(bench: Bench) -> None:
    seen = note(bench.huey)
    await bench.storage.push([Envelope("garbage", b"garbage"), Envelope("unknown", b'["unheard-of"]')])
    await work_off(bench)
    assert seen == []


async def test_a_task_that_keeps_killing_its_workers_is_an_error() -> None:
    bench = Bench(max_crashes=2)
    seen = []
    bench.huey.signal()(lambda signal, task, *rest: seen.append((signal, task.id, *map(str, rest))))
    await bench.push(bench.huey.task(name="body")(succeed), id="killer")
    await bench.crash(times=2)
    async with bench.serving():
        bench.dispatcher.start(await bench.intake.reclaim(100))
        await until(lambda: not bench.dispatcher.is_busy)
        await bench.settler.wait_until_below(1)
    assert seen == [("error", "killer", "2 workers ended while running it")]


async def test_a_task_that_is_cancelled_while_it_runs_is_canceled(bench: Bench) -> None:
    seen = note(bench.huey)
    task_id = await bench.push(bench.huey.task(name="body", retries=1)(hang))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: seen)
        bench.dispatcher.cancel(task_id)
        await bench.dispatcher.wait_until_idle()
    assert seen == ["executing", "canceled"]


# -- what its receivers get


async def test_only_an_error_has_an_argument_and_it_is_the_exception(bench: Bench) -> None:
    seen = []

    @bench.huey.signal()
    def receive(signal: str, task: TaskRun, *arguments: Any) -> None:
        seen.append((signal, task.args, task.attempt, task.retries, *map(repr, arguments)))

    @bench.huey.task(name="body", retries=1)
    async def body(number: int) -> None:
        raise ValueError(number)

    await bench.push(body, 7)
    await work_off(bench)
    assert seen == [
        ("executing", (7,), 1, 1),
        ("error", (7,), 1, 1, "ValueError(7)"),
        ("retrying", (7,), 1, 1),
        ("enqueued", (7,), 1, 1),
        ("executing", (7,), 2, 0),
        ("error", (7,), 2, 0, "ValueError(7)"),
    ]


@pytest.mark.parametrize(
    ("body", "options", "at_the_end"),
    [(succeed, {}, "complete"), (fail, {}, "error"), (cancel, {}, "canceled"), (fail, {"retries": 1}, "retrying")],
)
async def test_a_verdict_is_told_when_the_store_has_it_and_a_retry_before_it_begins(
    bench: Bench, body: Callable[[], Any], options: dict[str, Any], at_the_end: str
) -> None:
    states = {}

    @bench.huey.signal()
    async def look(signal: str, task: TaskRun, *_: Any) -> None:
        states[signal] = await bench.state(task.id)

    @bench.huey.post_execute()
    async def after(task: TaskRun, *_: Any) -> None:
        assert at_the_end not in states, "hooks come first"

    await bench.push(bench.huey.task(name="body", retry_delay=60, **options)(body))
    await work_off(bench)
    verdicts = {"complete": State.DONE, "error": State.FAILED, "canceled": State.CANCELLED, "retrying": State.RUNNING}
    assert states["executing"] is State.RUNNING
    assert states[at_the_end] is verdicts[at_the_end]


async def test_a_verdict_that_came_too_late_is_not_told(bench: Bench) -> None:
    seen = note(bench.huey)
    may_end = asyncio.Event()

    @bench.huey.task
    async def late() -> None:
        await may_end.wait()

    task_id = await bench.push(late)
    async with bench.serving():
        [delivery] = await bench.pull()
        bench.dispatcher.start([delivery])
        await until(lambda: seen)
        await bench.honest("other").reclaim(0)
        bench.clock.advance(LEASE_MS / 1000)
        [taken] = await bench.honest("other").reclaim(1)
        await bench.storage.settle([Settlement(taken.receipt, task_id, State.DONE, b"7", 60_000)])
        may_end.set()
        await bench.dispatcher.wait_until_idle()
    assert seen == ["executing"]


# -- interrupted


async def test_a_task_that_is_given_back_is_interrupted(bench: Bench) -> None:
    seen = []

    @bench.huey.signal()
    async def look(signal: str, task: TaskRun, *_: Any) -> None:
        seen.append((signal, await bench.state(task.id)))

    await bench.push(bench.huey.task(name="body")(hang))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: seen)
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
    assert seen == [("executing", State.RUNNING), ("interrupted", State.QUEUED)]


async def test_an_interruption_while_a_receiver_is_called_gives_the_task_back(bench: Bench) -> None:
    waiting = asyncio.Event()

    @bench.huey.signal(SIGNAL_EXECUTING)
    async def patient(*_: Any) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task_id = await bench.push(bench.huey.task(name="body")(succeed))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await waiting.wait()
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.QUEUED


async def test_an_interruption_while_receivers_are_told_does_not_lose_the_retry(bench: Bench) -> None:
    waiting = asyncio.Event()

    @bench.huey.signal(SIGNAL_ERROR)
    async def patient(*_: Any) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task_id = await bench.push(bench.huey.task(name="body", retries=1, retry_delay=60)(fail))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await waiting.wait()
        bench.dispatcher.interrupt_all()
        await bench.dispatcher.wait_until_idle()
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.RETRYING


# -- at nobody's cost


async def test_a_slow_receiver_holds_up_no_other_task(bench: Bench) -> None:
    may_go_on = asyncio.Event()
    done = []

    @bench.huey.signal(SIGNAL_COMPLETE)
    async def slow(signal: str, task: TaskRun) -> None:
        if task.id == "first":
            await may_go_on.wait()
        done.append(task.id)

    body = bench.huey.task(name="body")(succeed)
    await bench.push(body, id="first")
    await bench.push(body, id="second")
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: done)
        assert done == ["second"]
        may_go_on.set()
        await bench.dispatcher.wait_until_idle()
    assert done == ["second", "first"]


async def test_receivers_that_fail_change_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    @bench.huey.signal()
    def broken(*_: Any) -> None:
        raise SystemExit

    task_id = await bench.push(bench.huey.task(name="body")(succeed))
    await work_off(bench)
    assert await bench.state(task_id) is State.DONE
    told = [record.getMessage().rpartition(" of ")[2] for record in caplog.records]
    assert told == [f"the signal {signal!r} failed" for signal in ("executing", "complete")]


async def test_a_task_whose_end_nobody_asked_for_does_not_wait_for_the_store(bench: Bench) -> None:
    bench.huey.signal(*(signal for signal in SIGNALS if signal != SIGNAL_COMPLETE))(lambda *_: None)
    bench.storage.may_settle.clear()
    task_id = await bench.push(bench.huey.task(name="body")(succeed))
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(lambda: not bench.dispatcher.is_busy)
        assert await bench.state(task_id) is State.RUNNING
        bench.storage.may_settle.set()
        await bench.settler.wait_until_below(1)
    assert await bench.state(task_id) is State.DONE


# -- from the first to the last


@pytest.mark.parametrize("store", ["memory", "redis"])
async def test_one_process_sees_the_whole_life_of_a_task(store: str, redis_url: str) -> None:
    name = f"test-{new_token()}"
    huey = MemoryHuey(name) if store == "memory" else RedisHuey(name, url=redis_url)
    seen = note(huey)
    tried = []

    @huey.task(retries=1)
    async def second_try() -> str:
        tried.append("run")
        if len(tried) == 1:
            raise ValueError
        return "done"

    async with huey:
        result = await second_try.enqueue()
        async with running(huey):
            assert await result.get(timeout=30) == "done"
            await until(lambda: SIGNAL_COMPLETE in seen)
    assert seen == ["enqueued", "executing", "error", "retrying", "enqueued", "executing", "complete"]


async def test_what_an_interrupted_worker_leaves_is_told_before_it_ends() -> None:
    huey = MemoryHuey("shop")
    seen = note(huey)
    body = huey.task(name="body")(hang)
    async with huey:
        result = await body.enqueue()
        async with running(huey) as worker:
            await until(lambda: SIGNAL_EXECUTING in seen)
            await worker.interrupt()
        assert await result.status() is State.QUEUED
        assert seen == ["enqueued", "executing", "interrupted"]
