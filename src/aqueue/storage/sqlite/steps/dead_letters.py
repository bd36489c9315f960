"""Dead letters, and running what they are of again: each step as a function that runs inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....core.lifecycle import State
from ...admin import MOST_DEAD_LETTERS, PAGE, StoredTask
from ..queries import QUERIES
from ..wakeup import READY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....core.lifecycle import Settlement
    from ..connection import Transaction

_Numbered = tuple[int, StoredTask]


def bury(transaction: Transaction, settlement: Settlement, owner: tuple[int, int, str, int]) -> None:
    """Keep a dead letter of a leased task that is about to end, unless its delivery is not the present one."""
    now_ms, number = transaction.now_ms, transaction.next_number()
    until_ms = now_ms + settlement.dead_ttl_ms
    values = (settlement.state.value, settlement.result, number, now_ms, until_ms, *owner)
    transaction.execute(QUERIES["bury"], values)
    transaction.execute(QUERIES["forget_letters"], (transaction.namespace, now_ms))
    transaction.execute(QUERIES["trim_letters"], {"namespace": transaction.namespace, "most": MOST_DEAD_LETTERS})


def page(transaction: Transaction, before: int) -> list[_Numbered]:
    """The latest dead letters whose numbers are lower than `before`."""
    arguments = {"namespace": transaction.namespace, "now_ms": transaction.now_ms, "number": before, "limit": PAGE}
    return [_numbered(*row) for row in transaction.execute(QUERIES["walk_dead"], arguments)]


def find(transaction: Transaction, task_ids: Sequence[str]) -> list[StoredTask | None]:
    """The dead letter of each task."""
    return [_find(transaction, task_id) for task_id in task_ids]


def _find(transaction: Transaction, task_id: str) -> StoredTask | None:
    arguments = (transaction.namespace, task_id, transaction.now_ms)
    row = transaction.execute(QUERIES["letter"], arguments).fetchone()
    return None if row is None else _numbered(*row)[1]


def retry(transaction: Transaction, calls: Sequence[tuple[str, bytes | None]]) -> list[bool]:
    """Put tasks back in line; see ``StorageAdmin.retry``."""
    transaction.check_room()
    return [_retry(transaction, task_id, payload) for task_id, payload in calls]


def _retry(transaction: Transaction, task_id: str, payload: bytes | None) -> bool:
    if _find(transaction, task_id) is None:
        return False
    namespace, now_ms = transaction.namespace, transaction.now_ms
    transaction.execute(QUERIES["forget_failed"], (namespace, task_id, now_ms))
    values = (transaction.next_number(), now_ms, payload, namespace, task_id, now_ms)
    if transaction.execute(QUERIES["revive"], values).rowcount == 0:
        return False
    transaction.execute(QUERIES["detach"], (namespace, task_id))
    transaction.news.add(READY)
    return drop(transaction, [task_id])[0]


def drop(transaction: Transaction, task_ids: Sequence[str]) -> list[bool]:
    """End dead letters; False for each that there is none of."""
    namespace, now_ms = transaction.namespace, transaction.now_ms
    return [
        transaction.execute(QUERIES["drop_letter"], (namespace, task_id, now_ms)).rowcount > 0 for task_id in task_ids
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
