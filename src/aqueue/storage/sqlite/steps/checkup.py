"""Whether every task of a namespace in the file is in exactly one place, one page of rows at a time.

A row cannot be in two places. What remains to be seen is that a worker looks at its place, that its state says the
same, and that what belongs to it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....core.lifecycle import VERDICTS
from ...admin import PAGE, Examined, Finding
from ..queries import QUERIES

if TYPE_CHECKING:
    from ..connection import Transaction

_WAITING_STATES = {"queued", "retrying"}
_STATES = {
    "ready": _WAITING_STATES,
    "scheduled": {"scheduled", "retrying"},
    "waiting": {"waiting"},
    "leased": {"running"},
    "settled": {state.value for state in VERDICTS},
}


def examine(transaction: Transaction, after: int) -> tuple[int, Examined]:
    """Examine the rows after the number `after`, of all namespaces, so that a step is short; the last number, or 0."""
    rows = transaction.execute(QUERIES["examine"], (after, PAGE)).fetchall()
    ours = [row[2:] for row in rows if row[1] == transaction.namespace]
    findings = [finding for row in ours if (finding := _finding(transaction, *row)) is not None]
    return (rows[-1][0] if len(rows) == PAGE else 0), Examined(len(ours), findings)


def _finding(
    transaction: Transaction, task_id: str, place: str, state: str, consumer: str, at_ms: int
) -> Finding | None:
    if place not in _STATES:
        return Finding("lost", task_id, f"is {state}, and in no place: {place!r} is none")
    if state not in _STATES[place]:
        return Finding("damaged", task_id, f"is {state} by its record, and {place} by its place")
    if place == "leased" and not consumer:
        return Finding("lost", task_id, "is lent, and no consumer has it")
    if place == "settled" and not at_ms:
        return Finding("kept", task_id, f"is {state}, and never expires")
    return _waiting_in_vain(transaction, task_id) if place == "waiting" else None


def _waiting_in_vain(transaction: Transaction, task_id: str) -> Finding | None:
    """What is wrong with a task that waits for others."""
    arguments = {"namespace": transaction.namespace, "id": task_id}
    row = transaction.execute(QUERIES["examine_node"], arguments).fetchone()
    if row is None:
        return Finding("lost", task_id, "waits for others, and it is not known for whom")
    missing, to_come = row
    if to_come < missing:
        return Finding("lost", task_id, f"waits for {missing} others, and {to_come} of them are still to end")
    return None


def leftovers(transaction: Transaction) -> list[Finding]:
    """What is left of tasks that have ended: the first few of each kind."""
    namespace = (transaction.namespace,)
    asked = transaction.execute(QUERIES["examine_cancellations"], namespace).fetchall()
    nodes = transaction.execute(QUERIES["examine_nodes"], namespace).fetchall()
    return [
        *(Finding("leftover", task_id, "has ended, and is still asked to stop") for (task_id,) in asked),
        *(Finding("leftover", task_id, "does not wait, and its inputs are still counted") for (task_id,) in nodes),
    ]
