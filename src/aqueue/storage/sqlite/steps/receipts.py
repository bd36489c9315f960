"""Receipts: the proof that a consumer holds a leased task.

A receipt names the number of a task, its consumer and its count. A consumer that takes the task over raises the count,
and a task that gets in line again has a new number; either voids the receipt. Every step on a delivery asks ``held``
first, and then changes the task by its number alone: within one transaction nothing comes in between.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ....core.message import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..connection import Transaction

# There is one table, and its rows have numbers.
_PLACE = "task"
_ENTRY = re.compile(r"[1-9][0-9]{0,17}")


def receipt(consumer: str, number: int, count: int) -> Receipt:
    """The receipt of the `count`-th delivery of the task `number`."""
    return Receipt(consumer, _PLACE, str(number), count)


def held(transaction: Transaction, receipts: Iterable[Receipt]) -> dict[Receipt, int]:
    """The number of the task that each receipt holds; one that holds none is not in the answer."""
    numbers = {each: int(each.entry) for each in receipts if each.place == _PLACE and _ENTRY.fullmatch(each.entry)}
    rows = [(number, transaction.namespace, each.consumer, each.count) for each, number in numbers.items()]
    present = set(transaction.select_rows("held", rows))
    return {each: number for each, number in numbers.items() if (number, each.consumer, each.count) in present}
