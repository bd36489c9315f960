"""Receivers of signals: who is called for what, in which order, and without power over anybody else."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import CancelExecution, MemoryHuey, TaskView, signals
from aqueue.signals import (
    SIGNAL_COMPLETE,
    SIGNAL_ENQUEUED,
    SIGNAL_ERROR,
    SIGNAL_EXECUTING,
    SIGNAL_RATE_LIMITED,
    SIGNAL_SCHEDULED,
    SIGNALS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HUEYS = {
    "SIGNAL_CANCELED": "canceled",
    "SIGNAL_COMPLETE": "complete",
    "SIGNAL_ENQUEUED": "enqueued",
    "SIGNAL_ERROR": "error",
    "SIGNAL_EXECUTING": "executing",
    "SIGNAL_EXPIRED": "expired",
    "SIGNAL_INTERRUPTED": "interrupted",
    "SIGNAL_LOCKED": "locked",
    "SIGNAL_RATE_LIMITED": "rate-limited",
    "SIGNAL_RETRYING": "retrying",
    "SIGNAL_REVOKED": "revoked",
    "SIGNAL_SCHEDULED": "scheduled",
    "SIGNAL_TIMEOUT": "timeout",
}


@pytest.fixture
def huey() -> MemoryHuey:
    return MemoryHuey("shop")


class Note:
    """A receiver that notes what it is called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any) -> None:
        self.seen.append(arguments)


def test_the_signals_are_hueys() -> None:
    assert {name: getattr(signals, name) for name in HUEYS} == HUEYS
    assert sorted(SIGNALS) == sorted(HUEYS.values())


# -- who is called


async def test_a_receiver_gets_the_signal_the_task_and_what_else_there_is(huey: MemoryHuey) -> None:
    note = Note()
    huey.signal()(note)
    error = ValueError("no")
    await huey._parts.hooks.signals.send(SIGNAL_ERROR, "a task", error)
    await huey._parts.hooks.signals.send(SIGNAL_COMPLETE, "a task")
    assert note.seen == [("error", "a task", error), ("complete", "a task")]


async def test_a_receiver_is_called_for_the_signals_that_it_named(huey: MemoryHuey) -> None:
    note = Note()
    huey.signal(SIGNAL_ERROR, SIGNAL_COMPLETE)(note)
    for signal in SIGNALS:
        await huey._parts.hooks.signals.send(signal, None)
    assert sorted(signal for signal, _ in note.seen) == ["complete", "error"]


async def test_receivers_of_one_signal_come_before_those_of_all_in_order_of_registration(huey: MemoryHuey) -> None:
    seen: list[str] = []
    huey.signal()(lambda *_: seen.append("all"))
    huey.signal(SIGNAL_COMPLETE)(lambda *_: seen.append("one"))

    @huey.signal(SIGNAL_COMPLETE)
    async def another(*_: Any) -> None:
        await asyncio.sleep(0)
        seen.append("another")

    await huey._parts.hooks.signals.send(SIGNAL_COMPLETE, None)
    assert seen == ["one", "another", "all"]


async def test_a_receiver_that_is_registered_twice_is_called_once(huey: MemoryHuey) -> None:
    note = Note()
    for _ in range(2):
        huey.signal(SIGNAL_COMPLETE)(note)
    await huey._parts.hooks.signals.send(SIGNAL_COMPLETE, None)
    assert len(note.seen) == 1


def test_the_decorator_gives_the_receiver_back(huey: MemoryHuey) -> None:
    def receiver(*_: Any) -> None: ...

    assert huey.signal(SIGNAL_ERROR)(receiver) is receiver


# -- who is called no more


