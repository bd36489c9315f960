"""Group commit: concurrent callers share one round trip without waiting for a timer.

The first caller's item leaves at once. What arrives while that batch is under way forms the next one. So a lone call
costs one round trip, and a thousand concurrent calls cost a few.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..exceptions import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

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
        self._items: list[Item] = []
        self._replies: list[asyncio.Future[Reply]] = []
        self._arrived = asyncio.Event()
        self._crowd: deque[asyncio.Future[None]] = deque()
        self._ended = False

    def submit(self, item: Item) -> asyncio.Future[Reply]:
        """Put `item` into the next batch. Returns its reply, to be awaited."""
        if self._ended:
            raise QueueUnavailable(_CLOSED)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._items.append(item)
        self._replies.append(reply)
        self._arrived.set()
        return reply

    @property
    def is_full(self) -> bool:
        """Whether so many items wait that the next caller should, too."""
        return len(self._items) >= _ROOM

    async def wait_for_room(self) -> None:
        """Wait, behind those who came before, until it is not full."""
        while self.is_full:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._crowd.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._admit(1)
                raise

    async def run(self) -> None:
        """Commit batches until cancelled. The one task that does so: a cancelled caller never disturbs a batch."""
        replies: list[asyncio.Future[Reply]] = []
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._items:
                    items, self._items = self._items[: self._largest_batch], self._items[self._largest_batch :]
                    replies, self._replies = self._replies[: len(items)], self._replies[len(items) :]
                    self._admit(len(items))
                    await self._commit_batch(items, replies)
        finally:
            self._ended = True
            _fail(replies + self._replies, QueueUnavailable(_CLOSED))
            self._items.clear()
            self._admit(len(self._crowd))

    def _admit(self, number: int) -> None:
        """Let so many of the crowd come in."""
        while number > 0 and self._crowd:
            turn = self._crowd.popleft()
            if not turn.done():
                turn.set_result(None)
                number -= 1

    async def _commit_batch(self, items: list[Item], replies: list[asyncio.Future[Reply]]) -> None:
        try:
            answers = await self._commit(items)
        except Exception as error:
            _fail(replies, error)
        else:
            for reply, answer in zip(replies, answers, strict=True):
                if not reply.done():
                    reply.set_result(answer)


def _fail(replies: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    for reply in replies:
        if not reply.done():
            reply.set_exception(error)
            # Its caller may have gone meanwhile, which is no reason for a warning.
            reply.exception()
