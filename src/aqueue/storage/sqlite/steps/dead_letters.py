"""Dead letters, and running the tasks again that they are kept of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....core.lifecycle import State
from ....core.message import Envelope
from ...admin import MOST_DEAD_LETTERS, PAGE, StoredTask
from ..queries import QUERIES
from . import lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....core.lifecycle import Settlement
    from ..connection import Transaction

_Numbered = tuple[int, StoredTask]


def bury(transaction: Transaction, number: int, settlement: Settlement) -> None:
    """Keep a dead letter of the task `number`, which is about to end."""
    now_ms, namespace = transaction.now_ms, transaction.namespace
    until_ms = now_ms + settlement.dead_ttl_ms
    values = (settlement.state.value, settlement.result, transaction.next_number(), now_ms, until_ms, number)
    transaction.execute(QUERIES["bury"], values)
    transaction.execute(QUERIES["forget_dead_letters"], (namespace, now_ms))
    transaction.execute(QUERIES["trim_dead_letters"], {"namespace": namespace, "most": MOST_DEAD_LETTERS})


def page(transaction: Transaction, before: int) -> list[_Numbered]:
    """The latest dead letters whose numbers are lower than `before`."""
    arguments = {"namespace": transaction.namespace, "now_ms": transaction.now_ms, "number": before, "limit": PAGE}
    return [_numbered(*row) for row in transaction.execute(QUERIES["walk_dead"], arguments)]


def find(transaction: Transaction, task_ids: Sequence[str]) -> list[StoredTask | None]:
    """The dead letter of each task."""
    return [_find(transaction, task_id) for task_id in task_ids]


def _find(transaction: Transaction, task_id: str) -> StoredTask | None:
    arguments = (transaction.namespace, task_id, transaction.now_ms)
    row = transaction.execute(QUERIES["dead_letter"], arguments).fetchone()
    return None if row is None else _numbered(*row)[1]


def retry(transaction: Transaction, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
    """Put tasks back in line; see ``StorageAdmin.retry``."""
    return [_retry(transaction, task_id, payload) for task_id, payload in calls]


def _retry(transaction: Transaction, task_id: str, payload: bytes | None) -> bool:
    letter = _find(transaction, task_id)
    if letter is None:
        return False
    transaction.execute(QUERIES["forget_failed"], (transaction.namespace, task_id))
    envelope = Envelope(task_id, letter.payload if payload is None else payload, letter.queue, letter.priority)
    if lines.enter(transaction, [envelope], letter.deliveries) == [False]:
        return False
    transaction.execute(QUERIES["detach"], (transaction.namespace, task_id))
    return drop(transaction, [task_id])[0]


def drop(transaction: Transaction, task_ids: Sequence[str]) -> list[bool]:
    """Remove dead letters; False for each task that has none."""
    namespace, now_ms = transaction.namespace, transaction.now_ms
    return [
        transaction.execute(QUERIES["drop_dead_letter"], (namespace, task_id, now_ms)).rowcount > 0
        for task_id in task_ids
    ]


def _numbered(
    number: int,
    task_id: str,
    state: str,
    payload: bytes,
    queue: str,
    priority: int,
    ended_ms: int,
    failures: int,
    deliveries: int,
    result: bytes,
) -> _Numbered:
    kept = StoredTask(task_id, State(state), payload, queue, priority, ended_ms, failures, deliveries, result=result)
    return number, kept
