"""The server behind the shared connection: scripts that survive a lost reply, a flushed script cache and a restart."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

from hiredis import pack_command
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from ....core.patience import (
    APART_BYTES,
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    MOST_BROKEN,
    PATIENCE_SECONDS,
    WATCH_SECONDS,
)
from ....exceptions import QueueFull
from .commands import Commands
from .errors import BROKEN, NotConnected, unavailable, will_pass

if TYPE_CHECKING:
    from ..keys import Keys
    from ..scripts import Script
    from .primary import Primary


class Server:
    """Runs commands and scripts, again and again until one reply arrives or patience ends.

    Sending again is safe because every script of aqueue is idempotent: by task id, or by receipt. Large commands,
    and those with a large reply, have a connection of their own: so small ones never wait until a large one has passed.
    """

    def __init__(self, primary: Primary, keys: Keys) -> None:
        self._primary = primary
        self._prefix = keys.prefix
        self._commands = Commands(primary, "commands")
        self._freight = Commands(primary, "freight")

    async def open(self) -> None:
        try:
            await self._commands.connect()
        except (*BROKEN, RedisError) as error:
            raise unavailable(self._primary, error) from error
        self._commands.open()
        self._freight.open()

    async def close(self) -> None:
        await self._commands.close()
        await self._freight.close()

    async def run(self, script: Script, *arguments: Any) -> Any:
        """The reply of `script`.

        Raises:
            QueueUnavailable: no reply, and for some seconds no byte moved.
            QueueFull: the server is out of memory.
        """
        reply, _ = await self._patiently(*script.commands(self._prefix, *arguments))
        return reply

    async def run_noting_repeats(self, script: Script, *arguments: Any) -> tuple[Any, bool]:
        """The reply of `script`, and whether it may have run before, unheard."""
        return await self._patiently(*script.commands(self._prefix, *arguments))

    async def call(self, *arguments: Any) -> Any:
        """The reply of one plain, idempotent command. Raises like ``run``."""
        reply, _ = await self._patiently(arguments, arguments)
        return reply

    async def fetch(self, key: str, field: str, size: int) -> bytes | None:
        """A value of `size` bytes in a hash, or None if it is not there. Raises like ``run``."""
        command = ("HGET", key, field)
        value: bytes | None
        value, _ = await self._patiently(command, command, size)
        return value

    async def watch(self) -> None:
        """Notice within a second that the server is not the primary any more, until cancelled.

        For a process that only listens: nothing else that it does would be refused.
        """
        probe = pack_command(self._primary.probe)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            # An outage ends connections by itself.
            with contextlib.suppress(*BROKEN, RedisError):
                await self._commands.call(probe)

    async def _patiently(
        self, first: tuple[Any, ...], without_script: tuple[Any, ...], reply_bytes: int = 0
    ) -> tuple[Any, bool]:
        packed = pack_command(first)
        line = self._commands if max(len(packed), reply_bytes) <= APART_BYTES else self._freight
        patience = Patience()
        repeated = False
        while True:
            try:
                try:
                    return await line.call(packed), repeated
                except NoScriptError:
                    packed = pack_command(without_script)
                    return await line.call(packed), repeated
            except BROKEN as error:
                if patience.is_over(line.moved_at):
                    raise unavailable(self._primary, error) from error
                repeated = repeated or not isinstance(error, NotConnected)
            except OutOfMemoryError as error:
                raise QueueFull(f"the server at {self._primary} is out of memory (maxmemory): {error}") from error
            except ResponseError as error:
                if not will_pass(error) or patience.is_over(line.moved_at):
                    raise unavailable(self._primary, error) from error
            await patience.wait()


class Patience:
    """How long one call is repeated: for some seconds since the last byte moved, and not for ever if bytes do move."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._still_since = self._now()
        self._broken = 0
        self._longest = FIRST_WAIT_SECONDS

    def is_over(self, moved_at: float) -> bool:
        """Whether the call has failed for good, when bytes were last seen to move at `moved_at`."""
        if moved_at > self._still_since:
            self._still_since = moved_at
            self._broken += 1
        return self._broken > MOST_BROKEN or self._now() + self._longest > self._still_since + PATIENCE_SECONDS

    async def wait(self) -> None:
        """Wait before the next try: longer each time, up to a limit, and at random."""
        await asyncio.sleep(self._longest * random.random())
        self._longest = min(self._longest * 2, LONGEST_WAIT_SECONDS)
