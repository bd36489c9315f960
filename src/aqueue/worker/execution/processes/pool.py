"""A bounded number of child processes, which are started on demand and used again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ..slots import Slots
from .process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ....core.message import Delivery
    from .target import Target


class ProcessPool:
    """At most `size` children at any moment, including those that are being killed.

    The caller holds one of `slots` while it uses ``running``.
    """

    def __init__(self, size: int) -> None:
        self.slots = Slots(size)
        self._children: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []

    @contextlib.asynccontextmanager
    async def running(self, target: Target, delivery: Delivery) -> AsyncIterator[ChildProcess]:
        """A context with a child in which the body has begun. Leaving the context before the body ends kills the child.

        Raises:
            ProcessDied, ChildRaised: the body could not begin.
        """
        child = await self._take()
        try:
            await child.begin(target, delivery)
            yield child
        finally:
            if child.is_idle:
                self._idle.append(child)
            else:
                await self._kill(child)

    async def close(self) -> None:
        """Let the idle children end, and kill the others."""
        self._idle.clear()
        await asyncio.gather(*(child.stop() if child.is_idle else child.kill() for child in self._children))
        self._children.clear()

    async def _take(self) -> ChildProcess:
        # Take the most recently used child: the system can swap the others out.
        while self._idle:
            child = self._idle.pop()
            if not child.is_gone:
                return child
            await self._kill(child)
        child = ChildProcess()
        self._children.add(child)
        return child

    async def _kill(self, child: ChildProcess) -> None:
        await child.kill()
        self._children.discard(child)
