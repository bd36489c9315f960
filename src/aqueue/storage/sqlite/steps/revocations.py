"""Revocations and cancellations: what must not start, and what has to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..queries import QUERIES
from ..wakeup import CANCEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..connection import Transaction


def revoke(transaction: Transaction, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
    """Keep a revocation under `key`; see ``Storage.revoke``."""
    restore(transaction, key)
    namespace, now_ms = transaction.namespace, transaction.now_ms
    task = transaction.execute(QUERIES["is_settled"], (namespace, key, now_ms)).fetchone()
    if task == (True,) or 0 < until_ms <= now_ms:
        return
    forgotten_ms = now_ms + keep_ms if keep_ms and task is None else 0
    transaction.execute(QUERIES["revoke"], (namespace, key, once, until_ms or forgotten_ms))
    transaction.note_revocation()


def restore(transaction: Transaction, key: str) -> bool:
    """Remove the revocation under `key`; True when there was one that held."""
    _forget_ended(transaction)
    return bool(transaction.execute(QUERIES["restore"], (transaction.namespace, key)).rowcount)


def revoked(transaction: Transaction, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
    """Which tasks must not start; see ``Storage.revoked``."""
    _forget_ended(transaction)
    return [_is_revoked(transaction, task_id, group, consume) for task_id, group in keys]


def _is_revoked(transaction: Transaction, task_id: str, group: str, consume: bool) -> bool:
    if _holds_once(transaction, task_id) is not None or (consume and is_to_cancel(transaction, task_id)):
        return True
    once = _holds_once(transaction, group)
    if once and consume:
        transaction.execute(QUERIES["restore"], (transaction.namespace, group))
        transaction.execute(QUERIES["revoke"], (transaction.namespace, task_id, True, 0))
    return once is not None


def _holds_once(transaction: Transaction, key: str) -> bool | None:
    """Whether the revocation under `key` holds for one task only; None when there is none."""
    row = transaction.execute(QUERIES["holds_once"], (transaction.namespace, key)).fetchone()
    return None if row is None else bool(row[0])


def _forget_ended(transaction: Transaction) -> None:
    transaction.execute(QUERIES["forget_revocations"], (transaction.namespace, transaction.now_ms))


def ask_to_stop(transaction: Transaction, task_id: str) -> None:
    """Let every client know that a leased task has to stop."""
    transaction.execute(QUERIES["ask_to_stop"], (transaction.namespace, task_id, transaction.next_number()))
    transaction.note_revocation()
    transaction.news.add(CANCEL)


def is_to_cancel(transaction: Transaction, task_id: str) -> bool:
    """Whether a task was asked to stop."""
    if not transaction.has_revocations:
        return False
    [(found,)] = transaction.execute(QUERIES["is_to_cancel"], (transaction.namespace, task_id))
    return bool(found)


def has_to_stop(transaction: Transaction, number: int) -> bool:
    """Whether the task `number` was asked to stop."""
    [(task_id,)] = transaction.execute(QUERIES["id_of"], (number,))
    return is_to_cancel(transaction, task_id)


def forget(transaction: Transaction, task_id: str) -> None:
    """A task has its verdict: it is no longer revoked or asked to stop."""
    if transaction.has_revocations:
        transaction.execute(QUERIES["restore"], (transaction.namespace, task_id))
        transaction.execute(QUERIES["stop_asking"], (transaction.namespace, task_id))
