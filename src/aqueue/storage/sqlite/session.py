"""What a SQLite storage has between `open` and `close`, in one process."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from .thread import WriterThread
from .wakeup import LocalWaiters, PeerProcesses

if TYPE_CHECKING:
    from ...core.clock import Clock
    from .location import Location


class Session:
    """The writer thread, the callers that wait in this process, and the other processes that may wake them."""

    def __init__(self, location: Location, namespace: str, clock: Clock, *, create: bool) -> None:
        self.pid = os.getpid()
        self.is_closed = False
        self.waiters = LocalWaiters()
        self.peers = PeerProcesses(location.path, namespace, self.waiters.wake)
        self.writer = WriterThread(location, namespace, clock, self.waiters, self.peers, create=create)
        # A storage that was dropped without `close` takes its thread along.
        weakref.finalize(self, self.writer.stop_unheard)

    async def close(self) -> None:
        self.is_closed = True
        self.waiters.wake_all()
        await self.writer.stop()
        self.peers.close()
