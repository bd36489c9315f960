"""The lines of an application to its store: one client for each event loop that uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..storage.protocol import Storage
    from .client import Client


class Clients(dict[asyncio.AbstractEventLoop, "Client"]):
    """Open clients by event loop. `take_storage` gives the storage of a new one."""

    def __init__(self, take_storage: Callable[[], Storage]) -> None:
        super().__init__()
        self._take_storage = take_storage
        self._opening: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    async def open(self) -> Client:
        """The client of the running event loop, opened on first use."""
        loop = asyncio.get_running_loop()
        client = self.get(loop)
        if client is None:
            async with self._opening.setdefault(loop, asyncio.Lock()):
                client = self.get(loop)
                if client is None:
                    # Imported on use: a module that only declares tasks has a fraction to load.
                    from .client import Client

                    self._forget_closed_loops()
                    client = Client(self._take_storage())
                    await client.open()
                    self[loop] = client
        return client

    async def close(self) -> None:
        """Close the client of the running event loop."""
        client = self.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def close_all(self) -> None:
        """Have every client closed, each in its own event loop."""
        self._forget_closed_loops()
        while self:
            loop, client = self.popitem()
            asyncio.run_coroutine_threadsafe(client.close(), loop)

    def _forget_closed_loops(self) -> None:
        # Copied first: other threads open clients for their own event loops meanwhile.
        for loop in [*self, *self._opening]:
            if loop.is_closed():
                self.pop(loop, None)
                self._opening.pop(loop, None)
