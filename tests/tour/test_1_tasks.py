"""Declare a task, send it, get its result."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from aqueue import EncodeError

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_a_task_runs_in_a_worker_and_its_result_comes_back(huey: Huey) -> None:
    """``enqueue`` sends the call, ``get`` waits for what it returned."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with running(huey):
        result = await add.enqueue(1, 2)
        assert await result.get(timeout=5) == 3


async def test_a_result_can_be_awaited_itself(huey: Huey) -> None:
    """``await result`` is ``await result.get()``, and None is a result like any other."""

    @huey.task
    async def log(message: str) -> None:
        pass

    async with running(huey):
        result = await log.enqueue("hello")
        assert await result is None


async def test_a_plain_function_runs_in_a_thread(huey: Huey) -> None:
    """A task that is no ``async def`` never blocks the event loop of its worker."""

    @huey.task()
    def where() -> str:
        return threading.current_thread().name

    async with running(huey):
        assert await (await where.enqueue()) != threading.current_thread().name


async def test_arguments_are_checked_where_the_mistake_is(huey: Huey) -> None:
    """A call that does not fit the function, or that cannot travel, is an error of the caller, not of the worker."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with huey:
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
            await add.enqueue(1)
        with pytest.raises(EncodeError, match=r"args\[1\] is a builtins.object, which cannot travel"):
            await add.enqueue(1, object())


async def test_calling_a_task_runs_it_here(huey: Huey) -> None:
    """Without ``enqueue`` a task is the function that it was: no queue, no worker."""

    @huey.task(retries=3)
    async def add(a: int, b: int) -> int:
        return a + b

    @huey.task()
    def subtract(a: int, b: int) -> int:
        return a - b

    assert await add(1, 2) == 3
    assert subtract(3, 2) == 1
    assert await add.call_local(1, 2) == 3


async def test_work_waits_for_a_worker(huey: Huey) -> None:
    """A task that was enqueued is kept until a worker comes for it."""

    @huey.task()
    async def greet(name: str) -> str:
        return f"hello {name}"

    async with huey:
        result = await greet.enqueue("world")
        assert await result.status() == "queued"
        async with running(huey):
            assert await result == "hello world"
        assert await result.status() == "done"
