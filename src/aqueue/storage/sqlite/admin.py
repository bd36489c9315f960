"""A namespace in the file for those who look after it: pages of what is in each place, one short transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from ...core.lifecycle import State
from ...exceptions import QueueFull, QueueUnavailable
from ..admin import PAGE, Examined, Place, StoredTask
from .queries import QUERIES
from .steps import checkup
from .steps import dead_letters as letters
from .wakeup import READY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from .connection import Transaction
    from .thread import WriterThread

_T = TypeVar("_T")
_P = ParamSpec("_P")

_ABOVE_ALL = 2**31
_LAST = 2**62
_FLUSHED_AT_ONCE = 1000
_BY_INSTANT = {Place.SCHEDULED: QUERIES["walk_scheduled"], Place.LENT: QUERIES["walk_lent"]}


class SqliteAdmin:
    """Implements ``storage.admin.StorageAdmin``. `writer` gives the thread in which the present session works."""

    def __init__(self, writer: Callable[[], WriterThread]) -> None:
        self._writer = writer

    def walk(self, place: Place, queue: str = "") -> AsyncGenerator[list[StoredTask], None]:
        match place:
            case Place.READY:
                return self._ready(queue)
            case Place.ENDED:
                return self._ended()
            case Place.WAITING:
                return self._waiting(queue)
            case Place.DEAD:
                return self._dead(queue)
            case _:
                return self._by_instant(place, queue)

    async def _ready(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        level = await self._writer().look(_next_level, queue, _ABOVE_ALL)
        while level is not None and queue in {"", level[0]}:
            seq = 0
            while page := await self._writer().look(_ready, *level, seq):
                yield [kept for _, kept in page]
                seq = page[-1][0]
            level = await self._writer().look(_next_level, *level)

    async def _by_instant(self, place: Place, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        seq, last = 0, StoredTask("", State.UNKNOWN)
        while page := await self._writer().look(_by_instant, _BY_INSTANT[place], last, seq):
            # Every queue is read, so that a step stays short where the tasks of one are rare.
            found = [kept for _, kept in page if queue in {"", kept.queue}]
            if found:
                yield found
            seq, last = page[-1]

    async def _waiting(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        seq = 0
        while page := await self._writer().look(_waiting, seq):
            found = [kept for _, kept in page if queue in {"", kept.queue}]
            if found:
                yield found
            seq = page[-1][0]

    async def _ended(self) -> AsyncGenerator[list[StoredTask], None]:
        at_ms = seq = 0
        while page := await self._writer().look(_ended, at_ms, seq):
            yield [StoredTask(task_id, State(state), result=result) for _, _, task_id, state, result in page]
            at_ms, seq, *_ = page[-1]

    async def _dead(self, queue: str) -> AsyncGenerator[list[StoredTask], None]:
        number = _LAST
        while page := await self._writer().look(letters.page, number):
            found = [kept for _, kept in page if queue in {"", kept.queue}]
            if found:
                yield found
            number = page[-1][0]

    # -- dead letters

    async def dead_letters(self, task_ids: Sequence[str]) -> list[StoredTask | None]:
        return await self._writer().look(letters.find, task_ids)

    async def retry(self, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
        return await self._writer().submit(letters.retry, calls)

    async def drop(self, task_ids: Sequence[str]) -> list[bool]:
        return await self._submit(letters.drop, task_ids)

    # -- pauses

    async def pause(self, queue: str) -> bool:
        return await self._submit(_pause, queue)

    async def resume(self, queue: str) -> bool:
        return await self._submit(_resume, queue)

    async def paused(self) -> set[str]:
        return await self._writer().look(_paused)

    # -- proof

    async def examine(self) -> AsyncGenerator[Examined, None]:
        after = 0
        while True:
            after, examined = await self._writer().look(checkup.examine, after)
            yield examined
            if not after:
                break
        yield Examined(0, await self._writer().look(checkup.leftovers))

    # -- the end

    async def flush(self) -> AsyncGenerator[int, None]:
        while forgotten := await self._submit(_forget, QUERIES["flush_tasks"]):
            yield forgotten
        while await self._submit(_forget, QUERIES["flush_cells"]):
            pass
        await self._submit(_forget_the_rest)

    async def _submit(
        self, operation: Callable[Concatenate[Transaction, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        try:
            return await self._writer().submit(operation, *args, **kwargs)
        except QueueFull as error:
            raise QueueUnavailable(str(error)) from error


def _next_level(transaction: Transaction, queue: str, priority: int) -> tuple[str, int] | None:
    """The level of ready tasks that follows the one of this queue and priority."""
    arguments = {"namespace": transaction.namespace, "queue": queue, "priority": priority}
    level: tuple[str, int] | None = transaction.execute(QUERIES["next_level"], arguments).fetchone()
    return level


def _ready(transaction: Transaction, queue: str, priority: int, seq: int) -> list[tuple[int, StoredTask]]:
    arguments = {"namespace": transaction.namespace, "queue": queue, "priority": priority, "seq": seq, "limit": PAGE}
    return [_numbered(*row) for row in transaction.execute(QUERIES["walk_ready"], arguments)]


def _by_instant(transaction: Transaction, query: str, last: StoredTask, seq: int) -> list[tuple[int, StoredTask]]:
    arguments = {"namespace": transaction.namespace, "at": last.at_ms, "queue": last.queue, "seq": seq, "limit": PAGE}
    return [_numbered(*row) for row in transaction.execute(query, arguments)]


def _waiting(transaction: Transaction, seq: int) -> list[tuple[int, StoredTask]]:
    arguments = {"namespace": transaction.namespace, "seq": seq, "limit": PAGE}
    return [_numbered(*row) for row in transaction.execute(QUERIES["walk_waiting"], arguments)]


def _ended(transaction: Transaction, at_ms: int, seq: int) -> list[tuple[int, int, str, str, bytes]]:
    arguments = {
        "namespace": transaction.namespace,
        "now_ms": transaction.now_ms,
        "at": at_ms,
        "seq": seq,
        "limit": PAGE,
    }
    return transaction.execute(QUERIES["walk_ended"], arguments).fetchall()


def _pause(transaction: Transaction, queue: str) -> bool:
    return transaction.execute(QUERIES["pause"], (transaction.namespace, queue)).rowcount > 0


def _resume(transaction: Transaction, queue: str) -> bool:
    transaction.news.add(READY)
    return transaction.execute(QUERIES["resume"], (transaction.namespace, queue)).rowcount > 0


def _paused(transaction: Transaction) -> set[str]:
    return {queue for (queue,) in transaction.execute(QUERIES["paused"], (transaction.namespace,))}


def _forget(transaction: Transaction, query: str) -> int:
    return transaction.execute(query, (transaction.namespace, _FLUSHED_AT_ONCE)).rowcount


def _forget_the_rest(transaction: Transaction) -> None:
    for query in (
        QUERIES["flush_nodes"],
        QUERIES["flush_edges"],
        QUERIES["flush_letters"],
        QUERIES["flush_marks"],
        QUERIES["flush_cancellations"],
    ):
        transaction.execute(query, (transaction.namespace,))


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
) -> tuple[int, StoredTask]:
    return seq, StoredTask(task_id, State(state), payload, queue, priority, at_ms, failures, count, consumer)
