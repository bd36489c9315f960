"""What must not start, and what has to stop: each step on it as a function that runs inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..queries import QUERIES
from ..wakeup import CANCEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..connection import Transaction


def revoke(transaction: Transaction, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
    """Mark `key`; see ``Storage.revoke``."""
    restore(transaction, key)
    namespace, now_ms = transaction.namespace, transaction.now_ms
    [(is_ended,)] = transaction.execute(QUERIES["is_ended"], (namespace, key, now_ms))
    if is_ended or 0 < until_ms <= now_ms:
        return
    is_known = transaction.execute(QUERIES["unsettled"], (namespace, key)).fetchone() is not None
    forgotten_ms = now_ms + keep_ms if keep_ms and not is_known else 0
    transaction.execute(QUERIES["mark"], (namespace, key, once, until_ms or forgotten_ms))
    transaction.note_mark()


def restore(transaction: Transaction, key: str) -> bool:
    """Take the mark of `key` away; True when there was one that held."""
    _forget_ended(transaction)
    return bool(transaction.execute(QUERIES["unmark"], (transaction.namespace, key)).rowcount)


def revoked(transaction: Transaction, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
    """Which tasks must not start; see ``Storage.revoked``."""
    _forget_ended(transaction)
    return [_is_revoked(transaction, task_id, kind, consume) for task_id, kind in keys]


def _is_revoked(transaction: Transaction, task_id: str, kind: str, consume: bool) -> bool:
    if _mark_of(transaction, task_id) is not None or (consume and is_to_cancel(transaction, task_id)):
        return True
    once = _mark_of(transaction, kind)
    if once and consume:
        transaction.execute(QUERIES["unmark"], (transaction.namespace, kind))
        transaction.execute(QUERIES["mark"], (transaction.namespace, task_id, True, 0))
    return once is not None


def _mark_of(transaction: Transaction, key: str) -> bool | None:
    """Whether the mark on `key` holds once only; None when there is no mark."""
    row = transaction.execute(QUERIES["mark_of"], (transaction.namespace, key)).fetchone()
    return None if row is None else bool(row[0])


def _forget_ended(transaction: Transaction) -> None:
    transaction.execute(QUERIES["forget_marks"], (transaction.namespace, transaction.now_ms))


def ask_to_stop(transaction: Transaction, task_id: str) -> None:
    """Let everyone know that a leased task has to stop."""
    transaction.execute(QUERIES["ask_to_stop"], (transaction.namespace, task_id, transaction.next_number()))
    transaction.note_mark()
    transaction.news.add(CANCEL)


def is_to_cancel(transaction: Transaction, task_id: str) -> bool:
    """Whether a task was asked to stop."""
    if not transaction.is_marked:
        return False
    [(found,)] = transaction.execute(QUERIES["is_to_cancel"], (transaction.namespace, task_id))
    return bool(found)


def forget(transaction: Transaction, task_id: str) -> None:
    """A task has its verdict: it is neither revoked nor asked to stop any more."""
    transaction.execute(QUERIES["unmark"], (transaction.namespace, task_id))
    transaction.execute(QUERIES["stop_asking"], (transaction.namespace, task_id))
