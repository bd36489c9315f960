"""Receipts: the proof that a consumer holds a leased task.

A receipt names the number of a task, its consumer and its count. A consumer that takes the task over raises the count,
and a task that gets in line again has a new number; either voids the receipt. The condition for this is `present` in
queries.sql. Verdicts are written where it holds, many in one statement. Every other step on a delivery asks ``held``
first, and then changes the task by its number: within one transaction nothing comes in between.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from ....core.message import Receipt
from ..queries import QUERIES

if TYPE_CHECKING:
    from ..connection import Transaction

# Number, namespace, consumer and count: what the row of a task says whose present delivery it is.
Owner: TypeAlias = tuple[int, int, str, int]

# There is one table, and its rows have numbers.
_PLACE = "task"
_ENTRY = re.compile(r"[1-9][0-9]{0,17}")


def receipt_of(consumer: str, number: int, count: int) -> Receipt:
    """The receipt of the `count`-th delivery of the task `number`."""
    return Receipt(consumer, _PLACE, str(number), count)


def owner_of(transaction: Transaction, receipt: Receipt) -> Owner | None:
    """The owner whom `receipt` names; None if this store never wrote such a receipt."""
    consumer, place, entry, count = receipt
    if place != _PLACE or not _ENTRY.fullmatch(entry):
        return None
    return int(entry), transaction.namespace, consumer, count


def held(transaction: Transaction, receipt: Receipt) -> int | None:
    """The number of the task that `receipt` holds; None if it holds none."""
    owner = owner_of(transaction, receipt)
    if owner is None:
        return None
    [(is_held,)] = transaction.execute(QUERIES["held"], owner)
    return owner[0] if is_held else None
