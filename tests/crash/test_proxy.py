"""The proxy itself: a line as slow as it says, an address that leads elsewhere, and one deaf ear."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .proxy import FaultProxy
from .rig import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KIB = 1024


class Greeter:
    """A server that says its name to each client, then sends back all that it gets, and keeps it."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.received = b""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self.name)
            while data := await reader.read(65536):
                self.received += data
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def servers() -> AsyncIterator[list[Greeter]]:
    servers = [Greeter("one"), Greeter("two")]
    for server in servers:
        await server.open()
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
async def proxy(servers: list[Greeter]) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(servers[0].url)
    await proxy.open()
    yield proxy
    await proxy.close()


class Caller:
    """A client that was greeted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: str) -> None:
        self._reader = reader
        self._writer = writer
        self.greeting = greeting

    @classmethod
    async def of(cls, proxy: FaultProxy) -> Caller:
        parts = urlsplit(proxy.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        return cls(reader, writer, (await reader.readexactly(3)).decode())

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def ask(self, data: bytes) -> bytes:
        """Say `data` and hear it again."""
        self.say(data)
        return await self._reader.readexactly(len(data))

    async def seconds_for(self, data: bytes) -> float:
        began = time.monotonic()
        assert await self.ask(data) == data
        return time.monotonic() - began

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def callers(proxy: FaultProxy) -> AsyncIterator[list[Caller]]:
    callers = [await Caller.of(proxy) for _ in range(2)]
    yield callers
    for caller in callers:
        caller.close()


async def test_a_throttled_line_carries_its_bytes_a_second_and_no_more(
    proxy: FaultProxy, callers: list[Caller]
) -> None:
    data = bytes(range(256)) * 4 * 400
    assert await callers[0].seconds_for(data) < 0.3
    proxy.throttle(1000 * KIB)
    # What comes back overtakes nothing, but the two directions work at the same time.
    assert 0.3 < await callers[0].seconds_for(data) < 0.8
    proxy.heal()
    assert await callers[0].seconds_for(data) < 0.3


async def test_all_connections_share_one_line_and_none_waits_behind_the_bytes_of_another(
    proxy: FaultProxy, callers: list[Caller]
) -> None:
    proxy.throttle(1000 * KIB)
    large = [asyncio.ensure_future(caller.seconds_for(bytes(200 * KIB))) for caller in callers]
    await until(lambda: proxy.requests.carried > 50 * KIB, "both under way")
    small = await Caller.of(proxy)
    assert await small.seconds_for(b"small") < 0.1
    assert not any(each.done() for each in large)
    seconds = await asyncio.gather(*large)
    assert max(seconds) > 0.3
    assert abs(seconds[0] - seconds[1]) < 0.1
    small.close()


async def test_a_latency_delays_each_way_and_costs_no_throughput(proxy: FaultProxy, callers: list[Caller]) -> None:
    proxy.throttle(1000 * KIB, latency=0.1)
    assert 0.2 <= await callers[0].seconds_for(b"ping") < 0.35
    assert await callers[0].seconds_for(bytes(200 * KIB)) < 0.8


async def test_an_address_that_leads_elsewhere_leaves_open_links_alone_until_they_are_cut(
    proxy: FaultProxy, servers: list[Greeter], callers: list[Caller]
) -> None:
    proxy.lead_to(servers[1].url)
    assert await callers[0].ask(b"still there") == b"still there"
    newcomer = await Caller.of(proxy)
    assert (callers[0].greeting, newcomer.greeting) == ("one", "two")
    newcomer.close()

    await proxy.cut_links()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await callers[0].ask(b"hello?")
    again = await Caller.of(proxy)
    assert again.greeting == "two"
    again.close()


async def test_requests_of_a_role_can_vanish_while_its_connection_stays(
    proxy: FaultProxy, servers: list[Greeter], callers: list[Caller]
) -> None:
    deaf, other = callers
    await deaf.ask(b"CLIENT SETNAME aq:shop:commands EVAL")
    await other.ask(b"CLIENT SETNAME aq:shop:events SUBSCRIBE")
    proxy.swallow("commands")
    deaf.say(b"lost")
    assert await other.ask(b"heard") == b"heard"
    await until(lambda: proxy.faults == 1, "one request swallowed")
    proxy.heal()
    # The stream of requests has a hole, so what comes after it does not arrive either.
    deaf.say(b"lost too")
    await until(lambda: proxy.faults == 2, "the next one swallowed")
    assert b"lost" not in servers[0].received
