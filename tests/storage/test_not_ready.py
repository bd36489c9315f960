"""Servers that refuse for a moment, or for good because they are not the primary."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
import redis

from aqueue import Huey, QueueUnavailable

from ..servers import start_pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aqueue.tasks.task import Task

    from ..servers import Server

# Until the refusal ends: several tries, and well within the patience of a call.
REFUSING_SECONDS = 1.5


@pytest.fixture
def operator(redis_server: Server) -> Iterator[redis.Redis]:
    """A hand on the server that is not aqueue's."""
    with contextlib.closing(redis.Redis.from_url(redis_server.url)) as operator:
        yield operator


@pytest.fixture
async def add(redis_server: Server) -> AsyncIterator[Task[[int, int], int]]:
    huey = Huey("shop", redis_server.url)

    @huey.task
    async def add(a: int, b: int) -> int:
        return a + b

    async with huey:
        yield add


async def test_a_primary_that_lacks_its_replicas_is_waited_for(
    operator: redis.Redis, add: Task[[int, int], int]
) -> None:
    operator.config_set("min-replicas-to-write", 1)
    sending = asyncio.create_task(add.enqueue(1, 2))
    await asyncio.wait([sending], timeout=REFUSING_SECONDS)
    assert not sending.done()
    operator.config_set("min-replicas-to-write", 0)
    assert (await sending).created


async def test_a_server_that_is_busy_with_a_script_is_waited_for(
    operator: redis.Redis, add: Task[[int, int], int]
) -> None:
    operator.config_set("lua-time-limit", 50)
    script = threading.Thread(target=run_until_killed, args=(operator,))
    script.start()
    try:
        await until_busy(operator)
        sending = asyncio.create_task(add.enqueue(1, 2))
        await asyncio.wait([sending], timeout=REFUSING_SECONDS)
        assert not sending.done()
    finally:
        operator.script_kill()
        script.join()
    assert (await sending).created


async def test_a_refusal_that_lasts_is_an_error_that_names_it(
    operator: redis.Redis, add: Task[[int, int], int]
) -> None:
    operator.config_set("min-replicas-to-write", 1)
    with pytest.raises(QueueUnavailable, match="NOREPLICAS"):
        await add.enqueue(1, 2)


async def test_a_replica_is_refused_at_once() -> None:
    primary, replica = start_pair()
    try:
        huey = Huey("shop", replica.url)
        with pytest.raises(QueueUnavailable, match="READONLY"):
            await asyncio.wait_for(huey.__aenter__(), 2)
    finally:
        primary.remove()
        replica.remove()


def run_until_killed(operator: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError):
        operator.eval("while true do end", 0)


async def until_busy(operator: redis.Redis) -> None:
    while True:
        with contextlib.suppress(redis.ResponseError):
            operator.ping()
            await asyncio.sleep(0.01)
            continue
        return
