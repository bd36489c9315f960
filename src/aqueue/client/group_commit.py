"""Group commit: concurrent callers share one round trip, and no caller waits for a timer.

The first caller's item is sent at once. Items that arrive while that batch is under way form the next batch. So a lone
call costs one round trip, and a thousand concurrent calls cost a few.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..core.patience import next_flight
from ..exceptions import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

Item = TypeVar("Item")
Reply = TypeVar("Reply")

# The buffer is full with this many items. Without a limit, a million concurrent enqueues would become a million encoded
# messages in memory.
_ROOM = 10_000
_CLOSED = "the application was closed while a call was under way"


def _nothing(_: object) -> bytes:
    return b""


class GroupCommit(Generic[Item, Reply]):
    """Collects items for `commit`, which takes a batch and returns one reply per item, in order.

    If `commit` raises, every caller in the batch gets that error. After the end of `run`, waiting and later callers get
    ``QueueUnavailable``. If `content` gives the bytes of an item, a batch is one flight (see ``core.patience``).
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]],
        largest_batch: int = 500,
        content: Callable[[Item], bytes] = _nothing,
    ) -> None:
        self._commit = commit
        self._largest_batch = largest_batch
        self._content = content
        self._items: list[Item] = []
        self._replies: list[asyncio.Future[Reply]] = []
        self._arrived = asyncio.Event()
        self._crowd: deque[asyncio.Future[None]] = deque()
        self._ended = False

    def submit(self, item: Item) -> asyncio.Future[Reply]:
        """Put `item` into the next batch. Returns a future of its reply."""
        if self._ended:
            raise QueueUnavailable(_CLOSED)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._items.append(item)
        self._replies.append(reply)
        self._arrived.set()
        return reply

    @property
    def is_full(self) -> bool:
        """Whether the buffer is full; if so, await ``wait_for_room()`` before creating another item."""
        return len(self._items) >= _ROOM

    async def wait_for_room(self) -> None:
        """Wait until the buffer is not full. Callers get room in the order in which they came."""
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
        """Commit batches until cancelled. Only this task commits, so a cancelled caller never interrupts a batch."""
        replies: list[asyncio.Future[Reply]] = []
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._items:
                    items = next_flight(self._items, 0, self._largest_batch, self._content)
                    replies = self._replies[: len(items)]
                    del self._items[: len(items)], self._replies[: len(items)]
                    self._admit(len(items))
                    await self._commit_batch(items, replies)
        finally:
            self._ended = True
            _fail(replies + self._replies, QueueUnavailable(_CLOSED))
            self._items.clear()
            self._admit(len(self._crowd))

    def _admit(self, number: int) -> None:
        """Wake `number` of the callers that wait for room."""
        while number > 0 and self._crowd:
            turn = self._crowd.popleft()
            if not turn.done():
                turn.set_result(None)
                number -= 1

    async def _commit_batch(self, items: Sequence[Item], replies: list[asyncio.Future[Reply]]) -> None:
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
            # Marks the error as retrieved: asyncio would log a warning if the caller has gone.
            reply.exception()
