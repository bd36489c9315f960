"""What travels between the one who enqueues and the one who runs.

A *Message* is the call itself, as the caller meant it. An *Envelope* is the message as bytes with what a store needs to
know to keep and order it; a *Node* is an envelope that may have to wait for others. A *Delivery* is an envelope in the
hands of one consumer, and its *Receipt* proves that this consumer still owns it. Times are integer milliseconds, UTC.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple

DEFAULT_QUEUE = "default"

# How the payload of a node begins once a store has put its inputs into it. No JSON does, and no pickle.
JOINED = b"\0join:"


class Error(NamedTuple):
    """Stands for the result of a task that has failed; `metadata` is that of its ``TaskException``."""

    metadata: dict[str, Any]


class Skipped:
    """The type of `SKIPPED`, which stands for the result of a task that was cancelled or has expired."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SKIPPED"

    def __reduce__(self) -> str:
        return "SKIPPED"


SKIPPED: Final = Skipped()


class Message:
    """One call of one task.

    `reply` names the client that may be waiting for the result ("" for none), `expires_ms` the instant after which the
    task must not start any more (0 for never), `overrides` the options that this call changes, by name, if any, and
    `node` what makes it a part of a workflow, if it is one (see ``workflow.inputs``).
    """

    __slots__ = ("args", "expires_ms", "id", "kwargs", "node", "overrides", "reply", "task")

    def __init__(
        self,
        task_id: str,
        task: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        reply: str = "",
        expires_ms: int = 0,
        overrides: dict[str, Any] | None = None,
        node: list[Any] | None = None,
    ) -> None:
        self.id = task_id
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.reply = reply
        self.expires_ms = expires_ms
        self.overrides = overrides
        self.node = node


class Envelope(NamedTuple):
    """A message on its way into a store.

    It is due at `eta_ms` or, counted by the store's own clock, `delay_ms` after it arrives; 0 and 0 mean at once.
    """

    id: str
    payload: bytes
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    delay_ms: int = 0
    eta_ms: int = 0


class Trigger(StrEnum):
    """What a node waits for: that every task before it is done, has ended in whatever way, or has failed."""

    DONE = "done"
    ENDED = "ended"
    FAILED = "failed"


class Node(NamedTuple):
    """One task of a workflow on its way into a store.

    It waits for the tasks whose ids stand in `after`; without any it starts like a task of its own. What it gets of
    each is an input, in that order. When its `trigger` can not come about any more it is cancelled, and the client
    named by `reply` is told ("" for none).
    """

    envelope: Envelope
    after: tuple[str, ...] = ()
    trigger: Trigger = Trigger.DONE
    reply: str = ""


class Joined(NamedTuple):
    """The payload of a node as it was pushed, the instant at which it is due, and the verdicts before it.

    Each verdict is the state, and the result that came with it.
    """

    payload: bytes
    due_ms: int
    inputs: list[tuple[str, bytes]]


def as_input(state: str, result: bytes) -> bytes:
    """What a node gets of a task before it: how that ended, and its result."""
    return b"%b %d\n%b" % (state.encode(), len(result), result)


def joined(payload: bytes, due_ms: int, inputs: Iterable[bytes]) -> bytes:
    """The payload of a node that has all its inputs. Each part stands behind its length: it may have any bytes."""
    return b"".join((b"%b%d %d\n" % (JOINED, due_ms, len(payload)), payload, *inputs))


def parted(payload: bytes) -> Joined:
    """What ``joined`` was given.

    Raises:
        ValueError: `payload` is nothing that it gives.
    """
    due_ms, start, end = _head(payload, len(JOINED))
    inputs = []
    position = end
    while position < len(payload):
        state, first, position = _head(payload, position)
        inputs.append((state.decode(), payload[first:position]))
    return Joined(payload[start:end], int(due_ms), inputs)


def _head(payload: bytes, position: int) -> tuple[bytes, int, int]:
    """The word that stands at `position`, and where the bytes behind its line begin and end."""
    start = payload.index(b"\n", position) + 1
    word, length = payload[position : start - 1].split(b" ")
    end = start + int(length)
    if not start <= end <= len(payload):
        raise ValueError("a part of it is missing")
    return word, start, end


class Receipt(NamedTuple):
    """Proof of ownership of one delivery, opaque to everyone but the store that wrote it.

    `place` and `entry` say where the store keeps it, `count` how often this entry has been delivered. Another consumer
    takes an entry over by raising the count, which voids every earlier receipt.
    """

    consumer: str
    place: str
    entry: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which says nothing of a receipt


class Delivery(NamedTuple):
    """An envelope handed to a consumer.

    `failures` counts the runs that ended in a failure and were retried, `fence` every delivery of this task so far:
    it only ever grows, so it orders the deliveries of one task. `receipt.count` beyond 1 means that earlier consumers
    vanished without a verdict. `may_be_revoked` is set if any task at all was revoked or asked to stop when this
    one was handed out: the consumer then asks the store about it before it starts.
    """

    id: str
    payload: bytes
    receipt: Receipt
    failures: int = 0
    fence: int = 1
    may_be_revoked: bool = False
