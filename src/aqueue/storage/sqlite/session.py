"""What a SQLite storage has between `open` and `close`, in one process."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from ...exceptions import QueueFull, QueueUnavailable
from .thread import WriterThread
from .wakeup import LocalWaiters, PeerProcesses

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...core.clock import Clock
    from .connection import Transaction
    from .location import Location

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Session:
    """The writer thread, and those who wait for what others write."""

    def __init__(self, location: Location, namespace: str, clock: Clock, *, create: bool) -> None:
        self.pid = os.getpid()
        self.is_closed = False
        self.bells = LocalWaiters()
        self.neighbours = PeerProcesses(location.path, namespace, self.bells.ring)
        self.writer = WriterThread(location, namespace, clock, self.bells, self.neighbours, create=create)
        # A storage that was dropped without `close` takes its thread along.
        weakref.finalize(self, self.writer.stop_unheard)

    async def do(
        self, operation: Callable[Concatenate[Transaction, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """The result of `operation`, once it is committed."""
        try:
            return await self.writer.submit(operation, *args, **kwargs)
        except QueueFull as error:
            raise QueueUnavailable(str(error)) from error

    async def close(self) -> None:
        self.is_closed = True
        self.bells.ring_all()
        await self.writer.stop()
        self.neighbours.close()
