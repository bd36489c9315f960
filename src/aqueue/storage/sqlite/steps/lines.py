"""The one way into a line.

Every task that becomes ready, or is to become ready later, comes through here: a new one, one that is retried or given
back, a due one, a node that has all its inputs, a dead letter that runs again. Each entry gives the task a new number,
which is its place in line, and notes what others must hear: that there is a ready task, or one that is due before all
others. The note is made before it is known whether the task is new; a worker that looks in vain loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ....core.lifecycle import State
from ..queries import QUERIES
from ..wakeup import READY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....core.message import Envelope
    from ..connection import Transaction

# Number, place, state, and since when it is ready or when it is due.
_Slot: TypeAlias = tuple[int, str, str, int]
_Row: TypeAlias = tuple[int, int, str, str, int, str, str, int, int, bytes]

_WAITING = State.WAITING.value
_RETRYING = State.RETRYING.value


def enter(transaction: Transaction, envelopes: Sequence[Envelope], earlier: int = 0) -> list[bool]:
    """Keep new tasks; False for each whose id is known. `earlier` deliveries of them were made before.

    Raises:
        QueueFull: there is no room for new tasks.
    """
    transaction.check_room()
    rows = [_row(transaction, envelope, earlier) for envelope in envelopes]
    if transaction.execute_rows("enter", rows) == len(rows):
        return [True] * len(rows)
    return [_has_entered(transaction, row) or _enter_anew(transaction, row) for row in rows]


def wait(transaction: Transaction, envelopes: Sequence[Envelope]) -> None:
    """Keep new tasks that do not get in line before others have ended. No id may be known."""
    rows = [_waiting_row(transaction, envelope) for envelope in envelopes]
    transaction.execute_rows("enter", rows)


def enter_again(
    transaction: Transaction,
    number: int,
    state: str,
    due_ms: int,
    failures: int | None = None,
    payload: bytes | None = None,
) -> None:
    """Put the task `number` in line, or in the schedule until `due_ms`; with new `failures` and `payload`, if given.

    `state` is the one that it had, or gets: only whether that is `retrying` counts.
    """
    slot = _slot(transaction, due_ms, is_retry=state == _RETRYING)
    transaction.execute(QUERIES["enter_again"], (*slot, failures, payload, number))


def _slot(transaction: Transaction, due_ms: int, is_retry: bool) -> _Slot:
    """The next place in line, or one in the schedule. A task that failed is `retrying` in either."""
    if due_ms > transaction.now_ms:
        transaction.note_scheduled(due_ms)
        return transaction.next_number(), "scheduled", _RETRYING if is_retry else "scheduled", due_ms
    transaction.news.add(READY)
    return transaction.next_number(), "ready", _RETRYING if is_retry else "queued", transaction.now_ms


def _row(transaction: Transaction, envelope: Envelope, earlier: int) -> _Row:
    """A new task as it stands in the table."""
    task_id, payload, queue, priority, delay_ms, eta_ms = envelope
    number, place, state, at_ms = _slot(transaction, eta_ms or transaction.now_ms + delay_ms, is_retry=False)
    return number, transaction.namespace, task_id, queue, priority, place, state, at_ms, earlier, payload


def _waiting_row(transaction: Transaction, envelope: Envelope) -> _Row:
    task_id, payload, queue, priority, *_ = envelope
    number = transaction.next_number()
    return number, transaction.namespace, task_id, queue, priority, _WAITING, _WAITING, 0, 0, payload


def _has_entered(transaction: Transaction, row: _Row) -> bool:
    [(entered,)] = transaction.execute(QUERIES["has_entered"], row[:1])
    return bool(entered)


def _enter_anew(transaction: Transaction, row: _Row) -> bool:
    """Keep a task whose id was taken: once the result of the other task has expired, the id is free again."""
    _, namespace, task_id, *_ = row
    if transaction.execute(QUERIES["free_id"], (namespace, task_id, transaction.now_ms)).rowcount == 0:
        return False
    return transaction.execute_rows("enter", [row]) == 1
