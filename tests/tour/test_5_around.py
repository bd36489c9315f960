"""What runs around tasks: hooks, resources, and the beginning and end of a worker."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import CancelExecution, TaskException, TaskRun, TaskView, current_task
from aqueue.signals import SIGNAL_ERROR

from .running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aqueue import Huey


async def test_hooks_run_before_and_after_each_task(huey: Huey) -> None:
    """They get the run of the task; afterwards also its value and its exception. They may be sync or async."""
    seen = []

    @huey.pre_execute()
    async def before(task: TaskRun) -> None:
        seen.append(("before", *task.args))

    @huey.post_execute()
    def after(task: TaskRun, value: Any, exception: BaseException | None) -> None:
        seen.append(("after", value, type(exception)))

    @huey.task()
    async def divide(a: int, b: int) -> float:
        return a / b

    async with running(huey):
        await (await divide.enqueue(6, 2))
        with pytest.raises(TaskException):
            await (await divide.enqueue(1, 0))
    assert seen == [("before", 6, 2), ("after", 3.0, type(None)), ("before", 1, 0), ("after", None, ZeroDivisionError)]


async def test_a_hook_can_keep_a_task_from_running(huey: Huey) -> None:
    """``CancelExecution`` in a pre-execute hook cancels the task, whatever its retries."""
    runs = []

    @huey.pre_execute()
    def not_on_sunday(task: TaskRun) -> None:
        raise CancelExecution("No tasks on sunday!")

    @huey.task(retries=3)
    async def work() -> None:
        runs.append("run")

    async with running(huey):
        with pytest.raises(TaskException, match="No tasks on sunday!") as caught:
            await (await work.enqueue())
    assert caught.value.state == "cancelled"
    assert runs == []


async def test_a_hook_can_keep_a_task_from_being_sent(huey: Huey) -> None:
    """Raised in a pre-enqueue hook, ``CancelExecution`` reaches whoever enqueues; nothing gets into the store."""

    @huey.pre_enqueue()
    async def only_small_orders(task: TaskView) -> None:
        if task.args[0] > 100:
            raise CancelExecution("ask somebody first")

    @huey.task()
    async def order(amount: int) -> int:
        return amount

    async with huey:
        with pytest.raises(CancelExecution, match="ask somebody first"):
            await order.enqueue(1000)
        assert await huey.queues.depths() == []


async def test_signals_say_what_becomes_of_a_task(huey: Huey) -> None:
    """Receivers may be sync or async, and name the signals that they want, or none for all."""
    life, errors = [], []

    @huey.signal()
    def note(signal: str, task: TaskView, *_: Any) -> None:
        life.append(signal)

    @huey.signal(SIGNAL_ERROR)
    async def alert(signal: str, task: TaskRun, error: Exception) -> None:
        errors.append(f"{task.args} at attempt {task.attempt}: {error!r}")

    @huey.task(retries=1)
    async def divide(a: int, b: int) -> float:
        return a / b

    async with huey:
        result = await divide.enqueue(1, 0)
        async with running(huey):
            with pytest.raises(TaskException):
                await result
    assert life == ["enqueued", "executing", "error", "retrying", "enqueued", "executing", "error"]
    assert errors == [
        "(1, 0) at attempt 1: ZeroDivisionError('division by zero')",
        "(1, 0) at attempt 2: ZeroDivisionError('division by zero')",
    ]


async def test_a_task_runs_inside_a_resource(huey: Huey) -> None:
    """``context_task`` enters a context manager anew for each run: async, sync, or what a function makes."""
    events = []

    @asynccontextmanager
    async def connection() -> AsyncIterator[str]:
        events.append("open")
        yield "a connection"
        events.append("close")

    @huey.context_task(connection, as_argument=True)
    async def query(connection: str, statement: str) -> str:
        return f"{statement} on {connection}"

    async with running(huey):
        assert await (await query.enqueue("SELECT 1")) == "SELECT 1 on a connection"
        assert await (await query.enqueue("SELECT 2")) == "SELECT 2 on a connection"
    assert events == ["open", "close"] * 2


async def test_a_worker_has_a_beginning_and_an_end(huey: Huey) -> None:
    """What ``on_startup`` opens is there for every task, until ``on_shutdown``."""
    pool: set[str] = set()

    @huey.on_startup()
    async def open_pool() -> None:
        pool.add("connection")

    @huey.on_shutdown()
    async def close_pool() -> None:
        pool.clear()

    @huey.task()
    async def size() -> int:
        return len(pool)

    async with running(huey):
        assert await (await size.enqueue()) == 1
    assert pool == set()


async def test_a_task_can_know_its_own_run(huey: Huey) -> None:
    """With ``context=True`` it is the argument ``task``; anything that a task calls gets it from ``current_task``."""

    @huey.task(context=True, queue="reports")
    async def report(task: TaskRun) -> list[str]:
        run = current_task()
        assert run is not None
        assert task is run
        return [run.id, run.queue]

    async with running(huey):
        result = await report.enqueue()
        assert await result == [result.id, "reports"]


async def test_tasks_run_at_the_same_time(huey: Huey) -> None:
    """One worker runs up to ``concurrency`` coroutines at once, in one event loop."""
    together = asyncio.Barrier(50)

    @huey.task()
    async def meet() -> bool:
        await together.wait()
        return True

    async with running(huey, concurrency=50):
        assert await (await meet.map([()] * 50)) == [True] * 50
