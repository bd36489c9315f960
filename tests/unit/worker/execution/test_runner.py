"""Running one delivery: whatever happens in it, an outcome comes back."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    CancelExecution,
    MemoryHuey,
    QueueUnavailable,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
    TaskRun,
    current_task,
)
from aqueue.core.codec import decode_value, encode_message, encode_value
from aqueue.core.lifecycle import (
    Blocked,
    Cancelled,
    Expired,
    Interrupted,
    Raised,
    RetryAsked,
    Returned,
    Revoked,
    Unknown,
    Unusable,
)
from aqueue.core.message import Delivery, Message, Receipt, as_input, joined
from aqueue.tasks.workflow.inputs import NodeTerms, Passing, as_node
from aqueue.testing import ManualClock
from aqueue.worker.execution import thread_pool
from aqueue.worker.execution.runner import Runner
from aqueue.worker.options import WorkerOptions

from ...facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aqueue.worker.execution.report import RunReport


class Bench:
    """A runner of an application's tasks, with a clock that stands still."""

    def __init__(self) -> None:
        self.huey = MemoryHuey("shop", result_ttl=3600)
        self.clock = ManualClock()
        self.reports: list[tuple[str, Any, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.revoked: set[str] = set()
        self.store_is_down = False
        self.runner = Runner(
            self.huey._parts,
            WorkerOptions(threads=4, children=2),
            self.clock,
            report=self._report,
            is_revoked=self._is_revoked,
        )

    async def _report(self, delivery: Delivery, progress: bytes, reply: str) -> bool:
        self.reports.append((delivery.id, decode_value(progress), reply))
        return True

    async def _is_revoked(self, task_id: str, task: str) -> bool:
        if self.store_is_down:
            raise QueueUnavailable("the store is down")
        self.asked.append((task_id, task))
        return task in self.revoked

    async def run(self, task: Any, *args: Any, count: int = 1, failures: int = 0, **fields: Any) -> RunReport:
        """Run a call of `task` with `args`; `fields` are those of its message."""
        message = Message("id", task.name, args, fields.pop("kwargs", {}), "client", **fields)
        return await self.runner.run(delivery(encode_message(message), count, failures))


def delivery(payload: bytes, count: int = 1, failures: int = 0) -> Delivery:
    return Delivery("id", payload, Receipt("worker", "place", "entry", count), failures)


def metadata(outcome: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = decode_value(outcome.error)
    return decoded


@pytest.fixture
def bench() -> Bench:
    return Bench()


# -- it returns


@pytest.mark.parametrize("value", [None, 5, "x", (1, {2}), {"__aq__": 1}, math.inf])
async def test_what_the_body_returns_is_encoded(bench: Bench, value: Any) -> None:
    @bench.huey.task
    async def coroutine() -> Any:
        return value

    @bench.huey.task
    def plain() -> Any:
        return value

    for task in (coroutine, plain):
        report = await bench.run(task)
        assert isinstance(report.outcome, Returned)
        assert decode_value(report.outcome.value) == value
        assert report.run is not None
        assert (report.run.value, report.run.exception, report.run.started) == (value, None, True)
        assert report.reply == "client"


async def test_arguments_arrive_as_they_were_sent(bench: Bench) -> None:
    @bench.huey.task
    async def echo(*args: Any, **kwargs: Any) -> Any:
        return [args, kwargs]

    report = await bench.run(echo, 1, (2,), kwargs={"self": 3, "task": 4})
    assert report.run is not None
    assert report.run.value == [(1, (2,)), {"self": 3, "task": 4}]


async def test_no_event_loop_is_blocked_by_a_plain_function(bench: Bench) -> None:
    go_on = threading.Event()

    @bench.huey.task
    def wait() -> bool:
        return go_on.wait(10)

    running = asyncio.create_task(bench.run(wait))
    await asyncio.sleep(0)
    go_on.set()
    report = await running
    assert report.outcome == Returned(b"true")


async def test_no_more_threads_are_used_than_allowed(bench: Bench) -> None:
    may_end = threading.Event()

    @bench.huey.task
    def busy() -> bool:
        return may_end.wait(20)

    runs = [asyncio.create_task(bench.run(busy)) for _ in range(8)]
    await until(lambda: bench.runner.slots[0].waiting == 4)
    may_end.set()
    assert [report.outcome for report in await asyncio.gather(*runs)] == [Returned(b"true")] * 8


async def test_what_has_no_place_in_the_line_for_a_thread_goes_back_at_once(bench: Bench) -> None:
    may_end = threading.Event()

    @bench.huey.task
    def busy() -> bool:
        return may_end.wait(20)

    @bench.huey.task
    async def coroutine() -> str:
        return "has a slot"

    runs = [asyncio.create_task(bench.run(busy)) for _ in range(8)]
    await until(lambda: bench.runner.slots[0].waiting == 4)
    turned_away = await bench.run(busy)
    assert (turned_away.outcome, turned_away.run) == (Interrupted(), None)
    assert bench.runner.slots[0].is_crowded
    assert isinstance((await bench.run(coroutine)).outcome, Returned)
    survivor = asyncio.create_task(bench.run(busy, count=2))
    await until(lambda: bench.runner.slots[0].waiting == 5)
    may_end.set()
    assert [report.outcome for report in await asyncio.gather(*runs, survivor)] == [Returned(b"true")] * 9


async def test_a_run_that_waits_for_a_thread_can_be_stopped(bench: Bench) -> None:
    may_end = threading.Event()

    @bench.huey.task
    def busy() -> bool:
        return may_end.wait(20)

    runs = [asyncio.create_task(bench.run(busy)) for _ in range(6)]
    await until(lambda: bench.runner.slots[0].waiting == 2)
    runs[5].cancel()
    stopped = await runs[5]
    assert isinstance(stopped.outcome, Raised)
    assert stopped.outcome.exception is asyncio.CancelledError
    assert bench.runner.slots[0].waiting == 1
    may_end.set()
    await asyncio.gather(*runs)


async def test_the_time_of_a_plain_function_begins_when_it_has_a_thread(bench: Bench) -> None:
    may_end = threading.Event()

    @bench.huey.task
    def busy() -> bool:
        return may_end.wait(20)

    @bench.huey.task(timeout=0.2, context=True)
    def hurry(task: TaskRun) -> str:
        return "in time" if task.time_remaining > 0 else "late"

    runs = [asyncio.create_task(bench.run(busy)) for _ in range(4)]
    await until(lambda: bench.runner.slots[0].places == 4)
    waiting = asyncio.create_task(bench.run(hurry))
    # Longer than it may run.
    await asyncio.wait([waiting], timeout=0.3)
    may_end.set()
    assert (await waiting).outcome == Returned(b'"in time"')
    await asyncio.gather(*runs)


# -- it raises


class Evil(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class NeedsArguments(Exception):
    def __init__(self, one: int, *, two: int) -> None:
        super().__init__(one, two)


def recurse() -> None:
    recurse()


def fail_with(error: BaseException) -> None:
    raise error


RAISING: dict[str, Any] = {
    "ValueError": partial(fail_with, ValueError("no")),
    "SystemExit": sys.exit,
    "KeyboardInterrupt": partial(fail_with, KeyboardInterrupt()),
    "CancelledError": partial(fail_with, asyncio.CancelledError()),
    "RecursionError": recurse,
    "ExceptionGroup": partial(fail_with, ExceptionGroup("many", [ValueError(1), OSError(2)])),
    "BaseExceptionGroup": partial(fail_with, BaseExceptionGroup("many", [SystemExit(1)])),
    "Evil": partial(fail_with, Evil("x")),
    "NeedsArguments": partial(fail_with, NeedsArguments(1, two=2)),
    "TimeoutError": partial(fail_with, TimeoutError()),
    "ZeroDivisionError": lambda: 1 / 0,
}


@pytest.mark.parametrize("name", RAISING)
@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_whatever_a_body_raises_is_an_outcome(bench: Bench, name: str, kind: str) -> None:
    @bench.huey.task
    async def coroutine() -> None:
        RAISING[name]()

    @bench.huey.task
    def plain() -> None:
        RAISING[name]()

    report = await bench.run(coroutine if kind == "coroutine" else plain, failures=1)
    assert isinstance(report.outcome, Raised)
    assert report.outcome.exception.__name__ == name
    assert report.outcome.final is False
    said = metadata(report.outcome)
    assert (said["type"], said["attempt"], said["task_id"]) == (name, 2, "id")
    assert len(report.outcome.error) < 200_000
    assert report.run is not None
    assert type(report.run.exception).__name__ == name


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_a_stop_iteration_is_what_python_makes_of_it(bench: Bench, kind: str) -> None:
    @bench.huey.task
    async def coroutine() -> None:
        raise StopIteration

    @bench.huey.task
    def plain() -> None:
        raise StopIteration

    report = await bench.run(coroutine if kind == "coroutine" else plain)
    assert isinstance(report.outcome, Raised)
    assert (report.outcome.exception, metadata(report.outcome)["type"]) == (RuntimeError, "RuntimeError")


async def test_the_traceback_is_that_of_the_user(bench: Bench) -> None:
    @bench.huey.task
    async def divide(a: int, b: int) -> float:
        return a / b

    said = metadata((await bench.run(divide, 1, 0)).outcome)
    assert said["error"] == "ZeroDivisionError('division by zero')"
    assert "return a / b" in said["traceback"]
    assert f"execution{os.sep}runner.py" not in said["traceback"]


async def test_a_task_that_cancels_itself_fails_and_nothing_else_is_cancelled(bench: Bench) -> None:
    @bench.huey.task
    async def suicidal() -> None:
        me = asyncio.current_task()
        assert me is not None
        me.cancel()
        await asyncio.sleep(0)

    report = await bench.run(suicidal)
    assert isinstance(report.outcome, Raised)
    assert report.outcome.exception is asyncio.CancelledError


# -- it returns what cannot travel


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError


async def async_numbers() -> AsyncIterator[int]:
    yield 1


LOOP: list[Any] = []
LOOP.append(LOOP)

UNENCODABLE: dict[str, Any] = {
    "object": object,
    "generator": lambda: (number for number in [1]),
    "async generator": async_numbers,
    "loop": lambda: LOOP,
    "huge": lambda: "x" * 17_000_000,
    "unspeakable": Unspeakable,
    "surrogate": lambda: "\ud800",
    "exception": lambda: ValueError("returned, not raised"),
}


@pytest.mark.parametrize("value", UNENCODABLE)
async def test_a_result_that_cannot_travel_is_a_failure_that_no_retry_can_mend(bench: Bench, value: str) -> None:
    @bench.huey.task(retries=3)
    async def make() -> Any:
        return UNENCODABLE[value]()

    report = await bench.run(make)
    assert isinstance(report.outcome, Raised)
    assert report.outcome.final is True
    assert metadata(report.outcome)["type"] == "EncodeError"
    assert "result" in metadata(report.outcome)["error"]
    assert report.run is not None
    assert report.run.started is True


async def test_a_coroutine_that_was_not_awaited_is_pointed_out(bench: Bench) -> None:
    async def forgotten() -> None: ...

    made = []

    @bench.huey.task
    def make() -> Any:
        made.append(forgotten())
        return made[0]

    report = await bench.run(make)
    assert "await it first" in metadata(report.outcome)["error"]
    made[0].close()


# -- it steers itself


@pytest.mark.parametrize(("retry", "final", "again"), [(None, False, False), (True, False, True), (False, True, False)])
async def test_a_body_that_cancels_says_what_becomes_of_its_retries(
    bench: Bench, retry: bool | None, final: bool, again: bool
) -> None:
    @bench.huey.task
    async def give_up() -> None:
        raise CancelExecution("nobody wants it", retry=retry)

    report = await bench.run(give_up)
    assert isinstance(report.outcome, Cancelled)
    assert (report.outcome.final, report.outcome.again) == (final, again)
    assert metadata(report.outcome)["error"] == "CancelExecution('nobody wants it')"
    assert report.run is not None
    assert (report.run.started, type(report.run.exception)) == (True, CancelExecution)


LATER = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RetryTask(), RetryAsked()),
        (RetryTask("message"), RetryAsked()),
        (RetryTask(delay=0), RetryAsked(delay_ms=0)),
        (RetryTask(delay=1.5), RetryAsked(delay_ms=1500)),
        (RetryTask(delay=timedelta(minutes=1)), RetryAsked(delay_ms=60_000)),
        (RetryTask(eta=LATER), RetryAsked(eta_ms=round(LATER.timestamp() * 1000))),
        (RetryTask(eta=datetime(1970, 1, 1, tzinfo=UTC)), RetryAsked(eta_ms=1)),
    ],
)
@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_a_body_can_ask_to_run_again(bench: Bench, kind: str, error: RetryTask, outcome: RetryAsked) -> None:
    @bench.huey.task
    async def coroutine() -> None:
        raise error from ValueError()

    @bench.huey.task
    def plain() -> None:
        raise error from ValueError()

    report = await bench.run(coroutine if kind == "coroutine" else plain)
    assert report.outcome == outcome
    assert report.run is not None
    assert report.run.exception is error


@pytest.mark.parametrize(
    "arguments",
    [{"delay": -1}, {"delay": math.nan}, {"delay": "x"}, {"delay": 10**12}, {"eta": "x"}, {"eta": 5}, {"delay": True}],
    ids=str,
)
async def test_a_bad_wish_falls_back_to_the_tasks_own_delay(
    bench: Bench, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    @bench.huey.task
    async def ask() -> None:
        raise RetryTask(**arguments)

    assert (await bench.run(ask)).outcome == RetryAsked()
    assert "the task's own retry_delay is used instead" in caplog.text


@pytest.mark.parametrize(
    ("error", "wait_ms", "is_failure"),
    [
        (TaskLockedException("unable to acquire lock x", 1.5), 1500, True),
        (TaskLockedException(), 0, True),
        (RateLimitExceeded("x", 60), 60_000, False),
        (RateLimitExceeded("x", 60, retry=False), 60_000, True),
        (RateLimitExceeded("x", math.nan), 0, False),
        (TaskLockedException("x", "soon"), 0, True),  # type: ignore[arg-type]
    ],
    ids=repr,
)
async def test_a_body_that_was_refused_says_when_it_is_worth_another_try(
    bench: Bench, error: Exception, wait_ms: int, is_failure: bool
) -> None:
    @bench.huey.task
    async def work() -> None:
        raise error

    report = await bench.run(work)
    assert isinstance(report.outcome, Blocked)
    assert (report.outcome.wait_ms, report.outcome.is_failure) == (wait_ms, is_failure)
    assert metadata(report.outcome)["type"] == type(error).__name__
    assert report.run is not None
    assert report.run.exception is error


async def test_a_body_without_end_is_ended_by_its_timeout(bench: Bench) -> None:
    cleaned_up = []

    @bench.huey.task(timeout=0.01)
    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(True)

    report = await bench.run(endless)
    assert isinstance(report.outcome, Raised)
    assert (report.outcome.exception.__name__, report.outcome.final) == ("TaskTimeout", False)
    assert metadata(report.outcome)["error"] == "TaskTimeout('timeout 0.01s')"
    assert cleaned_up == [True]


async def test_a_thread_without_end_is_abandoned_by_its_timeout(bench: Bench) -> None:
    go_on = threading.Event()

    @bench.huey.task(timeout=0.01)
    def endless() -> None:
        go_on.wait(10)

    report = await bench.run(endless)
    go_on.set()
    assert isinstance(report.outcome, Raised)
    assert report.outcome.exception.__name__ == "TaskTimeout"


async def test_a_thread_that_was_left_behind_is_occupied_until_its_function_ends(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_pool, "_PATIENCE_SECONDS", 0)
    [threads, _], may_end, begun = bench.runner.slots, threading.Event(), []

    @bench.huey.task(name="endless", timeout=0.05)
    def endless(number: int) -> None:
        begun.append(number)
        may_end.wait(20)

    runs = [asyncio.create_task(bench.run(endless, number)) for number in range(8)]
    # The first four time out and keep their threads; the others never begin here, and go back.
    outcomes = [type((await run).outcome) for run in runs]
    assert (outcomes, sorted(begun)) == ([Raised] * 4 + [Interrupted] * 4, [0, 1, 2, 3])
    assert (threads.lost, threads.places) == (4, 0)
    await until(lambda: "All 4 threads are occupied" in caplog.text)
    assert caplog.text.count("endless (4)") == 1
    assert (await bench.run(endless, 8)).outcome == Interrupted()
    may_end.set()
    await until(lambda: threads.lost == 0)
    assert threads.places == 8
    assert isinstance((await bench.run(endless, 9)).outcome, Returned)


async def test_a_thread_that_was_left_behind_is_named(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_pool, "_PATIENCE_SECONDS", 0)
    may_end = threading.Event()

    @bench.huey.task(name="endless", timeout=0.01)
    def endless() -> None:
        may_end.wait(20)

    await bench.run(endless)
    await until(lambda: "1 of 4 threads are occupied like that" in caplog.text)
    assert "<TaskRun endless id=id attempt=1> goes on" in caplog.text
    may_end.set()


async def test_a_timeout_inside_the_body_is_not_taken_for_its_own(bench: Bench) -> None:
    @bench.huey.task(timeout=60)
    async def impatient() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    report = await bench.run(impatient)
    assert isinstance(report.outcome, Raised)
    assert report.outcome.exception is TimeoutError


async def test_a_plain_function_can_watch_its_own_time(bench: Bench) -> None:
    @bench.huey.task(timeout=0.01, context=True)
    def watchful(task: TaskRun) -> None:
        assert task.time_remaining <= 0.01
        while not task.is_timed_out:
            time.sleep(0.001)
        task.check_timeout()

    report = await bench.run(watchful)
    assert isinstance(report.outcome, Raised)
    assert metadata(report.outcome)["error"] == "TaskTimeout('timeout 0.01s')"


async def test_a_call_without_a_timeout_has_all_the_time(bench: Bench) -> None:
    @bench.huey.task(timeout=30, context=True)
    async def remaining(task: TaskRun) -> bool:
        task.check_timeout()
        return task.time_remaining == math.inf

    report = await bench.run(remaining, overrides={"timeout": 0})
    assert report.outcome == Returned(b"true")


# -- it does not start


async def test_arguments_that_do_not_fit_any_more_fail_at_once(bench: Bench) -> None:
    """A message of an older version of the application: no retry can make it fit."""

    @bench.huey.task(retries=3)
    async def add(a: int, b: int) -> None:
        raise AssertionError("it was run")

    for args, kwargs in (((1,), {}), ((1, 2, 3), {}), ((1, 2), {"c": 3})):
        report = await bench.run(add, *args, kwargs=kwargs)
        assert isinstance(report.outcome, Raised)
        assert report.outcome.final is True
        assert metadata(report.outcome)["type"] == "TypeError"
        assert "add() " in metadata(report.outcome)["error"]
        assert report.run is not None
        assert report.run.started is False


async def test_keywords_that_are_no_text_fail_at_once(bench: Bench) -> None:
    @bench.huey.task
    async def anything(**kwargs: Any) -> None: ...

    payload = b'["%s","",[],{"__aq__":["dict",[[1,2]]]}]' % anything.name.encode()
    report = await bench.runner.run(delivery(payload))
    assert isinstance(report.outcome, (Raised, Unusable))
    assert not isinstance(report.outcome, Raised) or report.outcome.final


@pytest.mark.parametrize(("late_ms", "runs"), [(-1, True), (0, True), (1, False)])
async def test_a_task_may_start_until_the_very_instant_it_expires(bench: Bench, late_ms: int, runs: bool) -> None:
    @bench.huey.task(retries=3)
    async def remind() -> None: ...

    report = await bench.run(remind, expires_ms=bench.clock.now_ms() - late_ms)
    if runs:
        assert report.outcome == Returned(b"null")
    else:
        assert isinstance(report.outcome, Expired)
        assert metadata(report.outcome)["error"] == "not started in time"
        assert report.run is not None
        assert report.run.started is False


@pytest.mark.parametrize(("count", "runs"), [(1, True), (3, True), (4, False)])
async def test_a_task_that_outlived_too_many_workers_is_not_tried_on_another(
    bench: Bench, count: int, runs: bool
) -> None:
    @bench.huey.task
    async def deadly() -> None: ...

    report = await bench.run(deadly, count=count)
    if runs:
        assert report.outcome == Returned(b"null")
    else:
        assert isinstance(report.outcome, Unusable)
        assert metadata(report.outcome)["error"] == "3 workers ended while running it"


@pytest.mark.parametrize("payload", [b"", b"garbage", b"null", b"[5]", b'{"__aq__":["uuid",5]}', b"\x80\x04K\x01."])
async def test_bytes_that_are_no_message_are_unusable(bench: Bench, payload: bytes) -> None:
    report = await bench.runner.run(delivery(payload))
    assert isinstance(report.outcome, Unusable)
    assert metadata(report.outcome)["type"] == "DecodeError"
    assert report.run is None


@pytest.mark.parametrize(
    "overrides", [{"timeout": -1}, {"retries": "many"}, {"unheard_of": 5}, {"retry_on": "ValueError"}], ids=str
)
async def test_options_that_are_none_are_unusable(bench: Bench, overrides: dict[str, Any]) -> None:
    @bench.huey.task
    async def add() -> None: ...

    report = await bench.run(add, overrides=overrides)
    assert isinstance(report.outcome, Unusable)
    assert report.reply == "client"


async def test_a_task_that_is_not_registered_is_unknown_until_it_is(bench: Bench) -> None:
    payload = encode_message(Message("id", "late", (), {}, "client"))
    report = await bench.runner.run(delivery(payload))
    assert (report.outcome, report.run, report.reply) == (Unknown("late"), None, "client")
    bench.huey.task(name="late")(lambda: 5)
    assert (await bench.runner.run(delivery(payload))).outcome == Returned(b"5")


# -- hooks


async def test_a_pre_execute_hook_sees_the_task_and_may_cancel_it(bench: Bench) -> None:
    runs, seen = [], []

    @bench.huey.pre_execute()
    async def never(task: TaskRun) -> None:
        seen.append((task.id, task.name, task.args, task.kwargs, task.attempt, task.started))
        raise CancelExecution("not today", retry=True)

    @bench.huey.task(name="add", retries=3)
    async def add(a: int, b: int) -> None:
        runs.append((a, b))

    report = await bench.run(add, 1, kwargs={"b": 2}, failures=1)
    assert isinstance(report.outcome, Cancelled)
    assert (report.outcome.final, report.outcome.again) == (True, False)
    assert metadata(report.outcome)["error"] == "CancelExecution('not today')"
    assert seen == [("id", "add", (1,), {"b": 2}, 2, False)]
    assert runs == []
    assert report.run is not None
    assert report.run.started is False


async def test_a_hook_that_fails_does_not_keep_the_task_from_running(bench: Bench) -> None:
    @bench.huey.pre_execute()
    def broken(task: TaskRun) -> None:
        raise ValueError

    @bench.huey.task
    async def work() -> int:
        return 5

    assert (await bench.run(work)).outcome == Returned(b"5")


async def test_hooks_run_after_expiry_and_before_the_arguments_are_looked_at(bench: Bench) -> None:
    events = []
    bench.huey.pre_execute("note")(lambda task: events.append("hook"))

    @bench.huey.task
    async def add(a: int) -> None:
        events.append("body")

    await bench.run(add, 1, expires_ms=1)
    assert events == []
    await bench.run(add)
    assert events == ["hook"]
    await bench.run(add, 1)
    assert events == ["hook", "hook", "body"]


async def test_time_spent_in_hooks_is_not_the_tasks(bench: Bench) -> None:
    @bench.huey.pre_execute()
    async def slow(task: TaskRun) -> None:
        assert task.time_remaining == math.inf
        await asyncio.sleep(0.02)

    @bench.huey.task(timeout=0.01)
    async def work() -> int:
        return 5

    assert (await bench.run(work)).outcome == Returned(b"5")


# -- the run itself


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_each_run_knows_itself_and_no_other(bench: Bench, kind: str) -> None:
    def told(run: TaskRun | None) -> str:
        assert run is not None
        return run.id

    @bench.huey.task
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return told(current_task())

    @bench.huey.task
    def plain() -> str:
        return told(current_task())

    task = coroutine if kind == "coroutine" else plain
    payload = encode_message(Message("ignored", task.name, (), {}))
    rans = await asyncio.gather(
        *(bench.runner.run(Delivery(f"t{number}", payload, Receipt("w", "p", "e", 1))) for number in range(8))
    )
    assert [report.run.value for report in rans if report.run is not None] == [f"t{number}" for number in range(8)]
    assert current_task() is None


async def test_a_run_knows_what_the_call_changed(bench: Bench) -> None:
    @bench.huey.task(retries=1, queue="mails", context=True)
    async def look(task: TaskRun) -> list[Any]:
        return [task.retries, task.attempt, task.queue, task.fence, repr(task)]

    report = await bench.run(look, failures=2, overrides={"retries": 5})
    assert report.run is not None
    assert report.run.value == [3, 3, "mails", 1, f"<TaskRun {look.name} id=id attempt=3>"]
    assert report.policy.retry.retries == 5


async def test_progress_is_reported_for_the_client_that_waits(bench: Bench) -> None:
    @bench.huey.task(context=True)
    async def copy(task: TaskRun) -> bool:
        await task.progress(1)
        return await task.progress(2.5, 10, "half")

    report = await bench.run(copy)
    assert report.outcome == Returned(b"true")
    assert bench.reports == [("id", [1, None, ""], "client"), ("id", [2.5, 10, "half"], "client")]


@pytest.mark.parametrize("wrong", [(None,), ("50",), (True,), (1, "10"), (1, 2, None), (1, 2, b"x")], ids=str)
async def test_progress_that_is_none_is_an_error_of_the_task(bench: Bench, wrong: tuple[Any, ...]) -> None:
    @bench.huey.task(context=True)
    async def copy(task: TaskRun) -> None:
        await task.progress(*wrong)

    report = await bench.run(copy)
    assert isinstance(report.outcome, Raised)
    assert report.outcome.exception is TypeError
    assert bench.reports == []


async def test_the_policy_is_that_of_the_task_and_the_application(bench: Bench) -> None:
    plain = bench.huey.task(name="plain")(lambda: None)
    own = bench.huey.task(name="own", result_ttl=60, results=False, retries=2)(lambda: None)
    for task, expected in ((plain, (3_600_000, True, 0)), (own, (60_000, False, 2))):
        policy = (await bench.run(task)).policy
        assert (policy.ttl_ms, policy.keep_result, policy.retry.retries) == expected
    changed = (await bench.run(own, overrides={"result_ttl": 5, "results": True})).policy
    assert (changed.ttl_ms, changed.keep_result) == (5_000, True)


async def test_a_task_that_is_declared_anew_is_run_anew(bench: Bench) -> None:
    """A module that is reloaded while the worker runs."""

    def declare(number: int) -> Any:
        return bench.huey.task(name="version")(lambda: number)

    assert (await bench.run(declare(1))).outcome == Returned(b"1")
    assert (await bench.run(declare(2))).outcome == Returned(b"2")


# -- nodes of workflows


async def run_node(bench: Bench, task: Any, terms: NodeTerms, *inputs: bytes, **fields: Any) -> RunReport:
    terms = terms._replace(after=tuple(f"t{number}" for number in range(len(inputs))))
    message = Message("id", task.name, ("own",), {}, "client", **fields, node=as_node(terms))
    payload = encode_message(message)
    return await bench.runner.run(delivery(joined(payload, 1_000, inputs) if inputs else payload))


async def test_a_node_runs_with_what_those_before_it_returned(bench: Bench) -> None:
    @bench.huey.task
    async def echo(*args: Any) -> Any:
        return list(args)

    report = await run_node(bench, echo, NodeTerms(passing=Passing.EXTEND), as_input("done", encode_value((1, 2))))
    assert report.outcome == Returned(encode_value(["own", 1, 2]))
    assert report.run is not None
    assert report.run.args == ("own", 1, 2)
    assert report.reply == "client"


@pytest.mark.parametrize("linked", [True, False])
async def test_whoever_waits_for_a_node_gets_its_verdict(bench: Bench, linked: bool) -> None:
    @bench.huey.task(results=False, result_ttl=100)
    async def echo(*args: Any) -> Any: ...

    terms = NodeTerms(linked=linked)
    assert (await run_node(bench, echo, terms)).policy.linked is linked
    assert (await run_node(bench, echo, terms, overrides={"results": True})).policy.linked is linked
    for broken in ({"overrides": {"queue": 7}}, {"expires_ms": 1}):
        report = await run_node(bench, echo, terms, **broken)
        assert isinstance(report.outcome, (Unusable, Expired))
        assert report.policy.linked is linked
    assert not (await bench.run(echo)).policy.linked


@pytest.mark.parametrize(
    "payload", [b"junk", b"\0join:", b"\0join:1 2\n[]", b'["echo","",[],{},0,null,[true,"none"]]', b"\n\n"]
)
async def test_somebody_may_wait_for_what_makes_no_sense(bench: Bench, payload: bytes) -> None:
    report = await bench.runner.run(delivery(payload))
    assert isinstance(report.outcome, Unusable)
    assert report.policy.linked


async def test_inputs_that_do_not_fit_fail_at_once(bench: Bench) -> None:
    @bench.huey.task(retries=5)
    async def one(a: int) -> None: ...

    report = await run_node(bench, one, NodeTerms(passing=Passing.EXTEND), as_input("done", b"1"))
    assert isinstance(report.outcome, Raised)
    assert report.outcome.final
    assert "takes 1 positional argument but 2 were given" in metadata(report.outcome)["error"]


# -- what must not start


async def test_only_a_marked_delivery_is_asked_about(bench: Bench) -> None:
    @bench.huey.task(name="work")
    async def work() -> int:
        return 5

    payload = encode_message(Message("id", "work", (), {}, "client"))
    assert (await bench.runner.run(delivery(payload))).outcome == Returned(b"5")
    assert bench.asked == []
    marked = delivery(payload)._replace(may_be_revoked=True)
    assert (await bench.runner.run(marked)).outcome == Returned(b"5")
    assert bench.asked == [("id", "work")]


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_revoked_does_not_start(bench: Bench, known: bool) -> None:
    entered: list[bool] = []
    bench.huey.pre_execute("before")(lambda task: entered.append(True))
    if known:
        bench.huey.task(name="work", retries=3, result_ttl=60)(lambda: entered.append(True))
    bench.revoked.add("work")
    payload = encode_message(Message("id", "work", (), {}, "client", expires_ms=1))
    report = await bench.runner.run(delivery(payload)._replace(may_be_revoked=True))
    assert isinstance(report.outcome, Revoked)
    assert metadata(report.outcome)["type"] == "Revoked"
    assert (report.reply, report.run is not None, entered) == ("client", known, [])
    assert not known or report.policy.ttl_ms == 60_000


async def test_what_nobody_can_be_asked_about_is_given_back(bench: Bench) -> None:
    @bench.huey.task(name="work")
    async def work() -> None:
        raise AssertionError

    bench.store_is_down = True
    payload = encode_message(Message("id", "work", (), {}, "client"))
    assert (await bench.runner.run(delivery(payload)._replace(may_be_revoked=True))).outcome == Interrupted()
