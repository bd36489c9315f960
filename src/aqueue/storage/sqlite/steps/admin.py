"""Lists, page by page; pauses; forgetting everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....core.lifecycle import State
from ...admin import PAGE, Place, StoredTask
from ..queries import QUERIES
from ..wakeup import READY

if TYPE_CHECKING:
    from ..connection import Transaction

_Numbered = tuple[int, StoredTask]

_FORGOTTEN_AT_ONCE = 1000
_BY_INSTANT = {Place.SCHEDULED: QUERIES["walk_scheduled"], Place.LENT: QUERIES["walk_lent"]}


def next_lane(transaction: Transaction, queue: str, priority: int) -> tuple[str, int] | None:
    """The lane of ready tasks that follows the one of this queue and priority."""
    arguments = {"namespace": transaction.namespace, "queue": queue, "priority": priority}
    lane: tuple[str, int] | None = transaction.execute(QUERIES["next_lane"], arguments).fetchone()
    return lane


def ready(transaction: Transaction, queue: str, priority: int, after: int) -> list[_Numbered]:
    """The ready tasks of a lane whose numbers are higher than `after`."""
    arguments = {"queue": queue, "priority": priority, "seq": after}
    return _page(transaction, QUERIES["walk_ready"], arguments)


def by_instant(transaction: Transaction, place: Place, last: StoredTask, number: int) -> list[_Numbered]:
    """The scheduled or the lent tasks that follow the task `last`, whose number this is."""
    return _page(transaction, _BY_INSTANT[place], {"at": last.at_ms, "queue": last.queue, "seq": number})


def waiting(transaction: Transaction, after: int) -> list[_Numbered]:
    """The nodes that wait for others and whose numbers are higher than `after`."""
    return _page(transaction, QUERIES["walk_waiting"], {"seq": after})


def _page(transaction: Transaction, query: str, where: dict[str, Any]) -> list[_Numbered]:
    arguments = {"namespace": transaction.namespace, "limit": PAGE, **where}
    return [_numbered(*row) for row in transaction.execute(query, arguments)]


def ended(transaction: Transaction, at_ms: int, number: int) -> list[tuple[int, int, str, str, bytes]]:
    """The verdicts that follow the one with this end of its time and this number."""
    arguments = {
        "namespace": transaction.namespace,
        "now_ms": transaction.now_ms,
        "at": at_ms,
        "seq": number,
        "limit": PAGE,
    }
    return transaction.execute(QUERIES["walk_ended"], arguments).fetchall()


def pause(transaction: Transaction, queue: str) -> bool:
    return transaction.execute(QUERIES["pause"], (transaction.namespace, queue)).rowcount > 0


def resume(transaction: Transaction, queue: str) -> bool:
    transaction.news.add(READY)
    return transaction.execute(QUERIES["resume"], (transaction.namespace, queue)).rowcount > 0


def paused(transaction: Transaction) -> set[str]:
    return {queue for (queue,) in transaction.execute(QUERIES["paused"], (transaction.namespace,))}


def forget_tasks(transaction: Transaction) -> int:
    """Drop some tasks, whatever their place; the number of them."""
    return transaction.execute(QUERIES["flush_tasks"], (transaction.namespace, _FORGOTTEN_AT_ONCE)).rowcount


def forget_facts(transaction: Transaction) -> int:
    """Drop some of what is shared; the number of facts."""
    return transaction.execute(QUERIES["flush_facts"], (transaction.namespace, _FORGOTTEN_AT_ONCE)).rowcount


def forget_the_rest(transaction: Transaction) -> None:
    """Drop what belongs to tasks that are gone."""
    for query in (
        QUERIES["flush_nodes"],
        QUERIES["flush_edges"],
        QUERIES["flush_dead_letters"],
        QUERIES["flush_revocations"],
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
) -> _Numbered:
    return seq, StoredTask(task_id, State(state), payload, queue, priority, at_ms, failures, count, consumer)
