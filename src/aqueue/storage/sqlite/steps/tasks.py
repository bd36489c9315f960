"""What can be done to the tasks of one namespace, each as a function that runs inside a transaction.

A task is in one of five places: ready (in line), scheduled, leased, settled or, until others have ended, waiting.
Whoever changes a leased task names its number, its consumer and its count; when that is not the present delivery any
more, no row matches and nothing changes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ....core.clock import LONGEST_SPAN_MS
from ....core.lifecycle import VERDICTS, State
from ....core.message import Delivery, Envelope, Receipt
from ...protocol import (
    CancelAsked,
    Freed,
    Progressed,
    Promotion,
    QueueDepth,
    Record,
    Renewal,
    ScheduleChanged,
    Settled,
    WorkerInfo,
)
from ..queries import QUERIES
from ..wakeup import READY, client_topic
from . import dead_letters as letters
from . import revocations as marks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ....core.lifecycle import Settlement
    from ...protocol import Borrower, Event
    from ..connection import Transaction

_Row: TypeAlias = tuple[int, int, str, str, int, str, str, int, bytes]
_Owner: TypeAlias = tuple[int, int, str, int]
_Ending: TypeAlias = tuple[str, bytes, int, str, int, int, int, str, int]

# What a receipt says of the place and the entry: there is one table, and its rows have numbers.
_PLACE = "task"
_ENTRY = re.compile(r"[1-9][0-9]{0,17}")
# An expired result is not shown any more, but its row stays this long: its client may have yet to look.
_SLACK_MS = 60_000
_FORGOTTEN_AT_ONCE = 500
_LARGEST_TOLD = 64 * 1024
_MOST_TOLD = 500
_MOST_DELIVERIES = 2**62


class News(NamedTuple):
    """What happened after a number, up to the number `last`, and when the next scheduled task is due.

    Numbers can be compared as long as the `connection` is the same.
    """

    connection: int
    events: list[Event]
    last: int
    next_due_ms: int | None
    is_partial: bool = False


# -- the way in


def push(transaction: Transaction, envelopes: Sequence[Envelope]) -> list[bool]:
    """Keep `envelopes`; True for each that is new."""
    transaction.check_room()
    rows = [task_row(transaction, envelope) for envelope in envelopes]
    if transaction.execute_rows("push", rows) == len(rows):
        new = [True] * len(rows)
    else:
        new = [_is_kept(transaction, row) or _push_anew(transaction, row) for row in rows]
    for (_, _, _, _, _, place, _, at_ms, _), kept in zip(rows, new, strict=True):
        if kept:
            entered(transaction, place, at_ms)
    return new


def task_row(transaction: Transaction, envelope: Envelope) -> _Row:
    """A new task as it stands in the table."""
    task_id, payload, queue, priority, delay_ms, eta_ms = envelope
    place, state, at_ms = entrance(transaction.now_ms, State.QUEUED, delay_ms, eta_ms)
    return transaction.next_number(), transaction.namespace, task_id, queue, priority, place, state, at_ms, payload


def _is_kept(transaction: Transaction, row: _Row) -> bool:
    [(kept,)] = transaction.execute(QUERIES["is_kept"], row[:1])
    return bool(kept)


def _push_anew(transaction: Transaction, row: _Row) -> bool:
    """Push a task whose id is taken: the id is free again once the result of the other one has expired."""
    _, namespace, task_id, *_ = row
    if transaction.execute(QUERIES["free_id"], (namespace, task_id, transaction.now_ms)).rowcount == 0:
        return False
    return transaction.execute_rows("push", [row]) == 1


def entrance(now_ms: int, state: State, delay_ms: int, eta_ms: int) -> tuple[str, str, int]:
    """Place, state and instant of a task that gets in line, now or later. One that failed is retrying either way."""
    due_ms = eta_ms or now_ms + delay_ms
    if due_ms > now_ms:
        return "scheduled", (state if state is State.RETRYING else State.SCHEDULED).value, due_ms
    return "ready", (state if state is State.RETRYING else State.QUEUED).value, now_ms


def entered(transaction: Transaction, place: str, at_ms: int) -> None:
    if place == "ready":
        transaction.news.add(READY)
    else:
        transaction.note_scheduled(at_ms)


# -- the way out


def claim(transaction: Transaction, borrower: Borrower, limit: int) -> list[Delivery]:
    """Lend up to `limit` ready tasks: by priority, then in the order of the queues, then the oldest first."""
    consumer, queues, _ = borrower
    arguments = _named(transaction, borrower) | {"limit": max(limit, 0)}
    rows = transaction.execute(QUERIES["claim"], arguments).fetchall()
    rows.sort(key=lambda row: (-row[6], queues.index(row[7]), row[0]))
    return [_delivery(transaction, consumer, *row[:6]) for row in rows]


def _named(transaction: Transaction, borrower: Borrower) -> dict[str, Any]:
    """The arguments of the statements that lend."""
    consumer, queues, lease_ms = borrower
    return {
        "namespace": transaction.namespace,
        "consumer": consumer,
        "queues": json.dumps(queues),
        "now_ms": transaction.now_ms,
        "lease_ms": lease_ms,
    }


def adopt(transaction: Transaction, borrower: Borrower, held: Collection[Receipt]) -> list[Delivery]:
    """What is lent to the consumer and not in `held`, with new leases."""
    known = set(held)
    rows = transaction.execute(QUERIES["lent"], _named(transaction, borrower))
    deliveries = [_delivery(transaction, borrower.consumer, *row) for row in rows]
    missing = [delivery for delivery in deliveries if delivery.receipt not in known]
    return [delivery for delivery in missing if _renew(transaction, delivery.receipt, borrower.lease_ms)]


def _delivery(
    transaction: Transaction,
    consumer: str,
    number: int,
    task_id: str,
    payload: bytes,
    failures: int,
    earlier: int,
    count: int,
) -> Delivery:
    receipt = Receipt(consumer, _PLACE, str(number), count)
    return Delivery(task_id, payload, receipt, failures, earlier + count, transaction.is_marked)


# -- the way back


def settle(transaction: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    """Carry out `settlements`; False for each whose delivery is not the present one."""
    accepted = [False] * len(settlements)
    seen: set[Receipt] = set()
    endings: list[tuple[int, _Ending]] = []
    for position, settlement in enumerate(settlements):
        owner = _owner(transaction, settlement.receipt)
        if owner is None or settlement.receipt in seen:
            continue
        seen.add(settlement.receipt)
        if settlement.dead_ttl_ms:
            letters.bury(transaction, settlement, owner)
        if settlement.state in VERDICTS:
            endings.append((position, _ending(transaction, settlement, owner)))
        else:
            accepted[position] = _put_back(transaction, settlement, owner)
    _end(transaction, endings, accepted)
    if transaction.is_marked:
        for position, _ in endings:
            if accepted[position]:
                marks.forget(transaction, settlements[position].id)
    # Twice as many as may have been added, so that results of the past never pile up.
    _forget_expired(transaction, 2 * len(settlements))
    return accepted


def _ending(transaction: Transaction, settlement: Settlement, owner: _Owner) -> _Ending:
    _, _, state, result, ttl_ms, reply, *_ = settlement
    return state.value, result, transaction.now_ms + ttl_ms, reply, transaction.next_number(), *owner


def _end(transaction: Transaction, endings: list[tuple[int, _Ending]], accepted: list[bool]) -> None:
    """Write verdicts; those that were not refused are `accepted` and told."""
    all_present = transaction.execute_rows("end", [ending for _, ending in endings]) == len(endings)
    for position, (_, _, _, reply, told, number, *_) in endings:
        if all_present or _is_told(transaction, number, told):
            accepted[position] = True
            tell(transaction, number, reply, told)


def _is_told(transaction: Transaction, number: int, told: int) -> bool:
    [(is_told,)] = transaction.execute(QUERIES["is_told"], (number, told))
    return bool(is_told)


def _put_back(transaction: Transaction, settlement: Settlement, owner: _Owner) -> bool:
    delay_ms, eta_ms = settlement.delay_ms, settlement.eta_ms
    if marks.is_to_cancel(transaction, settlement.id):
        delay_ms, eta_ms = 0, 0
    place, state, at_ms = entrance(transaction.now_ms, settlement.state, delay_ms, eta_ms)
    values = (transaction.next_number(), place, state, at_ms, settlement.failures, *owner)
    if transaction.execute(QUERIES["put_back"], values).rowcount == 0:
        return False
    entered(transaction, place, at_ms)
    return True


def report(transaction: Transaction, receipt: Receipt, progress: bytes, reply: str) -> bool:
    """Keep and announce progress; False when the delivery is not the present one."""
    owner = _owner(transaction, receipt)
    if owner is None:
        return False
    told = transaction.next_number()
    if transaction.execute(QUERIES["report"], (progress, reply, told, *owner)).rowcount == 0:
        return False
    tell(transaction, owner[0], reply, told)
    return True


def tell(transaction: Transaction, number: int, reply: str, told: int) -> None:
    """Let the client that enqueued the task `number` know, and those who watch it."""
    if reply:
        transaction.news.add(client_topic(reply))
    if transaction.is_watched:
        arguments = (told, transaction.namespace, number, reply)
        watchers = transaction.execute(QUERIES["tell_watchers"], arguments).fetchall()
        transaction.news.update(client_topic(client) for (client,) in watchers)


def _owner(transaction: Transaction, receipt: Receipt) -> _Owner | None:
    """What the row of a present delivery says; None when no row can say so."""
    consumer, place, entry, count = receipt
    if place != _PLACE or not _ENTRY.fullmatch(entry):
        return None
    return int(entry), transaction.namespace, consumer, count


def _forget_expired(transaction: Transaction, limit: int) -> None:
    transaction.execute(QUERIES["forget"], (transaction.namespace, transaction.now_ms - _SLACK_MS, limit))


# -- upkeep


def promote(transaction: Transaction, limit: int) -> Promotion:
    """Put up to `limit` scheduled tasks that are due in line."""
    now_ms = transaction.now_ms
    due = transaction.execute(QUERIES["due"], (transaction.namespace, now_ms, max(limit, 0))).fetchall()
    for (number,) in due:
        transaction.execute(QUERIES["promote"], (transaction.next_number(), now_ms, number))
    if due:
        transaction.news.add(READY)
    _forget_expired(transaction, _FORGOTTEN_AT_ONCE)
    next_due_ms = transaction.next_due_ms()
    return Promotion(len(due), None if next_due_ms is None else max(next_due_ms - now_ms, 0))


def reclaim(transaction: Transaction, borrower: Borrower, limits: tuple[int, int, int]) -> list[Delivery]:
    """Lend deliveries whose lease has run out.

    `limits` are how many, how often made they are suspects (0: none is), and how many suspects may be among them.
    """
    _forget_expired(transaction, _FORGOTTEN_AT_ONCE)
    _spare_the_living(transaction, borrower.lease_ms)
    limit, suspect_count, most_suspects = limits
    arguments = _named(transaction, borrower)
    others = {"fewest": 0, "most": suspect_count - 1 if suspect_count else _MOST_DELIVERIES, "limit": max(limit, 0)}
    rows = transaction.execute(QUERIES["reclaim"], arguments | others).fetchall()
    if suspect_count:
        room = max(min(most_suspects, limit - len(rows)), 0)
        suspects = {"fewest": suspect_count, "most": _MOST_DELIVERIES, "limit": room}
        rows += transaction.execute(QUERIES["reclaim"], arguments | suspects).fetchall()
    return [_delivery(transaction, borrower.consumer, *row) for row in sorted(rows)]


def _spare_the_living(transaction: Transaction, lease_ms: int) -> None:
    """Begin the leases anew whose owners may not have been able to renew them.

    Those are the ones that are shorter than a time in which nobody looked (the machine was suspended, every worker was
    down, the clock was set forward), and all of them after the clock was set back.
    """
    now_ms, namespace = transaction.now_ms, transaction.namespace
    [(reclaimed_ms, due_ms)] = transaction.execute(QUERIES["last_reclaim"], (namespace,))
    if not reclaimed_ms <= now_ms <= due_ms:
        pause_ms = now_ms - reclaimed_ms if now_ms > reclaimed_ms else LONGEST_SPAN_MS
        arguments = {"namespace": namespace, "now_ms": now_ms, "pause_ms": pause_ms}
        transaction.execute(QUERIES["begin_leases_anew"], arguments)
    transaction.execute(QUERIES["save_reclaim"], (now_ms, now_ms + lease_ms, namespace))


def renew(transaction: Transaction, borrower: Borrower, receipts: Collection[Receipt], description: bytes) -> Renewal:
    """A sign of life of the consumer, and new leases; see ``LeaseKeeper.renew``."""
    transaction.execute(
        QUERIES["see_worker"], (transaction.namespace, borrower.consumer, description, transaction.now_ms)
    )
    renewal = Renewal([], [])
    for receipt in receipts:
        if not _renew(transaction, receipt, borrower.lease_ms):
            renewal.lost.append(receipt)
        elif transaction.is_marked and _has_to_stop(transaction, receipt):
            renewal.to_cancel.append(receipt)
    return renewal


def _has_to_stop(transaction: Transaction, receipt: Receipt) -> bool:
    [(task_id,)] = transaction.execute(QUERIES["id_of"], (int(receipt.entry),))
    return marks.is_to_cancel(transaction, task_id)


def _renew(transaction: Transaction, receipt: Receipt, lease_ms: int) -> bool:
    owner = _owner(transaction, receipt)
    if owner is None:
        return False
    return bool(transaction.execute(QUERIES["renew"], (transaction.now_ms + lease_ms, lease_ms, *owner)).rowcount)


def retire(transaction: Transaction, consumer: str) -> None:
    transaction.execute(QUERIES["retire"], (transaction.namespace, consumer))


# -- looking


def records(transaction: Transaction, task_ids: Sequence[str]) -> list[Record | None]:
    """What is known of each task."""
    return [_record(transaction, task_id) for task_id in task_ids]


def watch(transaction: Transaction, task_ids: Sequence[str], watcher: str) -> list[Record | None]:
    """What is known of each task; from now on `watcher` is told of those without a verdict."""
    found = records(transaction, task_ids)
    for task_id, record in zip(task_ids, found, strict=True):
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
    row = transaction.execute(QUERIES["unsettled"], (transaction.namespace, task_id)).fetchone()
    return None if row is None else Envelope(task_id, *row[2:])


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


def workers(transaction: Transaction) -> list[WorkerInfo]:
    """Those who gave a sign of life and did not retire."""
    rows = transaction.execute(QUERIES["workers"], (transaction.namespace,))
    return [
        WorkerInfo(consumer, description, max(transaction.now_ms - seen, 0)) for consumer, description, seen in rows
    ]


def last_news(transaction: Transaction) -> News:
    """Where the news begin for someone who has just come."""
    return News(transaction.connection, [], transaction.last_number(), transaction.next_due_ms())


def news(transaction: Transaction, client: str, last: int) -> News:
    """What `client` is to be told after the number `last`, as much as goes in one step."""
    arguments = {
        "namespace": transaction.namespace,
        "client": client,
        "last": last,
        "largest": _LARGEST_TOLD,
        "limit": _MOST_TOLD,
    }
    events: list[Event] = []
    for number, name, state, result, progress in transaction.execute(QUERIES["news"], arguments):
        last = number
        if state == "freed":
            events.append(Freed(name))
        elif state == "cancel":
            events.append(CancelAsked(name))
        elif state == "schedule":
            events.append(ScheduleChanged(name))
        elif State(state) in VERDICTS:
            events.append(Settled(name, State(state), result))
        else:
            events.append(Progressed(name, progress))
    return News(transaction.connection, events, last, transaction.next_due_ms(), len(events) == _MOST_TOLD)
