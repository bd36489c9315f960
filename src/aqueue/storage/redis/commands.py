"""One connection that many callers share.

Commands that arrive while a flight is under way leave together in the next one; the replies come back in order. Only
the owner loop touches the socket, so that a cancelled caller can never leave half a command or a stray reply behind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hiredis import pack_command
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from .address import Address

REPLY_SECONDS = 5.0

# What ends a connection. Reply errors that redis-py derives from ConnectionError (LOADING, NOAUTH) are among them: the
# connection is of no use then either.
BROKEN = (RedisConnectionError, RedisTimeoutError, OSError, EOFError)

Arguments = tuple[Any, ...]


class Commands:
    """The batched command connection of one process."""

    def __init__(self, address: Address, name: str) -> None:
        self._connection = address.async_connection(name)
        self._queue: list[tuple[Arguments, asyncio.Future[Any]]] = []
        self._queued = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._connection.connect()
        self._owner = asyncio.create_task(self._own(), name="aqueue-redis-commands")

    async def close(self) -> None:
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait([self._owner])
            self._owner = None
        await self._connection.disconnect()

    async def call(self, *arguments: Any) -> Any:
        """Send one command and return its reply.

        Raises:
            ResponseError: the server refused it.
            RedisConnectionError, RedisTimeoutError: no reply; the command may have been executed.
        """
        if self._owner is None:
            raise RedisConnectionError("the connection is closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((arguments, future))
        self._queued.set()
        return await future

    async def _own(self) -> None:
        flight: list[tuple[Arguments, asyncio.Future[Any]]] = []
        try:
            while True:
                await self._queued.wait()
                self._queued.clear()
                flight, self._queue = self._queue, []
                try:
                    await self._fly(flight)
                except BROKEN as error:
                    await self._connection.disconnect(nowait=True)
                    _fail(flight, error)
                except Exception as error:
                    # Bytes that are no reply, say: what follows them on this connection cannot be trusted.
                    await self._connection.disconnect(nowait=True)
                    _fail(flight, RedisConnectionError(repr(error)))
        finally:
            _fail(flight + self._queue, RedisConnectionError("the connection was closed"))
            self._queue = []

    async def _fly(self, flight: list[tuple[Arguments, asyncio.Future[Any]]]) -> None:
        connection = self._connection
        # Not read_response(timeout=): that returns None when the time is up, which is also what a nil reply looks like.
        async with asyncio.timeout(REPLY_SECONDS):
            if not connection.is_connected:
                await connection.connect()
            # hiredis packs a batch in a fifth of the time that redis-py's own pack_command takes.
            packed = [pack_command(arguments) for arguments, _ in flight]
            await connection.send_packed_command(packed, check_health=False)
            for _, future in flight:
                try:
                    reply = await connection.read_response()
                except BROKEN:
                    raise
                except ResponseError as error:
                    if not future.done():
                        future.set_exception(error)
                else:
                    if not future.done():
                        future.set_result(reply)


def _fail(flight: list[tuple[Arguments, asyncio.Future[Any]]], error: BaseException) -> None:
    for _, future in flight:
        if not future.done():
            future.set_exception(error)
            # A caller that was cancelled never looks at it, which is no reason for a warning.
            future.exception()
