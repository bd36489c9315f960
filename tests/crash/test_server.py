"""A Redis server that is flushed, restarted, filled up, or written to by strangers while workers are busy."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import redis

from aqueue import QueueFull

from ..servers import SERVERS, start_server
from .rig import Rig, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from ..servers import Server

DOWN_SECONDS = 4
# After the restart: more than the rest of a lease, so that its owner seems gone, and well below another lease.
FROZEN_SECONDS = 2.5


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test's own, which keeps what it acknowledges."""
    server = start_server(SERVERS[0], "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.remove()


@pytest.fixture
async def rig(server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(server.url, tmp_path)
    yield rig
    await rig.close()


@pytest.fixture
def operator(server: Server) -> Iterator[redis.Redis]:
    """A hand on the server that is not aqueue's."""
    with redis.Redis.from_url(server.url) as operator:
        yield operator


async def test_a_flushed_server_loses_nothing_that_is_acknowledged_afterwards(rig: Rig, operator: redis.Redis) -> None:
    workers = [rig.start_worker(concurrency=20) for _ in range(2)]
    await rig.up(*workers)
    flushed_at = 0.0
    async with rig.load() as load:
        for _ in range(3):
            await load.grow(by=100)
            operator.flushall()
            flushed_at = time.monotonic()
        await load.grow(by=100)
        results = [
            await rig.enqueue("flaky", 2, priority=3),
            await rig.enqueue("quick", delay=1, queue="default"),
            *load.since(flushed_at),
        ]
    await rig.values(results)
    assert all(worker.is_alive for worker in workers)
    assert rig.starts_of(results[1:]) == [1] * (len(results) - 1)
    await rig.stop(*workers)
    await rig.check_drained()


async def test_a_forgotten_script_and_garbage_in_the_stream_lose_nothing_at_all(
    rig: Rig, operator: redis.Redis
) -> None:
    workers = [rig.start_worker(concurrency=20) for _ in range(2)]
    await rig.up(*workers)
    random = Random(7)
    stream = f"{{aq:{rig.name}}}:stream:default:0"
    garbage: list[dict[Any, Any]] = [
        {b"": b""},
        {b"i": b"", b"p": b""},
        {b"i": b"no-payload"},
        {b"p": b'["quick"]'},
        {b"i": b"empty-payload", b"p": b""},
        {b"i": b"no-object", b"p": b"[]"},
        {b"i": b"no-call", b"p": b'[[],"",1,2]'},
        {b"i": b"bad-arguments", b"p": b'["quick","",7]'},
        {b"i": b"bad-options", b"p": b'["quick","",[],{},0,{"retries":"many","nonsense":1}]'},
        {b"i": b"bad-tag", b"p": b'["quick","",[{"__aq__":["os.system","true"]}]]'},
        {b"i": b"deep", b"p": b"[" * 100_000},
        {b"i": b"bad-counts", b"p": b'["flaky","",[1]]', b"b": b"-1e309", b"f": b"x"},
        {b"i": b"huge-counts", b"p": b'["flaky","",[1]]', b"b": b"9" * 40, b"f": b"9" * 5000},
        {b"i": b"\xff\xfe", b"p": b'["quick"]'},
        {b"i": b"i" * 100_000, b"p": b"\x80\x04K\x01."},
    ]
    async with rig.load() as load:
        for entry in garbage:
            operator.xadd(stream, entry)
            operator.xadd(stream, {random.randbytes(9): random.randbytes(99), b"i": random.randbytes(9)})
            operator.xadd(stream, {b"i": random.randbytes(9), b"p": random.randbytes(99)})
            operator.script_flush()
            await load.grow(by=10)
    results = load.since(0)
    await rig.values(results)
    assert rig.starts_of(results) == [1] * len(results)

    async def drained() -> bool:
        return await rig.count("ready") + await rig.count("running") + await rig.count("scheduled") == 0

    await until(drained, "a verdict on every stranger")
    await rig.stop(*workers)
    await rig.check_drained()


async def test_a_message_that_names_its_waiting_client_cannot_silence_it(rig: Rig, operator: redis.Redis) -> None:
    worker = rig.start_worker()
    waiting = asyncio.create_task((await rig.enqueue("hold", rig.gate())).get(timeout=30))
    await until(lambda: bool(rig.ledger.entries("start")), "the start")
    token = (await rig.huey._parts.clients.open()).token.encode()
    stream = f"{{aq:{rig.name}}}:stream:default:0"
    for task_id in (b"two words", b"two\nlines", b" ", b"\n", b"\xff"):
        operator.xadd(stream, {b"i": task_id, b"p": b'["quick","' + token + b'"]'})
    rig.open(rig.gate())
    assert await waiting == 1
    assert await (await rig.enqueue("quick", "well")).get(timeout=30) == "well"
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_server_that_crashes_and_comes_back_loses_nothing_and_lets_running_tasks_run(
    rig: Rig, server: Server
) -> None:
    gate, lost = rig.gate(), rig.gate("lost")
    victim = rig.start_worker(concurrency=1)
    orphan = await rig.enqueue("hold", lost)
    await rig.started([orphan])
    slow = rig.start_worker(concurrency=10)
    running = list(await rig.enqueue_many(10, "hold", gate))
    await rig.started(running)
    fast = rig.start_worker(concurrency=40)
    running += await rig.enqueue_many(10, "hold", gate)
    await rig.started(running)
    due = [await rig.enqueue("quick", delay=2), await rig.enqueue("quick", delay=5), await rig.enqueue("flaky", 2)]
    async with rig.load() as load:
        await load.grow(by=100)
        victim.kill()
        server.kill()
        slow.freeze()
        await asyncio.sleep(DOWN_SECONDS)
        server.restart()
        await asyncio.sleep(FROZEN_SECONDS)
        slow.wake()
        await load.grow(by=100)
        rig.open(lost)
        # Now somebody takes over again what has no owner any more: what has one could have been taken too.
        assert await orphan.get(timeout=30) == 2
    rig.open(gate)

    assert await rig.values(running) == [1] * 20
    results = [*running, *due[:2], *load.since(0)]
    await rig.values([*results, *due])
    assert rig.starts_of(results) == [1] * len(results)
    assert rig.starts_of([due[2]]) == [3]
    await rig.stop(slow, fast)
    await rig.check_drained()


async def test_a_full_server_refuses_new_tasks_and_can_be_drained(rig: Rig, operator: redis.Redis) -> None:
    worker = rig.start_worker(concurrency=20)
    assert await (await rig.enqueue("quick", "well")).get(timeout=30) == "well"
    held = list(await rig.enqueue_many(20, "hold", rig.gate()))
    await rig.started(held)
    results = [*await rig.enqueue_many(200, "flaky", 2), *[await rig.enqueue("quick", delay=0.5) for _ in range(20)]]
    operator.config_set("maxmemory-policy", "noeviction")
    operator.config_set("maxmemory", 1)
    rig.open(rig.gate())
    with pytest.raises(QueueFull):
        await rig.enqueue("quick")
    with pytest.raises(QueueFull):
        await rig.enqueue("quick", delay=1)
    with pytest.raises(QueueFull):
        await rig.enqueue_many(10, "quick")

    await rig.values([*held, *results])
    assert rig.starts_of(held) == [1] * 20
    assert rig.starts_of(results) == [3] * 200 + [1] * 20
    # A worker that comes and goes meanwhile is no harm either.
    another = rig.start_worker()
    await rig.up(another)
    await rig.stop(worker, another)
    await rig.check_drained()
    operator.config_set("maxmemory", 0)
    last = rig.start_worker()
    assert await (await rig.enqueue("quick", "room")).get(timeout=30) == "room"
    await rig.stop(last)