@pytest.mark.parametrize(
    ("connected", "disconnected", "left"),
    [
        ((), (), []),
        ((), (SIGNAL_ERROR,), ["complete", "error"]),
        ((SIGNAL_ERROR, SIGNAL_COMPLETE), (), []),
        ((SIGNAL_ERROR, SIGNAL_COMPLETE), (SIGNAL_ERROR,), ["complete"]),
        ((SIGNAL_ERROR,), (SIGNAL_COMPLETE, "never heard of"), ["error"]),
    ],
)
async def test_a_receiver_is_disconnected_from_what_is_named_or_from_all(
    huey: MemoryHuey, connected: tuple[str, ...], disconnected: tuple[str, ...], left: list[str]
) -> None:
    note = Note()
    huey.signal(*connected)(note)
    huey.disconnect_signal(note, *disconnected)
    for signal in (SIGNAL_COMPLETE, SIGNAL_ERROR):
        await huey._parts.hooks.signals.send(signal, None)
    assert [signal for signal, _ in note.seen] == left


def test_disconnecting_who_was_never_connected_is_nothing(huey: MemoryHuey) -> None:
    huey.disconnect_signal(print)
    huey.disconnect_signal(print, SIGNAL_ERROR, "never heard of")


def test_without_receivers_there_is_nothing_to_look_through(huey: MemoryHuey) -> None:
    note = Note()
    assert not huey._parts.hooks.signals.receivers
    huey.signal(SIGNAL_ERROR)(note)
    huey.signal()(note)
    huey.disconnect_signal(note)
    assert not huey._parts.hooks.signals.receivers


async def test_a_receiver_may_disconnect_itself_while_it_is_called(huey: MemoryHuey) -> None:
    note = Note()

    @huey.signal()
    def once(*_: Any) -> None:
        huey.disconnect_signal(once)

    huey.signal()(note)
    await huey._parts.hooks.signals.send(SIGNAL_COMPLETE, None)
    await huey._parts.hooks.signals.send(SIGNAL_COMPLETE, None)
    assert len(note.seen) == 2, "the next one was not passed over"


# -- what is refused


@pytest.mark.parametrize(
    ("signal", "hint"),
    [
        ("eror", "did you mean 'error'?"),
        ("cancelled", "did you mean 'canceled'?"),
        ("rate_limited", "did you mean 'rate-limited'?"),
        ("xyzzy", "signals are canceled, complete, "),
    ],
)
def test_a_signal_that_does_not_exist_is_refused_with_the_nearest(huey: MemoryHuey, signal: str, hint: str) -> None:
    with pytest.raises(ValueError, match=rf"there is no signal '{signal}': {hint}".replace("?", r"\?")):
        huey.signal(SIGNAL_ERROR, signal)
    assert not huey._parts.hooks.signals.receivers


def missing_parentheses(huey: MemoryHuey) -> Any:
    @huey.signal  # type: ignore[arg-type]
    def receiver(*_: Any) -> None: ...

    return receiver


@pytest.mark.parametrize("mistake", [missing_parentheses, lambda huey: huey.signal(SIGNAL_ERROR)("not a function")])
def test_what_is_no_receiver_is_refused_when_it_is_registered(
    huey: MemoryHuey, mistake: Callable[[MemoryHuey], Any]
) -> None:
    with pytest.raises(TypeError, match=r"parentheses|must be a function"):
        mistake(huey)


# -- what a receiver does wrong


