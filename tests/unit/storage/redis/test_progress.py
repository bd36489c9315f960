"""Deadlines on real connections: they end what stands still, and leave alone what moves."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from aqueue.storage.redis.connections import progress
from aqueue.storage.redis.connections.progress import Deadline, bytes_moved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Connected = tuple[asyncio.StreamReader, asyncio.Transport]
    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

STILL = 0.4

counts_bytes = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes of a connection")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STILL_SECONDS", STILL)
    monkeypatch.setattr(progress, "GLANCE_SECONDS", STILL / 8)


@asynccontextmanager
async def connected(serve: Serve, path: Path | None = None) -> AsyncIterator[Connected]:
    """A connection to a server that does `serve`, at a Unix socket if there is a `path`."""

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    if path is None:
        server = await asyncio.start_server(serve_and_close, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    else:
        server = await asyncio.start_unix_server(serve_and_close, path)
        reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer.transport
    finally:
        writer.close()
        server.close()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def say_little_by_little(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _ in range(12):
        writer.write(b"x")
        await asyncio.sleep(STILL / 4)


async def test_a_connection_on_which_nothing_moves_ends() -> None:
    async with connected(say_nothing) as (reader, transport):
        began = asyncio.get_running_loop().time()
        with pytest.raises(RedisTimeoutError, match="nothing moved"), Deadline(transport):
            await reader.readexactly(1)
        assert STILL <= asyncio.get_running_loop().time() - began < 20 * STILL
        assert transport.is_closing()


@counts_bytes
async def test_a_reply_that_comes_little_by_little_may_take_as_long_as_it_takes() -> None:
    async with connected(say_little_by_little) as (reader, transport):
        with Deadline(transport) as deadline:
            assert await reader.readexactly(12) == b"x" * 12
        assert deadline.moved_at > 0


@counts_bytes
async def test_a_command_that_leaves_little_by_little_may_take_as_long_as_it_takes() -> None:
    size = 32 * 2**20

    async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(8):
            await asyncio.sleep(STILL / 4)
            await reader.readexactly(size // 8)
        writer.write(b"x")

    async with connected(read_slowly) as (reader, transport):
        with Deadline(transport):
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(bytes(size))
            assert await reader.readexactly(1) == b"x"


async def test_a_server_may_be_silent_for_longer_where_that_was_asked_for() -> None:
    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * STILL)
        writer.write(b"x")

    async with connected(answer_late) as (reader, transport):
        with Deadline(transport, quiet=3 * STILL):
            assert await reader.readexactly(1) == b"x"


async def test_on_a_unix_socket_a_reply_has_a_fixed_time(tmp_path: Path) -> None:
    async with connected(say_little_by_little, tmp_path / "socket") as (reader, transport):
        assert bytes_moved(transport) is None
        with pytest.raises(RedisTimeoutError), Deadline(transport):
            await reader.readexactly(12)


async def test_a_connection_that_answers_in_time_is_left_alone() -> None:
    async with connected(say_little_by_little) as (reader, transport):
        with Deadline(transport):
            assert await reader.readexactly(1) == b"x"
        assert await reader.readexactly(11) == b"x" * 11


async def test_a_cancelled_block_is_cancelled() -> None:
    async with connected(say_nothing) as (reader, transport):

        async def wait() -> None:
            with Deadline(transport):
                await reader.readexactly(1)

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not transport.is_closing()
