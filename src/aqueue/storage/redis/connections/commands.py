"""One connection that many callers share.

Commands that arrive while a flight is under way leave together in the next one; the replies come back in order. Only
the task that flies them touches the socket: a cancelled caller can never leave half a command or a stray reply behind.
"""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from ....core.eager import start
from ....core.patience import next_flight
from .errors import BROKEN, is_wrong_server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .primary import Primary

    _Call: TypeAlias = tuple[bytes, asyncio.Future[Any]]

_packed: Callable[[_Call], bytes] = itemgetter(0)
_CLOSED = "the connection is closed"


class Commands:
    """A batched command connection of one process. `moved_at` is when bytes were seen to move in a flight that failed,
    on the clock of the event loop."""

    def __init__(self, primary: Primary, role: str) -> None:
        self.moved_at = 0.0
        self._connection = primary.connection(role)
        self._queue: list[_Call] = []
        self._flights: asyncio.Task[None] | None = None
        self._is_open = False

    def open(self) -> None:
        """Accept commands. The first one connects."""
        self._is_open = True

    async def connect(self) -> None:
        """Connect before the first command; raises like ``call``."""
        await self._connection.connect()

    async def close(self) -> None:
        self._is_open = False
        if self._flights is not None:
            self._flights.cancel()
            await asyncio.wait([self._flights])
        # A task that is cancelled before its first step does nothing, so these may still be here.
        _fail(self._queue, RedisConnectionError(_CLOSED))
        await self._connection.close()

    async def call(self, packed: bytes) -> Any:
        """Send one command and return its reply.

        Raises:
            ResponseError: the server refused it.
            NotConnected: it was not sent.
            one of ``BROKEN``: no reply; the command may have been executed.
        """
        if not self._is_open:
            raise RedisConnectionError(_CLOSED)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((packed, future))
        if self._flights is None or self._flights.done():
            # In this turn of the loop: somebody waits for the reply.
            self._flights = start(self._fly_until_empty(), name="aqueue-redis-commands")
        return await future

    async def _fly_until_empty(self) -> None:
        while self._queue:
            flight = next_flight(self._queue, 0, len(self._queue), _packed)
            self._queue = self._queue[len(flight) :]
            try:
                await self._fly(flight)
            except BROKEN as error:
                await self._give_up(flight, error)
            except Exception as error:
                # Bytes that are no reply, say: what follows them on this connection cannot be trusted.
                await self._give_up(flight, RedisConnectionError(repr(error)))
            except asyncio.CancelledError:
                left, self._queue = self._queue, []
                await self._give_up([*flight, *left], RedisConnectionError(_CLOSED))
                raise

    async def _give_up(self, flight: Sequence[_Call], error: BaseException) -> None:
        await self._connection.give_up()
        _fail(flight, error)

    async def _fly(self, flight: Sequence[_Call]) -> None:
        connection = self._connection
        if not connection.is_connected:
            await connection.connect()
        refusal: ResponseError | None = None
        deadline = connection.deadline()
        try:
            with deadline:
                await connection.send_packed([packed for packed, _ in flight])
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
        finally:
            self.moved_at = deadline.moved_at
        if refusal is not None and is_wrong_server(refusal):
            await connection.give_up(refusal)


def _fail(flight: Sequence[_Call], error: BaseException) -> None:
    for _, future in flight:
        if not future.done():
            future.set_exception(error)
            # Marks the exception as retrieved: asyncio must not warn if the caller was cancelled meanwhile.
            future.exception()
