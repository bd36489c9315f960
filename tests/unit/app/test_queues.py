"""Pausing, purging and flushing, as the application offers it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aqueue import Huey, MemoryHuey, ResultNotFound, State, TaskException
from aqueue.core.message import Envelope

from ...tour.running import running


def declared(huey: Huey, **options: Any) -> Any:
    @huey.task(name="add", **options)
    async def add(a: int, b: int = 10) -> int:
        return a + b

    return add


# -- pausing


async def test_a_worker_starts_nothing_of_a_paused_queue(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    add = declared(huey)
    async with running(huey, queues=["default", "mail"]):
        assert await huey.queues.pause()
        assert await huey.queues.resume()
        assert await huey.queues.pause("mail")
        stopped = await add.options(queue="mail").enqueue(1)
        assert await (await add.enqueue(2)).get(timeout=10) == 12
        assert await stopped.status() is State.QUEUED
        assert await huey.queues.resume("mail")
        assert await stopped.get(timeout=10) == 11


async def test_what_runs_goes_on_when_everything_is_paused(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    started, go = asyncio.Event(), asyncio.Event()

    @huey.task(name="hold")
    async def hold() -> str:
        started.set()
        await go.wait()
        return "let go"

    async with running(huey):
        held = await hold.enqueue()
        await started.wait()
        await huey.queues.pause()
        waiting = await declared(huey).enqueue(1)
        go.set()
        assert await held.get(timeout=10) == "let go"
        assert await waiting.status() is State.QUEUED
        assert await huey.queues.paused() == {"*"}
        await huey.queues.resume()
        assert await waiting.get(timeout=10) == 11


async def test_a_pause_is_named_and_told_once(huey: Huey) -> None:
    assert await huey.queues.pause("mail")
    assert not await huey.queues.pause("mail")
    assert await huey.queues.paused() == {"mail"}
    assert not await huey.queues.resume()
    assert await huey.queues.resume("mail")
    assert not await huey.queues.resume("mail")
    for call in (huey.queues.pause, huey.queues.resume, huey.queues.purge):
        with pytest.raises(ValueError, match="the name of a queue must be"):
            await call("*")


async def test_a_burst_ends_before_a_paused_queue(huey: Huey) -> None:
    waiting = await declared(huey).enqueue(1)
    await huey.queues.pause()
    async with asyncio.timeout(10):
        await huey.create_worker(burst=True).run()
    assert await waiting.status() is State.QUEUED


async def test_in_immediate_mode_what_was_paused_runs_when_it_is_resumed() -> None:
    async with MemoryHuey("shop", immediate=True) as huey:
        await huey.queues.pause("default")
        result = await declared(huey).enqueue(1)
        assert await result.status() is State.QUEUED
        await huey.queues.resume("default")
        assert await result.get(timeout=0) == 11


# -- purging


async def test_a_purge_cancels_what_waits_in_a_queue(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    add = declared(huey, queue="mail")
    waiting = await add.map([(number,) for number in range(250)])
    later = [await add.options(delay=3600).enqueue(number) for number in range(5)]
    other = await add.options(queue="default").enqueue(1)
    assert await huey.queues.purge("mail") == 255
    for result in (waiting[0], waiting[249], *later):
        with pytest.raises(TaskException, match="purged with its queue") as raised:
            await result.get(timeout=10)
        assert raised.value.state == "cancelled"
    assert await other.status() is State.QUEUED
    assert await huey.queues.purge("mail") == 0
    assert await huey.queues.purge(None) == 1
    assert await huey.pending_count() == await huey.scheduled_count() == 0


async def test_a_purge_leaves_alone_what_runs(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    started, go = asyncio.Event(), asyncio.Event()

    @huey.task(name="hold")
    async def hold() -> str:
        started.set()
        await go.wait()
        return "let go"

    async with running(huey, concurrency=1):
        held, waiting = await hold.enqueue(), await hold.enqueue()
        await started.wait()
        assert await huey.queues.purge("default") == 1
        go.set()
        assert await held.get(timeout=10) == "let go"
        assert await waiting.status() is State.CANCELLED


async def test_those_who_wait_hear_of_a_purge(huey: Huey) -> None:
    result = await declared(huey).enqueue(1)
    waiting = asyncio.create_task(result.get(timeout=10))
    await asyncio.sleep(0)
    await huey.queues.purge("default")
    with pytest.raises(TaskException, match="purged"):
        await waiting


async def test_a_purge_takes_what_cannot_be_read_along(huey: Huey) -> None:
    await (await huey._parts.clients.open()).storage.push([Envelope("odd", b"no message")])
    assert await huey.queues.purge("default") == 1
    assert await huey.result("odd").status() is State.CANCELLED


# -- flushing


async def test_nothing_is_left_after_a_flush(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    add = declared(huey)
    async with running(huey):
        done = await add.enqueue(1)
        await done.get(timeout=10)
        with pytest.raises(TaskException):
            await (await add.enqueue("a")).get(timeout=10)
    waiting, _ = await add.enqueue(2), await add.options(delay=60).enqueue(3)
    await huey.put("key", 1)
    await huey.revoke(add)
    assert await huey.flush() == 4
    assert [await huey.pending_count(), await huey.scheduled_count(), await huey.result_count()] == [0, 0, 0]
    assert await huey.dead.list() == []
    assert await huey.get("key") is None
    assert not await huey.is_revoked(add)
    for result in (huey.result(done.id), waiting):
        with pytest.raises(ResultNotFound):
            await result.get(timeout=10)
    async with running(huey):
        assert await (await add.enqueue(4)).get(timeout=10) == 14


async def test_a_worker_goes_on_after_a_flush(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    add = declared(huey)
    async with running(huey):
        assert await (await add.enqueue(1)).get(timeout=10) == 11
        await huey.flush()
        assert await (await add.enqueue(2)).get(timeout=20) == 12
