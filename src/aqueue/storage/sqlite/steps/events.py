"""What clients are told: each row that has something to tell bears the number under which it was last told.

A client reads all that has a higher number than what it has read so far. A wake-up call only says that it is worth
looking; the news itself is in the file, and stays there however late the client comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ....core.lifecycle import VERDICTS, State
from ...protocol import CancelAsked, Freed, Progressed, ScheduleChanged, Settled
from ..queries import QUERIES
from ..wakeup import client_topic

if TYPE_CHECKING:
    from ...protocol import Event
    from ..connection import Transaction

_LARGEST_RESULT = 64 * 1024
_MOST_EVENTS = 500


class News(NamedTuple):
    """What happened after a number, up to the number `last`, and when the next scheduled task is due.

    Numbers can be compared as long as the `connection` is the same. There is more to read where `is_partial`.
    """

    connection: int
    events: list[Event]
    last: int
    next_due_ms: int | None
    is_partial: bool = False


def tell(transaction: Transaction, number: int, client: str, told: int) -> None:
    """Under the number `told` there is something to tell about the task `number`: wake its `client` and its watchers.

    The row of the task bears the two already.
    """
    if client:
        transaction.news.add(client_topic(client))
    if transaction.has_watchers:
        arguments = (told, transaction.namespace, number, client)
        watchers = transaction.execute(QUERIES["tell_watchers"], arguments).fetchall()
        transaction.news.update(client_topic(watcher) for (watcher,) in watchers)


def latest(transaction: Transaction) -> News:
    """Where a client that begins to listen begins to read."""
    return News(transaction.connection, [], transaction.last_number(), transaction.next_due_ms())


def since(transaction: Transaction, client: str, last: int) -> News:
    """What `client` has to hear after the number `last`, as much of it as fits into one step."""
    arguments = {
        "namespace": transaction.namespace,
        "client": client,
        "last": last,
        "largest": _LARGEST_RESULT,
        "limit": _MOST_EVENTS,
    }
    events: list[Event] = []
    for number, name, state, result, progress in transaction.execute(QUERIES["news"], arguments):
        last = number
        events.append(_event(name, state, result, progress))
    return News(transaction.connection, events, last, transaction.next_due_ms(), len(events) == _MOST_EVENTS)


def _event(name: str, state: str, result: bytes | None, progress: bytes) -> Event:
    match state:
        case "freed":
            return Freed(name)
        case "cancel":
            return CancelAsked(name)
        case "schedule":
            return ScheduleChanged(name)
        case _ if State(state) in VERDICTS:
            return Settled(name, State(state), result)
        case _:
            return Progressed(name, progress)
