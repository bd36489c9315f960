"""Immediate mode: a task has run when its enqueue returns, and everything else is as with a worker."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    CancelExecution,
    ConfigurationError,
    EncodeError,
    Huey,
    MemoryHuey,
    QueueUnavailable,
    RedisHuey,
    RetryTask,
    SqliteHuey,
    State,
    TaskException,
    TaskRun,
    TaskTimeout,
    current_task,
)

from ..facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


calculator = MemoryHuey("calculator", immediate=True)


@calculator.task(pool="process")
def pid() -> int:
    return os.getpid()


@pytest.fixture
async def huey() -> AsyncIterator[Huey]:
    """An application whose real store nobody can reach."""
    async with RedisHuey("shop", url="redis://localhost:1/0", immediate=True) as huey:
        yield huey


# -- it has run when the enqueue returns


async def test_a_task_has_run_when_its_enqueue_returns(huey: Huey) -> None:
    @huey.task
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    result = await add.enqueue(1, b=2)
    assert await result.get(blocking=False) == 3
    assert await result == 3
    assert await result.status() is State.DONE


async def test_a_plain_function_runs_in_a_thread(huey: Huey) -> None:
    @huey.task
    def where() -> int:
        return threading.get_ident()

    assert await (await where.enqueue()) != threading.get_ident()


async def test_a_function_for_a_process_runs_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    async with calculator:
        child = await (await pid.enqueue())
    assert child != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


async def test_many_plain_functions_share_a_few_threads(huey: Huey) -> None:
    names = set()

    @huey.task
    def note() -> None:
        names.add(threading.current_thread().name)

    await note.map([()] * 100)
    assert 1 <= len(names) <= 16


async def test_all_of_a_batch_have_run(huey: Huey) -> None:
    together = asyncio.Barrier(50)

    @huey.task
    async def meet(number: int) -> int:
        await together.wait()
        return number

    results = await meet.map(range(50))
    assert [await result.get(blocking=False) for result in results] == list(range(50))


async def test_each_of_concurrent_enqueues_returns_when_its_task_has_run(huey: Huey) -> None:
    may_end = asyncio.Event()

    @huey.task
    async def wait(number: int) -> int:
        await may_end.wait()
        return number

    enqueues = [asyncio.create_task(wait.enqueue(number)) for number in range(3)]
    await until(lambda: huey._immediate is not None and len(huey._immediate._turns) == 3)
    assert not any(enqueue.done() for enqueue in enqueues)
    may_end.set()
    assert [await (await enqueue).get(blocking=False) for enqueue in enqueues] == [0, 1, 2]


async def test_a_queue_that_no_task_declares_is_run_too(huey: Huey) -> None:
    @huey.task(context=True)
    async def where(task: TaskRun) -> tuple[str, int]:
        return task.queue, task.priority

    assert await (await where.options(queue="reports", priority=7).enqueue()) == ("reports", 7)


async def test_a_task_can_enqueue_another_and_wait_for_it(huey: Huey) -> None:
    @huey.task
    async def inner(number: int) -> int:
        return number * 2

    @huey.task
    async def outer(number: int) -> int:
        doubled = await (await inner.enqueue(number))
        assert current_task() is not None
        return doubled + 1

    assert await (await outer.map([1, 2, 3])) == [3, 5, 7]
    assert current_task() is None


async def test_a_plain_task_can_enqueue_another_and_wait_for_it(huey: Huey) -> None:
    @huey.task
    async def inner(number: int) -> int:
        return number * 2

    @huey.task
    def outer(number: int) -> int:
        return inner.enqueue_sync(number).get(timeout=20) + 1

    try:
        assert await (await outer.enqueue(5)) == 11
    finally:
        huey.sync.close()


# -- as with a worker


async def test_an_argument_that_cannot_travel_is_refused(huey: Huey) -> None:
    @huey.task
    async def work(argument: Any) -> Any:
        return argument

    with pytest.raises(EncodeError):
        await work.enqueue(object())
    sent = [1]
    assert await (await work.enqueue(sent)) is not sent


async def test_a_result_that_cannot_travel_is_a_failure(huey: Huey) -> None:
    @huey.task
    async def work() -> object:
        return object()

    with pytest.raises(TaskException, match="cannot travel"):
        await (await work.enqueue())


async def test_a_failed_task_raises_where_its_result_is_awaited(huey: Huey) -> None:
    @huey.task
    async def fail() -> None:
        raise ValueError("no stock")

    result = await fail.enqueue()
    with pytest.raises(TaskException, match="no stock"):
        await result


async def test_retries_without_delay_have_run_too(huey: Huey) -> None:
    attempts = []

    @huey.task(retries=2, context=True)
    async def third_time(task: TaskRun) -> str:
        attempts.append(task.attempt)
        if task.attempt < 3:
            raise ValueError
        return "done"

    result = await third_time.enqueue()
    assert attempts == [1, 2, 3]
    assert await result == "done"


async def test_what_is_due_later_waits(huey: Huey) -> None:
    runs = []

    @huey.task(retries=1, retry_delay=60)
    async def fail(name: str) -> None:
        runs.append(name)
        raise ValueError

    @huey.task
    async def ask_again() -> None:
        runs.append("asked")
        raise RetryTask(delay=0.001)

    delayed = await fail.options(delay=0.001).enqueue("delayed")
    retried = await fail.enqueue("retried")
    await ask_again.enqueue()
    past = await fail.options(eta=datetime.now(UTC) - timedelta(hours=1), retries=0).enqueue("past")
    assert await delayed.status() is State.SCHEDULED
    assert await retried.status() is State.RETRYING
    assert await past.status() is State.FAILED
    assert runs == ["retried", "asked", "past"], "real time moves nothing"
    assert [depth.scheduled for depth in await huey.queues.depths()] == [3]


async def test_hooks_and_signals_are_called_in_order(huey: Huey) -> None:
    seen = []

    def note(what: str) -> Callable[..., None]:
        return lambda *_: seen.append(what)

    huey.pre_enqueue("a")(note("pre_enqueue"))
    huey.pre_execute("a")(note("pre_execute"))
    huey.post_execute("a")(note("post_execute"))
    huey.on_startup("a")(note("startup"))
    huey.signal()(lambda signal, *_: seen.append(signal))

    @huey.task
    async def work() -> None:
        seen.append("body")

    await work.enqueue()
    assert seen == ["pre_enqueue", "enqueued", "executing", "pre_execute", "body", "post_execute", "complete"]


async def test_locks_and_limits_hold(huey: Huey) -> None:
    @huey.task
    @huey.lock_task("till")
    async def count() -> bool:
        return await huey.is_locked("till")

    assert await (await count.enqueue()) is True
    assert await huey.is_locked("till") is False


async def test_progress_is_kept(huey: Huey) -> None:
    @huey.task(context=True)
    async def work(task: TaskRun) -> bool:
        return await task.progress(1, 2)

    result = await work.enqueue()
    assert await result is True
    assert [progress.done async for progress in result.progress()] == [1]


async def test_an_id_that_is_known_does_not_run_again(huey: Huey) -> None:
    runs = []

    @huey.task
    async def work() -> None:
        runs.append("run")

    assert (await work.options(id="once").enqueue()).created
    assert not (await work.options(id="once").enqueue()).created
    assert runs == ["run"]


async def test_a_task_that_is_revoked_does_not_run(huey: Huey) -> None:
    runs = []

    @huey.task
    async def work() -> None:
        runs.append("run")

    await huey.revoke(work)
    assert await (await work.enqueue()).status() is State.CANCELLED
    await huey.restore(work)
    assert await (await work.enqueue()).status() is State.DONE
    assert runs == ["run"]


async def test_a_task_that_runs_can_be_cancelled(huey: Huey) -> None:
    started = asyncio.Event()

    @huey.task(retries=1)
    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    enqueue = asyncio.create_task(hang.options(id="mine").enqueue())
    await started.wait()
    assert await huey.cancel("mine")
    assert await (await enqueue).status() is State.CANCELLED


async def test_a_task_that_is_rescheduled_for_now_has_run(huey: Huey) -> None:
    seen: list[str] = []

    @huey.task
    async def work() -> str:
        return "done"

    later = await work.options(delay=60).enqueue()
    huey.signal()(lambda signal, *_: seen.append(signal))
    assert await (await huey.reschedule(later)).get(blocking=False) == "done"
    assert seen == ["enqueued", "executing", "complete"]
    await huey.reschedule(await work.options(delay=60).enqueue(), delay=30)
    assert seen[3:] == ["enqueued", "scheduled"] * 2


async def test_a_task_can_enqueue_its_own_id(huey: Huey) -> None:
    @huey.task(context=True)
    async def work(task: TaskRun) -> bool:
        return (await work.options(id=task.id).enqueue()).created

    async with asyncio.timeout(20):
        assert await (await work.enqueue()) is False


async def test_a_task_whose_caller_is_cancelled_goes_back_in_line(huey: Huey) -> None:
    runs = []

    @huey.task
    async def work() -> None:
        runs.append("run")
        if len(runs) == 1:
            await asyncio.Event().wait()

    enqueue = asyncio.create_task(work.options(id="mine").enqueue())
    await until(lambda: runs)
    enqueue.cancel()
    with pytest.raises(asyncio.CancelledError):
        await enqueue
    assert await huey.result("mine").status() is State.QUEUED
    await work.enqueue()
    assert runs == ["run"] * 3
    assert await huey.result("mine").status() is State.DONE


# -- the task's own exception


@pytest.fixture
def raising(huey: Huey) -> Huey:
    huey.raise_exceptions = True
    return huey


class NoStock(Exception):
    """Cannot be confused with any other."""


async def test_the_caller_gets_the_exception_itself(raising: Huey) -> None:
    error = NoStock()

    @raising.task(retries=1)
    async def fail() -> None:
        raise error

    with pytest.raises(NoStock) as caught:
        await fail.enqueue()
    assert caught.value is error
    with pytest.raises(NoStock):
        await fail.map([()])
    with pytest.raises(NoStock):
        await asyncio.to_thread(fail.enqueue_sync)
    raising.sync.close()


async def test_an_exception_that_a_retry_made_good_is_not_raised(raising: Huey) -> None:
    runs = []

    @raising.task(retries=1)
    async def second_time() -> str:
        runs.append("run")
        if len(runs) == 1:
            raise NoStock
        return "done"

    assert await (await second_time.enqueue()) == "done"


async def test_what_is_no_failure_is_not_raised(raising: Huey) -> None:
    @raising.task(retries=1, retry_delay=60)
    async def later() -> None:
        raise NoStock

    @raising.task
    async def cancelled() -> None:
        raise CancelExecution

    assert await (await later.enqueue()).status() is State.RETRYING
    assert await (await cancelled.enqueue()).status() is State.CANCELLED


async def test_a_timeout_and_a_result_that_cannot_travel_are_raised(raising: Huey) -> None:
    @raising.task(timeout=0.001)
    async def hang() -> None:
        await asyncio.Event().wait()

    @raising.task
    async def work() -> object:
        return object()

    with pytest.raises(TaskTimeout):
        await hang.enqueue()
    with pytest.raises(EncodeError):
        await work.enqueue()


async def test_a_task_gets_the_exception_of_the_one_that_it_enqueues(raising: Huey) -> None:
    @raising.task
    async def inner() -> None:
        raise NoStock

    @raising.task
    async def outer() -> str:
        with pytest.raises(NoStock):
            await inner.enqueue()
        return "caught"

    assert await (await outer.enqueue()) == "caught"


# -- on and off


async def test_it_can_be_switched_at_any_time(tmp_path: Path) -> None:
    huey = SqliteHuey("shop", filename=tmp_path / "shop.db")

    @huey.task
    async def work() -> str:
        return "done"

    async with huey:
        waiting = await work.enqueue()
        assert not huey.immediate
        huey.immediate = True
        assert await waiting.status() is State.UNKNOWN, "the store is another one"
        first = await work.enqueue()
        assert await first == "done"
        huey.immediate = False
        assert await first.status() is State.DONE, "a handle knows the verdict that it saw"
        assert await huey.result(first.id).status() is State.UNKNOWN
        assert await waiting.status() is State.QUEUED
        huey.immediate = True
        assert await huey.result(first.id).status() is State.UNKNOWN, "it begins anew"
        huey.immediate = True
        assert await (await work.enqueue()) == "done"


async def test_switching_it_ends_every_connection() -> None:
    huey = MemoryHuey("shop")

    @huey.task
    async def work() -> None: ...

    async with huey:
        result = await work.enqueue()
        waiting = asyncio.create_task(result.get())
        await until(lambda: any(client._waiters for client in huey._parts.clients.values()))
        huey.immediate = True
        with pytest.raises(QueueUnavailable, match="closed"):
            await waiting
        huey.immediate = False
        assert await result.status() is State.QUEUED


async def test_switching_forgets_event_loops_that_are_closed() -> None:
    huey = MemoryHuey("shop", immediate=True)

    @huey.task
    async def work() -> str:
        return "done"

    async def use() -> str:
        return await (await work.enqueue())

    assert await asyncio.to_thread(asyncio.run, use()) == "done"
    huey.immediate = False
    assert not huey._parts.clients


def test_what_is_no_bool_is_refused() -> None:
    with pytest.raises(TypeError, match="immediate must be True or False, not 'yes'"):
        MemoryHuey("shop", immediate="yes")


def test_a_bad_url_is_refused_all_the_same() -> None:
    with pytest.raises(ConfigurationError):
        Huey("shop", url="nonsense://", immediate=True)


def test_it_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AQUEUE_URL", raising=False)
    huey = Huey("shop", immediate=True)
    work = huey.task(name="work")(lambda: "done")
    assert work.enqueue_sync().get() == "done"
    huey.sync.close()
    assert list(tmp_path.iterdir()) == []


def test_it_has_no_workers() -> None:
    with pytest.raises(ConfigurationError, match=r"shop is in immediate mode .* a worker needs immediate=False"):
        MemoryHuey("shop", immediate=True).create_worker()


# -- from anywhere


def test_code_that_cannot_await_uses_it_too() -> None:
    huey = MemoryHuey("shop", immediate=True)

    @huey.task
    async def add(a: int, b: int) -> int:
        return a + b

    result = add.enqueue_sync(1, 2)
    assert (result.status(), result.get()) == (State.DONE, 3)
    assert [result.get() for result in huey.sync.enqueue_many([add.s(1, 1), add.s(2, 2)])] == [2, 4]
    huey.sync.close()


def test_event_loops_share_the_store_and_close_without_harm_to_each_other() -> None:
    huey = MemoryHuey("shop", immediate=True)

    @huey.task
    async def add(a: int, b: int) -> int:
        return a + b

    first = add.enqueue_sync(1, 2)
    assert first.get() == 3

    async def use() -> int:
        async with huey:
            assert await huey.result(first.id) == 3
            return await (await add.enqueue(3, 4))

    assert asyncio.run(use()) == 7
    assert add.enqueue_sync(5, 6).get(timeout=20) == 11
    huey.sync.close()


async def test_an_event_loop_does_not_wait_for_what_another_one_runs() -> None:
    huey = MemoryHuey("shop", immediate=True)
    assert huey._immediate is not None
    started, may_end = threading.Event(), threading.Event()

    @huey.task
    def work() -> str:
        started.set()
        may_end.wait(20)
        return "done"

    running = asyncio.create_task(asyncio.to_thread(huey.sync.enqueue, work.options(id="mine").s()))
    await asyncio.to_thread(started.wait, 20)
    async with huey:
        await huey._immediate.run_ready(["mine"])
        result = huey.result("mine")
        assert await result.status() is State.RUNNING
        may_end.set()
        await running
        assert await result == "done"
    huey.sync.close()
