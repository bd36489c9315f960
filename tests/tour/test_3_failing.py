"""What happens when a task does not end well, and how it can steer that itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from aqueue import CancelExecution, RetryTask, TaskException, TaskRun

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_an_exception_comes_back_as_a_task_exception(huey: Huey) -> None:
    """It is built from plain data: the name of what was raised, its text, its traceback. Nothing is imported for it."""

    @huey.task()
    async def divide(a: int, b: int) -> float:
        return a / b

    async with running(huey):
        result = await divide.enqueue(1, 0)
        with pytest.raises(TaskException, match="division by zero") as caught:
            await result
        assert caught.value.type == "ZeroDivisionError"
        assert "return a / b" in caught.value.traceback
        assert caught.value.task_id == result.id
        assert await result.status() == "failed"


async def test_a_failed_task_is_tried_again(huey: Huey) -> None:
    """``retries`` says how often, ``retry_delay`` and ``retry_backoff`` how late."""

    @huey.task(retries=3, retry_delay=0.01, retry_backoff=2, context=True)
    async def flaky(task: TaskRun) -> str:
        if task.attempt < 3:
            raise ConnectionError("try again")
        return f"attempt {task.attempt}, {task.retries} retries left"

    async with running(huey):
        assert await (await flaky.enqueue()) == "attempt 3, 1 retries left"


async def test_only_some_exceptions_are_worth_a_retry(huey: Huey) -> None:
    """``retry_on`` names them; every other one is final."""

    @huey.task(retries=1000, retry_on=(ConnectionError, TimeoutError))
    async def fetch() -> None:
        raise ValueError("no such page")

    async with running(huey):
        with pytest.raises(TaskException, match="no such page") as caught:
            await (await fetch.enqueue())
        assert caught.value.attempt == 1


async def test_a_task_can_ask_to_run_again(huey: Huey) -> None:
    """``RetryTask`` is no failure: it costs no retries, so it works for a task that has none."""
    runs = []

    @huey.task()
    async def wait_for_delivery(order: int) -> str:
        runs.append(order)
        if len(runs) < 3:
            raise RetryTask(delay=0.01)
        return "delivered"

    async with running(huey):
        assert await (await wait_for_delivery.enqueue(7)) == "delivered"
    assert runs == [7, 7, 7]


async def test_a_task_can_cancel_itself(huey: Huey) -> None:
    """``CancelExecution`` in the body ends a task as cancelled; ``retry=False`` gives up its retries too."""

    @huey.task(retries=3)
    async def greet(name: str) -> str:
        if not name:
            raise CancelExecution("nobody to greet", retry=False)
        return f"hello {name}"

    async with running(huey):
        with pytest.raises(TaskException, match="nobody to greet") as caught:
            await (await greet.enqueue(""))
        assert caught.value.state == "cancelled"


async def test_a_task_has_limited_time(huey: Huey) -> None:
    """After ``timeout`` seconds a coroutine is cancelled. That is a failure, so it is retried like one."""
    starts = []

    @huey.task(timeout=0.02, retries=1)
    async def stuck() -> None:
        starts.append("start")
        await asyncio.Event().wait()

    async with running(huey):
        with pytest.raises(TaskException, match=r"timeout 0.02s") as caught:
            await (await stuck.enqueue())
        assert caught.value.type == "TaskTimeout"
    assert len(starts) == 2
