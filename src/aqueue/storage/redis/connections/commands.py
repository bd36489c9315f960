"""One connection that many callers share.

Commands that arrive while a flight is under way leave together in the next one; the replies come back in order. Only
the task that flies them touches the socket: a cancelled caller can never leave half a command or a stray reply behind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from ....core.eager import start
from .errors import BROKEN, is_wrong_server

if TYPE_CHECKING:
    from .primary import Primary

REPLY_SECONDS = 5.0

Arguments = tuple[Any, ...]

_CLOSED = "the connection is closed"


class Commands:
    """The batched command connection of one process."""

    def __init__(self, primary: Primary) -> None:
        self._connection = primary.connection("commands")
        self._queue: list[tuple[Arguments, asyncio.Future[Any]]] = []
        self._flights: asyncio.Task[None] | None = None
        self._is_open = False

    async def open(self) -> None:
        await self._connection.connect()
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        if self._flights is not None:
            self._flights.cancel()
            await asyncio.wait([self._flights])
        # A task that is cancelled before its first step does nothing, so these may still be here.
        _fail(self._queue, RedisConnectionError(_CLOSED))
        await self._connection.close()

    async def call(self, *arguments: Any) -> Any:
        """Send one command and return its reply.

        Raises:
            ResponseError: the server refused it.
            NotConnected: it was not sent.
            one of ``BROKEN``: no reply; the command may have been executed.
        """
        if not self._is_open:
            raise RedisConnectionError(_CLOSED)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((arguments, future))
        if self._flights is None or self._flights.done():
            # In this turn of the loop: somebody waits for the reply.
            self._flights = start(self._fly_until_empty(), name="aqueue-redis-commands")
        return await future

    async def _fly_until_empty(self) -> None:
        while self._queue:
            flight, self._queue = self._queue, []
            try:
                await self._fly(flight)
            except BROKEN as error:
                await self._give_up(flight, error)
            except Exception as error:
                # Bytes that are no reply, say: what follows them on this connection cannot be trusted.
                await self._give_up(flight, RedisConnectionError(repr(error)))
            except asyncio.CancelledError:
                left, self._queue = self._queue, []
                await self._give_up(flight + left, RedisConnectionError(_CLOSED))
                raise

    async def _give_up(self, flight: list[tuple[Arguments, asyncio.Future[Any]]], error: BaseException) -> None:
        await self._connection.give_up()
        _fail(flight, error)

    async def _fly(self, flight: list[tuple[Arguments, asyncio.Future[Any]]]) -> None:
        connection = self._connection
        if not connection.is_connected:
            await connection.connect()
        refusal: ResponseError | None = None
        # Not read_response(timeout=): that returns None when the time is up, which is also what a nil reply looks like.
        async with asyncio.timeout(REPLY_SECONDS):
            await connection.send(*[arguments for arguments, _ in flight])
            for _, future in flight:
                try:
                    reply = await connection.read()
                except BROKEN:
                    raise
                except ResponseError as error:
                    refusal = error
                    if not future.done():
                        future.set_exception(error)
                else:
                    if not future.done():
                        future.set_result(reply)
        if refusal is not None and is_wrong_server(refusal):
            await connection.give_up(refusal)


def _fail(flight: list[tuple[Arguments, asyncio.Future[Any]]], error: BaseException) -> None:
    for _, future in flight:
        if not future.done():
            future.set_exception(error)
            # Marks the exception as retrieved: asyncio must not warn if the caller was cancelled meanwhile.
            future.exception()
