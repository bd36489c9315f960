"""Lending tasks: handing them out, taking them over from owners that have vanished, and signs of life."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ....core.clock import LONGEST_SPAN_MS
from ....core.message import Delivery
from ....core.patience import MOST_LENT_BYTES
from ...protocol import Renewal, WorkerInfo
from ..queries import QUERIES
from . import revocations, tasks
from .receipts import held, owner_of, receipt_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from ....core.message import Receipt
    from ...protocol import Borrower
    from ..connection import Transaction

_MOST_DELIVERIES = 2**62


def claim(transaction: Transaction, borrower: Borrower, limit: int) -> list[Delivery]:
    """Lend up to `limit` ready tasks: by priority, then in the order of the queues, then the oldest first."""
    arguments = _arguments(transaction, borrower) | {"limit": max(limit, 0)}
    rows = transaction.execute(QUERIES["claim"], arguments).fetchall()
    rows.sort(key=lambda row: (-row[7], borrower.queues.index(row[8]), row[0]))
    return [_delivery(transaction, borrower.consumer, *row[:7]) for row in rows]


def adopt(transaction: Transaction, borrower: Borrower, known: Collection[Receipt]) -> list[Delivery]:
    """The deliveries that are lent to the borrower and not `known` to it, with new leases."""
    known = set(known)
    rows = transaction.execute(QUERIES["lent"], _arguments(transaction, borrower)).fetchall()
    lent = [(row[0], _delivery(transaction, borrower.consumer, *row)) for row in rows]
    adopted = [(number, delivery) for number, delivery in lent if delivery.receipt not in known]
    for number, _ in adopted:
        _renew(transaction, number, borrower.lease_ms)
    return [delivery for _, delivery in adopted]


def reclaim(transaction: Transaction, borrower: Borrower, limits: tuple[int, int, int]) -> list[Delivery]:
    """Lend deliveries whose lease has run out.

    `limits` are: the most deliveries; the number of deliveries of one task that makes it a suspect (0: no task is);
    the most suspects among them.
    """
    tasks.forget_expired(transaction)
    _spare_the_living(transaction, borrower.lease_ms)
    limit, suspect_count, most_suspects = limits
    arguments = _arguments(transaction, borrower)
    others = {"fewest": 0, "most": suspect_count - 1 if suspect_count else _MOST_DELIVERIES, "limit": max(limit, 0)}
    rows = transaction.execute(QUERIES["reclaim"], arguments | others).fetchall()
    if suspect_count:
        room = max(min(most_suspects, limit - len(rows)), 0)
        suspects = {"fewest": suspect_count, "most": _MOST_DELIVERIES, "limit": room}
        rows += transaction.execute(QUERIES["reclaim"], arguments | suspects).fetchall()
    return [_delivery(transaction, borrower.consumer, *row) for row in sorted(rows)]


def _spare_the_living(transaction: Transaction, lease_ms: int) -> None:
    """Begin the leases anew whose owners may not have been able to renew them.

    Those are the leases that are shorter than a time in which no worker reclaimed (the machine was suspended, every
    worker was down, the clock was set forward), and all of them after the clock was set back.
    """
    now_ms, namespace = transaction.now_ms, transaction.namespace
    [(reclaimed_ms, due_ms)] = transaction.execute(QUERIES["last_reclaim"], (namespace,))
    if not reclaimed_ms <= now_ms <= due_ms:
        pause_ms = now_ms - reclaimed_ms if now_ms > reclaimed_ms else LONGEST_SPAN_MS
        arguments = {"namespace": namespace, "now_ms": now_ms, "pause_ms": pause_ms}
        transaction.execute(QUERIES["begin_leases_anew"], arguments)
    transaction.execute(QUERIES["save_reclaim"], (now_ms, now_ms + lease_ms, namespace))


def _arguments(transaction: Transaction, borrower: Borrower) -> dict[str, Any]:
    """What the statements that lend are given."""
    return {
        "namespace": transaction.namespace,
        "consumer": borrower.consumer,
        "queues": json.dumps(borrower.queues),
        "now_ms": transaction.now_ms,
        "lease_ms": borrower.lease_ms,
        "most_lent": MOST_LENT_BYTES,
    }


def _delivery(
    transaction: Transaction,
    consumer: str,
    number: int,
    task_id: str,
    payload: bytes | None,
    size: int,
    failures: int,
    earlier: int,
    count: int,
) -> Delivery:
    receipt, may_be_revoked = receipt_of(consumer, number, count), transaction.has_revocations
    if payload is None:
        return Delivery(task_id, b"", receipt, failures, earlier + count, may_be_revoked, size)
    return Delivery(task_id, payload, receipt, failures, earlier + count, may_be_revoked)


def load(transaction: Transaction, receipt: Receipt) -> bytes:
    """The payload of a delivery; empty if the receipt does not hold any more."""
    owner = owner_of(transaction, receipt)
    row = owner and transaction.execute(QUERIES["payload"], owner).fetchone()
    return row[0] if row else b""


def renew(transaction: Transaction, borrower: Borrower, receipts: Collection[Receipt], description: bytes) -> Renewal:
    """Note that the borrower is alive, and begin its leases anew; see ``LeaseKeeper.renew``."""
    sign = (transaction.namespace, borrower.consumer, description, transaction.now_ms)
    transaction.execute(QUERIES["see_worker"], sign)
    renewal = Renewal([], [])
    for receipt in receipts:
        number = held(transaction, receipt)
        if number is None:
            renewal.lost.append(receipt)
            continue
        _renew(transaction, number, borrower.lease_ms)
        if transaction.has_revocations and revocations.has_to_stop(transaction, number):
            renewal.to_cancel.append(receipt)
    return renewal


def _renew(transaction: Transaction, number: int, lease_ms: int) -> None:
    transaction.execute(QUERIES["renew"], (transaction.now_ms + lease_ms, lease_ms, number))


def retire(transaction: Transaction, consumer: str) -> None:
    transaction.execute(QUERIES["retire"], (transaction.namespace, consumer))


def workers(transaction: Transaction) -> list[WorkerInfo]:
    """The workers that have given a sign of life and have not retired."""
    rows = transaction.execute(QUERIES["workers"], (transaction.namespace,))
    return [
        WorkerInfo(consumer, description, max(transaction.now_ms - seen, 0)) for consumer, description, seen in rows
    ]
