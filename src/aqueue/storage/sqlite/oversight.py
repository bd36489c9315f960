"""A namespace in the file for those who look after it: pages of what is in each place, one short transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lifecycle import State
from ..oversight import PAGE, Kept, Place
from .queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from .connection import Transaction
    from .thread import WriterThread

_ABOVE_ALL = 2**31
_BY_INSTANT = {Place.SCHEDULED: QUERIES["walk_scheduled"], Place.LENT: QUERIES["walk_lent"]}


class SqliteOversight:
    """Implements ``storage.oversight.Oversight``. `writer` gives the thread in which the present session works."""

    def __init__(self, writer: Callable[[], WriterThread]) -> None:
        self._writer = writer

    def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[Kept], None]:
        match place:
            case Place.READY:
                return self._ready(queue)
            case Place.ENDED:
                return self._ended()
            case _:
                return self._by_instant(place, queue)

    async def _ready(self, queue: str) -> AsyncGenerator[list[Kept], None]:
        level = await self._writer().look(_next_level, queue, _ABOVE_ALL)
        while level is not None and queue in {"", level[0]}:
            seq = 0
            while page := await self._writer().look(_ready, *level, seq):
                yield [kept for _, kept in page]
                seq = page[-1][0]
            level = await self._writer().look(_next_level, *level)

    async def _by_instant(self, place: Place, queue: str) -> AsyncGenerator[list[Kept], None]:
        seq, last = 0, Kept("", State.UNKNOWN)
        while page := await self._writer().look(_by_instant, _BY_INSTANT[place], last, seq):
            # Every queue is read, so that a step stays short where the tasks of one are rare.
            found = [kept for _, kept in page if queue in {"", kept.queue}]
            if found:
                yield found
            seq, last = page[-1]

    async def _ended(self) -> AsyncGenerator[list[Kept], None]:
        at_ms = seq = 0
        while page := await self._writer().look(_ended, at_ms, seq):
            yield [Kept(task_id, State(state), result=result) for _, _, task_id, state, result in page]
            at_ms, seq, *_ = page[-1]


def _next_level(transaction: Transaction, queue: str, priority: int) -> tuple[str, int] | None:
    """The level of ready tasks that follows the one of this queue and priority."""
    arguments = {"namespace": transaction.namespace, "queue": queue, "priority": priority}
    level: tuple[str, int] | None = transaction.execute(QUERIES["next_level"], arguments).fetchone()
    return level


def _ready(transaction: Transaction, queue: str, priority: int, seq: int) -> list[tuple[int, Kept]]:
    arguments = {"namespace": transaction.namespace, "queue": queue, "priority": priority, "seq": seq, "limit": PAGE}
    return [_numbered(*row) for row in transaction.execute(QUERIES["walk_ready"], arguments)]


def _by_instant(transaction: Transaction, query: str, last: Kept, seq: int) -> list[tuple[int, Kept]]:
    arguments = {"namespace": transaction.namespace, "at": last.at_ms, "queue": last.queue, "seq": seq, "limit": PAGE}
    return [_numbered(*row) for row in transaction.execute(query, arguments)]


def _ended(transaction: Transaction, at_ms: int, seq: int) -> list[tuple[int, int, str, str, bytes]]:
    arguments = {
        "namespace": transaction.namespace,
        "now_ms": transaction.now_ms,
        "at": at_ms,
        "seq": seq,
        "limit": PAGE,
    }
    return transaction.execute(QUERIES["walk_ended"], arguments).fetchall()


def _numbered(
    seq: int,
    task_id: str,
    state: str,
    payload: bytes,
    queue: str,
    priority: int,
    at_ms: int,
    failures: int,
    count: int,
    consumer: str,
) -> tuple[int, Kept]:
    return seq, Kept(task_id, State(state), payload, queue, priority, at_ms, failures, count, consumer)
