"""What travels between the one who enqueues and the one who runs.

A *Message* is the call itself, as the caller meant it. An *Envelope* is the message as bytes with what a store needs to
know to keep and order it. A *Delivery* is an envelope in the hands of one consumer, and its *Receipt* proves that this
consumer still owns it. Times are integer milliseconds, UTC.
"""

from typing import Any, NamedTuple

DEFAULT_QUEUE = "default"


class Message:
    """One call of one task.

    `reply` names the client that may be waiting for the result ("" for none), `expires_ms` the instant after which the
    task must not start any more (0 for never), and `overrides` the options that this call changes, by name, if any.
    """

    __slots__ = ("args", "expires_ms", "id", "kwargs", "overrides", "reply", "task")

    def __init__(
        self,
        task_id: str,
        task: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        reply: str = "",
        expires_ms: int = 0,
        overrides: dict[str, Any] | None = None,
    ) -> None:
        self.id = task_id
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.reply = reply
        self.expires_ms = expires_ms
        self.overrides = overrides


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
    vanished without a verdict. `is_marked` says that when it was handed out some task was revoked or asked to stop,
    maybe this one.
    """

    id: str
    payload: bytes
    receipt: Receipt
    failures: int = 0
    fence: int = 1
    is_marked: bool = False
