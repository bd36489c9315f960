"""The states of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol import Advance
from ..queries import QUERIES
from ..wakeup import SCHEDULE
from . import lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....core.message import Envelope
    from ..connection import Transaction


def advance(transaction: Transaction, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
    """Replace the state of a schedule, if it is the one that the caller has seen, and keep `envelopes`."""
    key = (transaction.namespace, name)
    row = transaction.execute(QUERIES["schedule_state"], key).fetchone()
    kept = b"" if row is None else row[0]
    if kept == state:
        return Advance.KNOWN
    if kept != seen:
        return Advance.REFUSED
    if not state:
        transaction.execute(QUERIES["drop_forgotten"], (transaction.namespace,))
    if envelopes:
        transaction.execute(QUERIES["save_schedule"], (*key, state, 0))
        lines.enter(transaction, envelopes)
    else:
        transaction.execute(QUERIES["save_schedule"], (*key, state, transaction.next_number()))
        transaction.news.add(SCHEDULE)
    return Advance.MADE


def states(transaction: Transaction) -> dict[str, bytes]:
    """The state of each schedule, by name."""
    return dict(transaction.execute(QUERIES["schedules"], (transaction.namespace,)).fetchall())
