"""The server behind the shared connection: scripts that survive a lost reply, a flushed script cache and a restart."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from ....exceptions import QueueFull
from .commands import Commands
from .errors import BROKEN, NotConnected, unavailable, will_pass

if TYPE_CHECKING:
    from ..keys import Keys
    from ..scripts import Script
    from .primary import Primary

PATIENCE_SECONDS = 5.0
WATCH_SECONDS = 1.0

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 1.0


class Server:
    """Runs commands and scripts, again and again until one reply arrives or patience ends.

    Sending again is safe because every script of aqueue is idempotent: by task id, or by receipt.
    """

    def __init__(self, primary: Primary, keys: Keys) -> None:
        self._primary = primary
        self._prefix = keys.prefix
        self._commands = Commands(primary)

    async def open(self) -> None:
        try:
            await self._commands.open()
        except (*BROKEN, RedisError) as error:
            raise unavailable(self._primary, error) from error

    async def close(self) -> None:
        await self._commands.close()

    async def run(self, script: Script, *arguments: Any) -> Any:
        """The reply of `script`.

        Raises:
            QueueUnavailable: no reply within a few seconds.
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

    async def watch(self) -> None:
        """Notice within a second that the server is not the primary any more, until cancelled.

        For a process that only listens: nothing else that it does would be refused.
        """
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            # An outage ends connections by itself.
            with contextlib.suppress(*BROKEN, RedisError):
                await self._commands.call(*self._primary.probe)

    async def _patiently(self, first: tuple[Any, ...], without_script: tuple[Any, ...]) -> tuple[Any, bool]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        wait = _FIRST_WAIT
        repeated = False
        while True:
            try:
                try:
                    return await self._commands.call(*first), repeated
                except NoScriptError:
                    return await self._commands.call(*without_script), repeated
            except BROKEN as error:
                if time.monotonic() + wait > deadline:
                    raise unavailable(self._primary, error) from error
                repeated = repeated or not isinstance(error, NotConnected)
            except OutOfMemoryError as error:
                raise QueueFull(f"the server at {self._primary} is out of memory (maxmemory): {error}") from error
            except ResponseError as error:
                if not will_pass(error) or time.monotonic() + wait > deadline:
                    raise unavailable(self._primary, error) from error
            # Full jitter: a thousand clients of one restarted server must not come back in step.
            await asyncio.sleep(wait * random.random())
            wait = min(wait * 2, _LONGEST_WAIT)
