"""The event stream of one client: verdicts and progress as they happen, over one pub/sub connection."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from ....core.lifecycle import State
from ....core.patience import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, SILENCE_SECONDS, STILL_SECONDS
from ....exceptions import QueueUnavailable
from ...protocol import CancelAsked, Connected, Due, Freed, Progressed, ScheduleChanged, Settled
from .errors import BROKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...protocol import Event
    from ..keys import Keys
    from .primary import Primary

logger = logging.getLogger("aqueue.redis")

_NEW_LANE = b"lane "


class EventStream:
    """Listens for one client, reconnecting as often as it takes, until cancelled or closed.

    Calls `hear_of` with each lane that is new, for the readers of this process.
    """

    def __init__(self, primary: Primary, keys: Keys, hear_of: Callable[[str], None]) -> None:
        self._primary = primary
        self._connection = primary.connection("events")
        self._keys = keys
        self._hear_of = hear_of
        self._closed = False

    async def close(self) -> None:
        """End ``listen`` with ``QueueUnavailable``."""
        self._closed = True
        await self._connection.close()

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._closed:
            try:
                await self._subscribe(client)
                wait = FIRST_WAIT_SECONDS
                handle(Connected())
                while True:
                    await self._hear(self._keys.replies(client).encode(), handle)
            except (*BROKEN, RedisError):
                # The commands of the same process meet the same outage, and they report it.
                if not self._closed:
                    await asyncio.sleep(wait * random.random())
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            finally:
                await self._connection.give_up()
        raise QueueUnavailable(f"the connection to Redis at {self._primary} was closed")

    async def _subscribe(self, client: str) -> None:
        await self._connection.connect()
        with self._connection.deadline():
            channels = (self._keys.replies(client), self._keys.control)
            await self._connection.send(("SUBSCRIBE", *channels))
            for _ in channels:
                await self._connection.read()

    async def _hear(self, reply_channel: bytes, handle: Callable[[Event], None]) -> None:
        _, channel, data = await self._next_message()
        try:
            if channel != reply_channel and data.startswith(_NEW_LANE):
                self._hear_of(data.removeprefix(_NEW_LANE).decode())
                return
            events = list(_replies(data) if channel == reply_channel else _hints(data))
        except ValueError:
            # Anybody can publish here, and push an id that this format cannot carry: only a second look is late then.
            logger.warning("Not a message of aqueue on a channel of its own: %.100r", data)
            return
        for event in events:
            handle(event)

    async def _next_message(self) -> list[bytes]:
        silent = False
        moved = None
        while True:
            try:
                async with asyncio.timeout(STILL_SECONDS if silent else SILENCE_SECONDS):
                    message: list[bytes] = await self._connection.read(disconnect_on_error=False)
            except TimeoutError:
                # A large message may be on its way for longer.
                if silent and self._connection.bytes_moved() == moved:
                    raise
                silent = True
                moved = self._connection.bytes_moved()
                await self._connection.send(("PING",))
            else:
                silent = False
                if message[0] == b"message":
                    return message


def _hints(data: bytes) -> Iterator[Event]:
    """The events in one message of the control channel, as parts/enter, advance, cancel and release.lua write it."""
    kind, _, rest = data.partition(b" ")
    if kind == b"due":
        yield Due(int(rest))
    elif kind == b"freed":
        yield Freed(rest.decode())
    elif kind == b"cancel":
        yield CancelAsked(rest.decode())
    elif kind == b"schedule":
        yield ScheduleChanged(rest.decode())


def _replies(data: bytes) -> Iterator[Event]:
    """The events in one message of the channel of a client, as parts/verdict and report.lua write it."""
    kind, _, rest = data.partition(b"\n")
    if kind == b"progress":
        task_id, _, progress = rest.partition(b"\n")
        yield Progressed(task_id.decode(), progress)
    elif kind == b"settled":
        while rest:
            head, _, rest = rest.partition(b"\n")
            task_id, state, size = head.split(b" ")
            length = int(size)
            told = length >= 0
            yield Settled(task_id.decode(), State(state.decode()), rest[:length] if told else None)
            if told:
                rest = rest[length:]
