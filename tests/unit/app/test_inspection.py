"""Looking at what waits, runs and has ended, as the application offers it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aqueue import Huey, JSONSerializer, MemoryHuey, Progress, ResultInfo, State, TaskRun
from aqueue.core.message import Envelope

from ...tour.running import running


def declared(huey: Huey, **options: Any) -> Any:
    @huey.task(name="add", **options)
    async def add(a: int, b: int = 10) -> int:
        if a < 0:
            raise ValueError(a)
        return a + b

    return add


async def test_a_task_in_line_is_told_with_its_call(huey: Huey) -> None:
    before = datetime.now(UTC)
    result = await declared(huey, queue="mail").options(priority=5).enqueue(1, b=2)
    [task] = await huey.pending()
    assert (task.id, task.state, task.name, task.args, task.kwargs) == (result.id, State.QUEUED, "add", (1,), {"b": 2})
    assert (task.queue, task.priority, task.attempt, task.worker, task.problem) == ("mail", 5, 1, "", "")
    assert task.since is not None
    assert timedelta(milliseconds=-1) <= task.since - before < timedelta(minutes=1)
    assert task.due is task.lease_until is None


async def test_a_scheduled_task_is_told_with_its_instant(huey: Huey) -> None:
    await declared(huey).options(delay=3600).enqueue(1)
    [task] = await huey.scheduled()
    assert task.state is State.SCHEDULED
    assert task.due is not None
    assert timedelta(minutes=59) < task.due - datetime.now(UTC) <= timedelta(hours=1)
    assert task.since is None


async def test_a_running_task_is_told_with_its_worker(huey: Huey) -> None:
    seen = []

    @huey.task(name="look", retries=1)
    async def look() -> None:
        seen.extend(await huey.queues.running())
        if len(seen) == 1:
            raise ValueError

    async with running(huey) as worker:
        await (await look.enqueue()).get(timeout=10)
    assert [(task.name, task.worker, task.attempt) for task in seen] == [
        ("look", worker.consumer, 1),
        ("look", worker.consumer, 2),
    ]
    assert all(task.lease_until > datetime.now(UTC) for task in seen)
    assert await huey.queues.running() == []


async def test_tasks_that_run_longest_come_first_with_their_progress(huey: Huey) -> None:
    may_end = asyncio.Event()

    @huey.task(name="slow", context=True)
    async def slow(label: str, *, task: TaskRun) -> None:
        await task.progress(1, 4, label)
        await may_end.wait()

    async with running(huey):
        before = datetime.now(UTC)
        results = [await slow.enqueue(label) for label in ("first", "second", "third")]
        for result in results:
            await anext(result.progress())
        told = await huey.queues.running()
        assert [task.progress for task in told] == [Progress(1, 4, label) for label in ("first", "second", "third")]
        instants = [task.started for task in told if task.started is not None]
        assert instants == sorted(instants)
        assert before - timedelta(seconds=0.1) <= instants[0] <= datetime.now(UTC)
        assert await huey.queues.running(1) == told[:1]
        assert await huey.queues.running(older_than=60) == []
        assert len(await huey.queues.running(older_than=timedelta(milliseconds=1))) == 3
        may_end.set()
        for result in results:
            await result.get(timeout=10)


async def test_a_node_that_waits_for_others_is_told_with_its_own_arguments(huey: Huey) -> None:
    add = declared(huey)
    results = await add.s(1).then(add.s(5)).enqueue()
    [task] = await huey.queues.waiting()
    assert (task.state, task.name, task.args) == (State.WAITING, "add", (5,))
    assert task.since is task.due is task.lease_until is None
    assert await huey.queues.waiting(queue="mail") == []
    async with running(huey):
        assert await results.get(timeout=10) == [11, 16]
    assert await huey.queues.waiting() == []


async def test_results_are_told_with_their_values(huey: Huey) -> None:
    add = declared(huey)
    done, failed, unkept = await add.enqueue(1), await add.enqueue(-1), await add.options(results=False).enqueue(1)
    async with running(huey, concurrency=1):
        # The last of them, one at a time.
        await unkept.get(timeout=10)
    told = {info.id: info for info in await huey.all_results()}
    assert told[done.id] == ResultInfo(done.id, State.DONE, 11)
    assert told[failed.id].state is State.FAILED
    assert told[failed.id].metadata["type"] == "ValueError"
    assert told[unkept.id] == ResultInfo(unkept.id, State.DONE)
    assert await huey.result_count() == 3


async def test_counts_are_those_of_a_queue_or_of_all(huey: Huey) -> None:
    add = declared(huey)
    await add.map([(1,), (2,)])
    await add.options(queue="mail").enqueue(3)
    await add.options(queue="mail", delay=60).enqueue(4)
    assert await huey.pending_count() == 3
    assert await huey.pending_count(queue="mail") == 1
    assert await huey.scheduled_count() == await huey.scheduled_count(queue="mail") == 1
    assert await huey.scheduled_count(queue="default") == 0
    assert {depth.running for depth in await huey.queues.depths()} == {0}
    assert await huey.result_count() == 0


async def test_a_list_is_as_long_as_it_may_be(huey: Huey) -> None:
    add = declared(huey)
    results = await add.map([(number,) for number in range(1050)])
    ids = [result.id for result in results]
    assert [task.id for task in await huey.pending(3)] == ids[:3]
    assert [task.id for task in await huey.pending()] == ids[:1000]
    assert [task.id for task in await huey.pending(limit=None)] == ids
    assert await huey.pending(0) == []
    assert [task.id for task in await huey.pending(queue="default", limit=1)] == ids[:1]
    assert await huey.pending(queue="mail") == []


@pytest.mark.parametrize("limit", [-1, True, "5", 1.5])
async def test_a_limit_is_a_number_of_tasks(huey: Huey, limit: Any) -> None:
    with pytest.raises(ValueError, match="limit must be a number of tasks, or None for all, not"):
        await huey.pending(limit)


async def test_a_queue_is_a_name(huey: Huey) -> None:
    with pytest.raises(ValueError, match="the name of a queue must be"):
        await huey.pending(queue="a b")


async def test_a_task_that_is_not_declared_here_is_listed(huey: Huey) -> None:
    await declared(huey).enqueue(1, b=2)
    elsewhere = MemoryHuey("shop")
    elsewhere._first_storage = (await huey._parts.clients.open()).storage
    async with elsewhere:
        [task] = await elsewhere.pending()
    assert (task.name, task.args, task.kwargs) == ("add", (1,), {"b": 2})


async def test_what_cannot_be_read_is_listed_with_the_reason(huey: Huey) -> None:
    storage = (await huey._parts.clients.open()).storage
    await storage.push([Envelope("odd", b"no message")])
    [task] = await huey.pending()
    assert (task.id, task.name, task.args) == ("odd", "", ())
    assert "odd" in task.problem or "message" in task.problem


async def test_what_was_signed_with_a_key_is_listed_where_the_key_is() -> None:
    async with MemoryHuey("shop", serializer=JSONSerializer(keys=["0123456789abcdef"])) as huey:
        add = declared(huey)
        result = await add.enqueue(1)
        assert [task.args for task in await huey.pending()] == [(1,)]
        await huey.cancel(result)
        [info] = await huey.all_results()
        assert (info.state, info.metadata["type"], info.problem) == (State.CANCELLED, "CancelExecution", "")
