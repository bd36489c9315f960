"""The lines of an application to its store: one client for each event loop that uses it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ..core.clock import Clock
    from ..storage.protocol import Storage
    from .client import Client, Lender


class ClientPerLoop(dict[asyncio.AbstractEventLoop, "Client"]):
    """Open clients by event loop. `take_storage` returns the storage for a new client, and `clock` is its clock."""

    def __init__(self, take_storage: Callable[[], Storage], clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self._take_storage = take_storage
        self._lenders: list[Lender] = []
        self._opening: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    async def open(self) -> Client:
        """The client of the running event loop, opened on first use.

        Raises:
            QueueUnavailable: the store cannot be reached.
            ConfigurationError: the store can be reached, but cannot serve as a queue.
        """
        loop = asyncio.get_running_loop()
        client = self.get(loop)
        if client is None:
            async with self._opening.setdefault(loop, asyncio.Lock()):
                client = self.get(loop)
                if client is None:
                    # Imported on use: a module that only declares tasks loads much less.
                    from .client import Client

                    self._forget_closed_loops()
                    client = Client(self._take_storage(), self._lenders)
                    await client.open()
                    self[loop] = client
        return client

    @contextlib.contextmanager
    def lend_by(self, lender: Lender) -> Iterator[None]:
        """Let every wait for a result, in any event loop, take place inside `lender` while the block runs."""
        self._lenders.append(lender)
        try:
            yield
        finally:
            self._lenders.remove(lender)

    async def storage(self) -> Storage:
        """The storage of the running event loop's client; raises like ``open``."""
        return (await self.open()).storage

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[Client]:
        """The client of the running event loop, which ``close`` leaves open until the block ends; raises like ``open``.

        A task may close the application: its worker still needs the line for the verdict of that task.
        """
        client = await self.open()
        client.held += 1
        try:
            yield client
        finally:
            client.held -= 1
            if client.is_given_up:
                await self.close()

    async def close(self) -> None:
        """Close the client of the running event loop, or let it be closed by the last one that holds it."""
        loop = asyncio.get_running_loop()
        client = self.get(loop)
        if client is None:
            return
        if client.held:
            client.is_given_up = True
        else:
            del self[loop]
            await client.close()

    def switch(self, take_storage: Callable[[], Storage], clock: Clock) -> None:
        """Close every client, each in its own event loop; new clients use `take_storage` and `clock`."""
        self._take_storage = take_storage
        self.clock = clock
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
