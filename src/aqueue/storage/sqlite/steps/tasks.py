"""The tasks of one namespace: their verdicts, their ways back into line, and what is known of them.

A task is in one of five places: ready (in line), scheduled, leased, settled or, until others have ended, waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ....core.lifecycle import VERDICTS, State
from ....core.message import Envelope
from ....core.patience import FLIGHT_BYTES
from ...protocol import Promotion, QueueDepth, Record
from ..queries import QUERIES
from . import dead_letters, events, lines, revocations
from .receipts import held, owner_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....core.lifecycle import Settlement
    from ....core.message import Receipt
    from ..connection import Transaction
    from .receipts import Owner

# An owner, the state, the result and the end of its time, the client, and the number under which it is told.
_Ending: TypeAlias = tuple[int, int, str, int, str, bytes, int, str, int]

# An expired result is hidden at once, but its row stays this long: its client may have yet to look.
_SLACK_MS = 60_000
_FORGOTTEN_AT_ONCE = 500


def settle(transaction: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    """Carry out `settlements`; False for each whose receipt does not hold, or came before in the same batch."""
    accepted = [False] * len(settlements)
    seen: set[Receipt] = set()
    endings: list[tuple[int, _Ending]] = []
    for position, settlement in enumerate(settlements):
        receipt = settlement.receipt
        owner = owner_of(transaction, receipt)
        if owner is None or receipt in seen:
            continue
        seen.add(receipt)
        if settlement.state not in VERDICTS:
            accepted[position] = _put_back(transaction, settlement)
            continue
        if settlement.dead_ttl_ms and held(transaction, receipt):
            dead_letters.bury(transaction, owner[0], settlement)
        endings.append((position, _ending(transaction, settlement, owner)))
    for position in _end(transaction, endings):
        accepted[position] = True
        revocations.forget(transaction, settlements[position].id)
    # Twice as many as may have been added, so that results of the past never pile up.
    forget_expired(transaction, 2 * len(settlements))
    return accepted


def _ending(transaction: Transaction, settlement: Settlement, owner: Owner) -> _Ending:
    _, _, state, result, ttl_ms, reply, *_ = settlement
    return *owner, state.value, result, transaction.now_ms + ttl_ms, reply, transaction.next_number()


def _end(transaction: Transaction, endings: list[tuple[int, _Ending]]) -> list[int]:
    """Write and tell verdicts, each if its delivery is the present one; the positions of these."""
    all_present = transaction.execute_rows("end", [ending for _, ending in endings]) == len(endings)
    ended = []
    for position, (number, _, _, _, _, _, _, client, told) in endings:
        if all_present or _has_ended(transaction, number, told):
            ended.append(position)
            events.tell(transaction, number, client, told)
    return ended


def _has_ended(transaction: Transaction, number: int, told: int) -> bool:
    [(has_ended,)] = transaction.execute(QUERIES["has_ended"], (number, told))
    return bool(has_ended)


def withdraw(transaction: Transaction, task_id: str, number: int, result: bytes, ttl_ms: int, client: str) -> None:
    """The verdict ``cancelled`` on a task that is not leased."""
    told = transaction.next_number()
    transaction.execute(QUERIES["withdraw"], (result, transaction.now_ms + ttl_ms, client, told, number))
    events.tell(transaction, number, client, told)
    revocations.forget(transaction, task_id)


def _put_back(transaction: Transaction, settlement: Settlement) -> bool:
    """Let a task get in line again: now if it was asked to stop, else when its settlement says so."""
    number = held(transaction, settlement.receipt)
    if number is None:
        return False
    due_ms = settlement.eta_ms or transaction.now_ms + settlement.delay_ms
    if revocations.is_to_cancel(transaction, settlement.id):
        due_ms = transaction.now_ms
    lines.enter_again(transaction, number, settlement.state, due_ms, failures=settlement.failures)
    return True


def report(transaction: Transaction, receipt: Receipt, progress: bytes, reply: str) -> bool:
    """Keep and announce progress; False when `receipt` does not hold."""
    number = held(transaction, receipt)
    if number is None:
        return False
    told = transaction.next_number()
    transaction.execute(QUERIES["report"], (progress, reply, told, number))
    events.tell(transaction, number, reply, told)
    return True


def promote(transaction: Transaction, limit: int) -> Promotion:
    """Put up to `limit` scheduled tasks that are due in line."""
    now_ms = transaction.now_ms
    due = transaction.execute(QUERIES["due"], (transaction.namespace, now_ms, max(limit, 0))).fetchall()
    for number, state in due:
        lines.enter_again(transaction, number, state, now_ms)
    forget_expired(transaction)
    next_due_ms = transaction.next_due_ms()
    return Promotion(len(due), None if next_due_ms is None else max(next_due_ms - now_ms, 0))


def forget_expired(transaction: Transaction, limit: int = _FORGOTTEN_AT_ONCE) -> None:
    """Drop up to `limit` tasks whose result has expired."""
    transaction.execute(QUERIES["forget"], (transaction.namespace, transaction.now_ms - _SLACK_MS, limit))


# -- looking


def records(transaction: Transaction, task_ids: Sequence[str]) -> list[Record | None]:
    """What is known of the first of these tasks: of at least one, and of no more than fit in one flight."""
    found: list[Record | None] = []
    size = 0
    for task_id in task_ids:
        record = _record(transaction, task_id)
        size += 0 if record is None else len(record.result)
        if found and size > FLIGHT_BYTES:
            break
        found.append(record)
    return found


def watch(transaction: Transaction, task_ids: Sequence[str], watcher: str) -> list[Record | None]:
    """As ``records``; from now on the client `watcher` is told about those of them without a verdict."""
    found = records(transaction, task_ids)
    for task_id, record in zip(task_ids, found, strict=False):
        if record is not None and record.state not in VERDICTS:
            transaction.execute(QUERIES["watch"], (transaction.namespace, task_id, watcher))
    return found


def _record(transaction: Transaction, task_id: str) -> Record | None:
    arguments = (transaction.namespace, task_id, transaction.now_ms)
    row = transaction.execute(QUERIES["record"], arguments).fetchone()
    return None if row is None else Record(State(row[0]), row[1], row[2])


def envelopes(transaction: Transaction, task_ids: Sequence[str]) -> list[Envelope | None]:
    """What was pushed under each id, as long as it has no verdict."""
    return [_envelope(transaction, task_id) for task_id in task_ids]


def _envelope(transaction: Transaction, task_id: str) -> Envelope | None:
    task = unsettled(transaction, task_id)
    return None if task is None else Envelope(task_id, task.payload, task.queue, task.priority)


class Unsettled(NamedTuple):
    """A task without a verdict, and the place in which it is."""

    number: int
    place: str
    payload: bytes
    queue: str
    priority: int


def unsettled(transaction: Transaction, task_id: str) -> Unsettled | None:
    """The task of this id, unless it is unknown or has its verdict."""
    row = transaction.execute(QUERIES["unsettled"], (transaction.namespace, task_id)).fetchone()
    return None if row is None else Unsettled(*row)


def depths(transaction: Transaction) -> list[QueueDepth]:
    """How full each queue is that holds anything."""
    namespace, now_ms = (transaction.namespace,), transaction.now_ms
    ready = {queue: (count, since) for queue, count, since in transaction.execute(QUERIES["count_ready"], namespace)}
    leased = dict(transaction.execute(QUERIES["count_leased"], namespace).fetchall())
    scheduled = dict(transaction.execute(QUERIES["count_scheduled"], namespace).fetchall())
    found = []
    for queue in sorted({*ready, *leased, *scheduled}):
        count, since = ready.get(queue, (0, now_ms))
        found.append(QueueDepth(queue, count, leased.get(queue, 0), scheduled.get(queue, 0), max(now_ms - since, 0)))
    return found
