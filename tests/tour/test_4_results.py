"""What one can do with results: of one task, of many, from elsewhere, and before they are there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from aqueue import Progress, ResultNotFound, ResultTimeout, State, TaskRun

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_one_is_not_obliged_to_wait_forever(huey: Huey) -> None:
    """``get(timeout=...)`` raises ``ResultTimeout``; ``get(blocking=False)`` gives None when there is nothing yet."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with huey:
        result = await add.enqueue(1, 2)
        assert await result.get(blocking=False) is None
        with pytest.raises(ResultTimeout):
            await result.get(timeout=0.01)


async def test_a_result_is_found_by_its_id(huey: Huey) -> None:
    """Any process can look up any task, as often as it likes: reading a result does not remove it."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with running(huey):
        task_id = (await add.enqueue(1, 2)).id
        assert await huey.result(task_id) == 3
        assert await huey.result(task_id) == 3
        assert await huey.result(task_id).status() is State.DONE
        assert await huey.result("never-heard-of").status() is State.UNKNOWN
        with pytest.raises(ResultNotFound):
            await huey.result("never-heard-of")


async def test_a_whole_list_is_enqueued_at_once(huey: Huey) -> None:
    """``map`` makes one call per item, in one round trip to the store; the results come in the order of the calls."""

    @huey.task()
    async def add(a: int, b: int = 10) -> int:
        return a + b

    async with running(huey):
        results = await add.map([(1, 2), (3, 4), 5])
        assert await results == [3, 7, 15]


async def test_different_tasks_are_enqueued_at_once(huey: Huey) -> None:
    """``task.s(...)`` is a call that is not sent yet; ``enqueue_many`` sends any number of them."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    @huey.task()
    async def double(a: int) -> int:
        return 2 * a

    async with running(huey):
        results = await huey.enqueue_many([add.s(1, 2), double.s(4), double.options(priority=5).s(5)])
        assert await results.get(timeout=5) == [3, 8, 10]


async def test_results_can_be_taken_as_they_come(huey: Huey) -> None:
    """``as_completed`` gives each handle as soon as its task has ended."""
    may_end = {name: asyncio.Event() for name in ("slow", "fast")}

    @huey.task()
    async def wait_for(name: str) -> str:
        await may_end[name].wait()
        return name

    async with running(huey):
        results = await wait_for.map(["slow", "fast"])
        may_end["fast"].set()
        order = []
        async for result in results.as_completed():
            order.append(await result)
            may_end["slow"].set()
    assert order == ["fast", "slow"]


async def test_the_same_id_is_the_same_task(huey: Huey) -> None:
    """Who chooses the id can enqueue twice and have it run once: after a lost connection, say."""
    sent = []

    @huey.task()
    async def send_invoice(order: int) -> int:
        sent.append(order)
        return order

    async with running(huey):
        first = await send_invoice.options(id="invoice-7").enqueue(7)
        again = await send_invoice.options(id="invoice-7").enqueue(7)
        assert (first.created, again.created) == (True, False)
        assert (await first, await again) == (7, 7)
    assert sent == [7]


async def test_results_need_not_be_kept(huey: Huey) -> None:
    """With ``results=False`` a task leaves no value; that it has ended can still be awaited."""

    @huey.task(results=False)
    async def count() -> int:
        return 42

    async with running(huey):
        result = await count.enqueue()
        assert await result is None
        assert await result.status() == "done"


async def test_a_task_can_tell_how_far_it_is(huey: Huey) -> None:
    """``task.progress`` in the body arrives, pushed, at whoever follows ``result.progress()``."""
    followed = asyncio.Event()

    @huey.task(context=True)
    async def copy(files: int, task: TaskRun) -> str:
        for number in range(files):
            await task.progress(number + 1, files)
            await followed.wait()
        return "copied"

    async with running(huey):
        result = await copy.enqueue(3)
        seen = []
        async for progress in result.progress():
            seen.append(progress)
            followed.set()
        assert (seen[0], seen[-1]) == (Progress(1, 3), Progress(3, 3))
        assert await result == "copied"
