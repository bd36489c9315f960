"""Group commit: concurrent callers share one round trip without waiting for a timer.

The first caller's item leaves at once. What arrives while that batch is under way forms the next one. So a lone call
costs one round trip, and a thousand concurrent calls cost a few.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from .exceptions import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Reply = TypeVar("Reply")

# How many items may wait before callers do: a million concurrent enqueues must not become a million encoded messages.
_ROOM = 10_000
_CLOSED = "the application was closed while a call was under way"


class GroupCommit(Generic[Item, Reply]):
    """Collects items for `commit`, which takes a batch and gives one reply per item, in order.

    A batch that raises fails every caller in it with that error. Whoever waits when `run` ends, or comes later, gets
    ``QueueUnavailable``.
    """

    def __init__(self, commit: Callable[[list[Item]], Awaitable[Sequence[Reply]]], largest_batch: int = 500) -> None:
        self._commit = commit
        self._largest_batch = largest_batch
        self._waiting: list[tuple[Item, asyncio.Future[Reply]]] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Semaphore(_ROOM)
        self._ended = False

    async def submit(self, item: Item) -> Reply:
        """Put `item` into the next batch and return its reply."""
        async with self._room:
            if self._ended:
                raise QueueUnavailable(_CLOSED)
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            self._waiting.append((item, future))
            self._arrived.set()
            return await future

    async def run(self) -> None:
        """Commit batches until cancelled. The one task that does so: a cancelled caller never disturbs a batch."""
        batch: list[tuple[Item, asyncio.Future[Reply]]] = []
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    batch = self._waiting[: self._largest_batch]
                    del self._waiting[: self._largest_batch]
                    await self._commit_batch(batch)
        finally:
            self._ended = True
            for _, future in batch + self._waiting:
                if not future.done():
                    future.set_exception(QueueUnavailable(_CLOSED))
                    # Its caller may have gone meanwhile, which is no reason for a warning.
                    future.exception()

    async def _commit_batch(self, batch: list[tuple[Item, asyncio.Future[Reply]]]) -> None:
        try:
            replies = await self._commit([item for item, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), reply in zip(batch, replies, strict=True):
                if not future.done():
                    future.set_result(reply)