@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError, CancelExecution, RecursionError])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_receiver_that_fails_is_told_once_and_disturbs_nobody(
    huey: MemoryHuey, kind: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    note = Note()

    def broken(*_: Any) -> None:
        raise error

    async def broken_async(*_: Any) -> None:
        raise error

    huey.signal(SIGNAL_RATE_LIMITED)(broken if kind == "sync" else broken_async)
    huey.signal()(note)
    await huey._parts.hooks.signals.send(SIGNAL_RATE_LIMITED, None)
    assert len(note.seen) == 1
    [record] = caplog.records
    assert "broken" in record.getMessage()
    assert record.getMessage().endswith("of the signal 'rate-limited' failed")
    assert record.exc_info is not None


async def test_a_receiver_without_a_name_is_told_too(huey: MemoryHuey, caplog: pytest.LogCaptureFixture) -> None:
    huey.signal()(functools.partial(int, "not a number"))
    await huey._parts.hooks.signals.send(SIGNAL_COMPLETE, None)
    [record] = caplog.records
    assert "functools.partial(" in record.getMessage()


async def test_the_end_of_the_worker_is_not_passed_over(huey: MemoryHuey) -> None:
    waiting = asyncio.Event()

    @huey.signal()
    async def patient(*_: Any) -> None:
        waiting.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(huey._parts.hooks.signals.send(SIGNAL_COMPLETE, None))
    await waiting.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


# -- what is enqueued


async def test_a_task_is_enqueued_when_the_store_has_it(huey: MemoryHuey) -> None:
    seen = []

    @huey.signal(SIGNAL_ENQUEUED, SIGNAL_SCHEDULED)
    async def look(signal: str, task: TaskView) -> None:
        seen.append((signal, task.name, task.args, task.kwargs, str(await huey.result(task.id).status())))

    @huey.task(name="shop.add")
    async def add(a: int, b: int) -> int:
        return a + b

    past = datetime.now(UTC) - timedelta(hours=1)
    async with huey:
        first = await add.enqueue(1, b=2)
        await add.options(delay=60).enqueue(3, 4)
        await add.schedule((5, 6), eta=past)
        await add.options(id=first.id).enqueue(1, 2)
        await add.map([(7, 8), (9, 10)])
    assert seen == [
        ("enqueued", "shop.add", (1,), {"b": 2}, "queued"),
        ("enqueued", "shop.add", (3, 4), {}, "scheduled"),
        ("scheduled", "shop.add", (3, 4), {}, "scheduled"),
        ("enqueued", "shop.add", (5, 6), {}, "queued"),
        ("enqueued", "shop.add", (7, 8), {}, "queued"),
        ("enqueued", "shop.add", (9, 10), {}, "queued"),
    ]


async def test_a_task_shows_its_settings(huey: MemoryHuey) -> None:
    note = Note()
    huey.pre_enqueue("note")(note)
    huey.signal(SIGNAL_ENQUEUED)(note)
    until = datetime(2030, 1, 1, tzinfo=UTC)

    @huey.task(
        retries=3,
        retry_delay=timedelta(minutes=1),
        retry_backoff=2,
        timeout=5,
        queue="mails",
        priority=7,
        settings={"team": "billing"},
    )
    async def work() -> None: ...

    async with huey:
        result = await work.options(priority=9, expires=until).enqueue()
        await work.options(retries=1, timeout=0).enqueue()
    [before], [_, task], _, [_, other] = note.seen
    assert repr(task) == f"<TaskView {task.name} id={result.id}>"
    for view in (before, task):
        assert (view.id, view.queue, view.priority, view.expires) == (result.id, "mails", 9, until)
        assert (view.retries, view.retry_delay, view.retry_backoff, view.timeout) == (3, 60, 2, 5)
        assert view.settings == {"team": "billing"}
    assert (other.retries, other.timeout, other.expires) == (1, None, None)


async def test_a_pre_enqueue_handler_can_keep_tasks_from_being_sent(huey: MemoryHuey) -> None:
    note = Note()
    huey.signal()(note)

    @huey.pre_enqueue()
    async def not_for_blocked_users(task: TaskView) -> None:
        if "mallory" in task.args:
            raise CancelExecution("blocked")

    @huey.task
    async def greet(name: str) -> str:
        return name

    async with huey:
        with pytest.raises(CancelExecution, match="blocked"):
            await greet.enqueue("mallory")
        with pytest.raises(CancelExecution, match="blocked"):
            await greet.map(["alice", "mallory"])
        assert await huey.queues.depths() == []
        assert note.seen == []
        await greet.enqueue("alice")
        assert [depth.ready for depth in await huey.queues.depths()] == [1]


async def test_an_enqueue_that_failed_is_not_told(huey: MemoryHuey) -> None:
    note = Note()
    huey.signal()(note)

    @huey.task
    async def greet(name: Any) -> None: ...

    async with huey:
        with pytest.raises(TypeError):
            await greet.enqueue(object())
        with pytest.raises(TypeError):
            await greet.enqueue()
    assert note.seen == []


async def test_signals_are_those_of_one_application(huey: MemoryHuey) -> None:
    note = Note()
    huey.signal(SIGNAL_EXECUTING)(note)
    await MemoryHuey("shop")._parts.hooks.signals.send(SIGNAL_EXECUTING, None)
    assert note.seen == []
