"""An address that leads to a promoted replica, while the old primary lives on and closes no connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import redis

from aqueue import Huey

from ..servers import start_pair, start_server
from .app import declare
from .proxy import FaultProxy
from .rig import LEASE, Rig, task_of, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from ..servers import Server

# After the address leads to the new primary.
HEALED_SECONDS = 2


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    servers = start_pair()
    yield servers
    for server in servers:
        server.remove()


@pytest.fixture
async def address(pair: tuple[Server, Server]) -> AsyncIterator[FaultProxy]:
    """Where the primary is, as workers and producers know it."""
    proxy = FaultProxy(pair[0].url)
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.fixture
async def rig(pair: tuple[Server, Server], address: FaultProxy, tmp_path: Path) -> AsyncIterator[Rig]:
    """It looks at the server that will be the primary in the end."""
    rig = Rig(pair[1].url, tmp_path)
    yield rig
    await rig.close()


@pytest.fixture
async def producer(rig: Rig, address: FaultProxy) -> AsyncIterator[Huey]:
    """A process that enqueues and awaits: a web process, say."""
    async with declare(Huey(rig.name, address.url), rig.ledger) as producer:
        yield producer


def roles_at(server: Server, rig: Rig) -> list[str]:
    """The roles of the application's connections to `server`."""
    with redis.Redis.from_url(server.url) as operator:
        names = [client["name"].split(":") for client in operator.client_list()]
    return sorted(name[2] for name in names if name[:2] == ["aq", rig.name])


async def fail_over(pair: tuple[Server, Server], address: FaultProxy) -> None:
    """Demote the primary, which lives on and closes nothing, and lead the address to the new one."""
    await asyncio.to_thread(pair[0].hand_over, pair[1])
    address.lead_to(pair[1].url)


async def test_workers_and_producers_go_on_at_the_new_primary_without_a_restart(
    rig: Rig, pair: tuple[Server, Server], address: FaultProxy, producer: Huey
) -> None:
    hold, quick = task_of(producer, "hold"), task_of(producer, "quick")
    worker = rig.start_worker(url=address.url)
    held = [await hold.enqueue(rig.gate()) for _ in range(3)]
    await rig.started(held)
    waiting: asyncio.Task[list[Any]] = asyncio.ensure_future(asyncio.gather(*(each.get(timeout=60) for each in held)))

    await fail_over(pair, address)

    async with asyncio.timeout(HEALED_SECONDS):
        after = [await quick.enqueue(number) for number in range(3)]
        # Each connection of the worker has to move: the one that reads, and the one that records verdicts.
        assert [await each.get() for each in after] == [0, 1, 2]
    rig.open(rig.gate())
    async with asyncio.timeout(HEALED_SECONDS):
        assert await waiting == [1, 1, 1]
    assert rig.starts_of([*held, *after]) == [1] * 6
    await rig.stop(worker)
    await rig.check_drained()


async def test_idle_workers_and_waiting_producers_move_to_the_new_primary(
    rig: Rig, pair: tuple[Server, Server], address: FaultProxy, producer: Huey
) -> None:
    worker = rig.start_worker(url=address.url)
    before = await task_of(producer, "quick").enqueue("before")
    assert await before.get(timeout=30) == "before"
    waiting = asyncio.create_task((await task_of(producer, "quick").options(delay=4).enqueue("due")).get(timeout=60))
    await fail_over(pair, address)

    # By a process that has nothing to do with the old primary.
    new = await rig.enqueue("quick", "new")
    assert await new.get(timeout=HEALED_SECONDS) == "new"
    assert await asyncio.wait_for(waiting, 4 + HEALED_SECONDS) == "due"

    async def listed_once() -> bool:
        return [found.consumer.split(".")[-2] for found in await rig.huey.queues.workers()] == [str(worker.pid)]

    await until(listed_once, "the worker's sign of life at the new primary")
    await rig.stop(worker)
    await rig.check_drained()


async def test_every_connection_leaves_a_primary_that_was_demoted(
    rig: Rig, pair: tuple[Server, Server], address: FaultProxy, producer: Huey
) -> None:
    worker = rig.start_worker(url=address.url)
    held = await task_of(producer, "hold").enqueue(rig.gate())
    waiting = asyncio.create_task(held.get(timeout=30))
    await rig.started([held])
    both = ["commands", "commands", "events", "events", "leases", "reader"]
    assert roles_at(pair[0], rig) == both
    await fail_over(pair, address)

    # Nobody enqueues, and nothing ends: they have to find it out by themselves. Leases move when they are renewed.
    await until(lambda: set(roles_at(pair[0], rig)) <= {"leases"}, "connections that have moved", HEALED_SECONDS)
    await until(lambda: roles_at(pair[1], rig) == both, "connections to the new primary", LEASE / 3 + 1)
    assert roles_at(pair[0], rig) == []
    rig.open(rig.gate())
    assert await waiting == 1
    await rig.stop(worker)


async def test_all_connections_follow_the_first_one_that_finds_a_new_server_at_the_address(
    rig: Rig, pair: tuple[Server, Server], address: FaultProxy, producer: Huey
) -> None:
    other = start_server()
    try:
        waiting = asyncio.create_task((await task_of(producer, "quick").enqueue()).get())
        await until(lambda: roles_at(pair[0], rig) == ["commands", "events"], "two connections")
        # The old primary stays one, as when a network is split.
        address.lead_to(other.url)
        address.cut("commands")
        lost = asyncio.create_task(task_of(producer, "quick").enqueue())
        await until(lambda: address.faults > 0, "a lost connection")
        address.heal()
        await lost
        await until(lambda: roles_at(other, rig) == ["commands", "events"], "both at the new server", HEALED_SECONDS)
        assert roles_at(pair[0], rig) == []
        waiting.cancel()
    finally:
        other.remove()
