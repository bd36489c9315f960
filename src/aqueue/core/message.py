"""What travels between the process that enqueues a task and the worker that runs it.

A *Message* is the call itself. An *Envelope* is the encoded message, with what a store needs to keep and order it. A
*Node* is an envelope that may have to wait for other tasks. A *Delivery* is an envelope in the hands of one consumer,
and its *Receipt* proves that this consumer still owns it. Times are integer milliseconds, UTC.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple

DEFAULT_QUEUE = "default"

# A payload begins with this once a store has put the inputs of a node into it. Neither JSON nor a pickle does.
JOINED = b"\0join:"


class Error(NamedTuple):
    """Takes the place of the result of a task that failed. `metadata` is that of its ``TaskException``."""

    metadata: dict[str, Any]


class Skipped:
    """The type of `SKIPPED`, which takes the place of the result of a task that was cancelled or has expired."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SKIPPED"

    def __reduce__(self) -> str:
        return "SKIPPED"


SKIPPED: Final = Skipped()


class Message:
    """One call of one task.

    `reply` names the client that may await the result ("" for none). `expires_ms` is the instant after which the task
    must not start (0 if it never expires). `overrides` has the options that this call changes, by name. `node` is the
    call's place in a workflow, or None (see ``workflow.inputs``).
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

    It is due at the instant `eta_ms`, or `delay_ms` after it arrives by the store's clock, or at once if both are 0.
    """

    id: str
    payload: bytes
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    delay_ms: int = 0
    eta_ms: int = 0


class Trigger(StrEnum):
    """What a node waits for: that all tasks before it are done, have ended in any state, or have failed."""

    DONE = "done"
    ENDED = "ended"
    FAILED = "failed"


class Node(NamedTuple):
    """One task of a workflow on its way into a store.

    It waits for the tasks whose ids are in `after`, and gets an input from each, in that order. If `after` is empty, it
    starts like any other task. When its `trigger` has become impossible, the store cancels it and notifies the client
    `reply` ("" for none).
    """

    envelope: Envelope
    after: tuple[str, ...] = ()
    trigger: Trigger = Trigger.DONE
    reply: str = ""


class Joined(NamedTuple):
    """The payload of a node as it was pushed, the instant at which it is due, and its inputs.

    Each input is the state and the result of a task before it.
    """

    payload: bytes
    due_ms: int
    inputs: list[tuple[str, bytes]]


def as_input(state: str, result: bytes) -> bytes:
    """Encode the input that a node gets from a task before it: the task's state and its result."""
    return b"%b %d\n%b" % (state.encode(), len(result), result)


def joined(payload: bytes, due_ms: int, inputs: Iterable[bytes]) -> bytes:
    """Encode the payload of a node with all its inputs. A length precedes each part, which may be any bytes."""
    return b"".join((b"%b%d %d\n" % (JOINED, due_ms, len(payload)), payload, *inputs))


def parted(payload: bytes) -> Joined:
    """Decode what ``joined`` encoded.

    Raises:
        ValueError: `payload` has another form.
    """
    due_ms, start, end = _head(payload, len(JOINED))
    inputs = []
    position = end
    while position < len(payload):
        state, first, position = _head(payload, position)
        inputs.append((state.decode(), payload[first:position]))
    return Joined(payload[start:end], int(due_ms), inputs)


def _head(payload: bytes, position: int) -> tuple[bytes, int, int]:
    """Read the header line at `position`: its word, and where the bytes after that line begin and end."""
    start = payload.index(b"\n", position) + 1
    word, length = payload[position : start - 1].split(b" ")
    end = start + int(length)
    if not start <= end <= len(payload):
        raise ValueError("a part of it is missing")
    return word, start, end


class Receipt(NamedTuple):
    """Proof of ownership of one delivery, opaque to everyone but the store that wrote it.

    `place` and `entry` say where the store keeps the delivery, and `count` how often this entry has been delivered.
    Another consumer takes an entry over by raising the count, which voids every earlier receipt.
    """

    consumer: str
    place: str
    entry: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody calls on a receipt


class Delivery(NamedTuple):
    """An envelope handed to a consumer.

    `failures` counts the runs that ended in a failure and were retried, `fence` every delivery of this task so far:
    it only ever grows, so it orders the deliveries of one task. `receipt.count` beyond 1 means that earlier consumers
    vanished without a verdict. `may_be_revoked` is set if any task at all was revoked or asked to stop when this
    one was handed out: the consumer then asks the store about it before it starts. If `unread` is not 0, the payload
    has that many bytes and is still in the store, where ``Intake.load`` gets it; `payload` is empty.
    """

    id: str
    payload: bytes
    receipt: Receipt
    failures: int = 0
    fence: int = 1
    may_be_revoked: bool = False
    unread: int = 0
