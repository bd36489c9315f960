"""The contract between aqueue and a store.

A storage keeps bytes under ids, orders them, lends them to consumers and takes verdicts back. It knows no task, no
policy and no exception of the user. What passes ``aqueue.testing.conformance`` is a storage.

Every call takes a batch and is atomic per item; a batch of any number is accepted (the storage cuts it up). Callers
send about ``FLIGHT_BYTES`` at once, or one larger item, so that a batch takes neither long nor much memory. Where a
batch names a task or a receipt twice, the first counts. Each call is idempotent: `push` by task id, everything about a
delivery by its receipt, which a later delivery of the same task voids, `advance` by the state that it leads to. So a
caller whose reply was lost simply calls again.

A call that cannot reach the store within a few seconds raises ``QueueUnavailable``; ``push`` and ``advance`` on a store
without room raise ``QueueFull``. No other error leaves a storage in normal operation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from ..core.failures import reported_by_store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ..core.lifecycle import Settlement, State
    from ..core.message import Delivery, Envelope, Node, Receipt
    from .admin import StorageAdmin
    from .shared import SharedState

# What the inputs of one node may take together: stores cannot hold values of any size.
MOST_INPUT_BYTES = 256 * 2**20
TOO_MUCH_INPUT = reported_by_store(
    "EncodeError",
    "the results that it waited for take more than 256 MiB together: store them elsewhere and pass references",
)


class Record(NamedTuple):
    """What the store knows about a task. `result` is the value of a done task, or the description of its failure."""

    state: State
    result: bytes = b""
    progress: bytes = b""


class Promotion(NamedTuple):
    """`moved` tasks became ready; the next one is due in `next_ms` milliseconds (None: nothing is scheduled)."""

    moved: int
    next_ms: int | None


class Connected(NamedTuple):
    """The event stream is up (again); what happened before this instant may have been missed."""


class Settled(NamedTuple):
    """A task of this client has its verdict. `result` is None when it was too large for an event: look it up."""

    id: str
    state: State
    result: bytes | None


class Progressed(NamedTuple):
    """A running task of this client reported how far it is."""

    id: str
    progress: bytes


class Due(NamedTuple):
    """A task was scheduled that is due before all others, in `in_ms` milliseconds."""

    in_ms: int


class Freed(NamedTuple):
    """A permit of `name` was released, for which a caller may be waiting."""

    name: str


class CancelAsked(NamedTuple):
    """A task that is lent has to stop. Every listener hears this, because one of them runs it."""

    id: str


class ScheduleChanged(NamedTuple):
    """The schedule `name` was begun, changed or forgotten, other than by firing a tick. Every listener hears this."""

    name: str


Event: TypeAlias = Connected | Settled | Progressed | Due | Freed | CancelAsked | ScheduleChanged


class Advance(IntEnum):
    """What became of a step of a schedule. Only a step that was refused is false."""

    REFUSED = 0
    KNOWN = 1
    MADE = 2


class Renewal(NamedTuple):
    """The answer to a renewal: receipts that no longer hold, and receipts whose task was asked to stop."""

    lost: list[Receipt]
    to_cancel: list[Receipt]


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How full one queue is. `oldest_ms` is the time that the oldest ready task has waited."""

    queue: str
    ready: int = 0
    running: int = 0
    scheduled: int = 0
    oldest_ms: int = 0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker as it described itself; `seen_ms` is the time since its last sign of life."""

    consumer: str
    description: bytes
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Description:
    """What a storage says about itself, for the start-up banner and for ``aqueue info``.

    `warnings` are facts that weaken a promise ("persistence is off"), one line each.
    """

    kind: str
    location: str
    version: str
    durability: str
    warnings: tuple[str, ...] = field(default=())


class Borrower(NamedTuple):
    """What one worker is lent: tasks of `queues`, in the name of `consumer`, for `lease_ms` each."""

    consumer: str
    queues: tuple[str, ...]
    lease_ms: int


class LeaseKeeper(Protocol):
    """Renews the leases of a worker, from a thread of its own so that a blocked event loop cannot stop it.

    Its methods block; an instance belongs to one thread.
    """

    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        """Extend the leases of `receipts`; report which of them no longer hold, and which are to be cancelled.

        Also records that the consumer is alive, with its `description`, for ``Storage.workers``.
        """

    def close(self) -> None: ...


class Intake(Protocol):
    """Lends tasks to one worker: out of its queues, in the name of its consumer, each for its `lease_ms`.

    One event loop uses it, with one `pull` at a time. A lease runs out when the intake that lent it says so, however
    long the leases of the intake are that looks.
    """

    @property
    def lease_ms(self) -> int:
        """The time for which it lends a task."""

    async def pull(self, limit: int, wait_ms: int) -> list[Delivery]:
        """Up to `limit` ready tasks, highest priority first, oldest first within one priority.

        Waits up to `wait_ms` for the first one when there is none. The first task ever of a queue at one priority may
        be noticed only when the wait is over, unless something listens on this storage (see ``Storage.listen``).
        """

    async def load(self, delivery: Delivery) -> bytes:
        """The payload of a delivery that came without it (see ``Delivery.unread``); empty if the store has it no more.

        What `pull`, `adopt` and `reclaim` lend in one step may have many bytes together, so a storage may keep back
        each payload of more than ``MOST_LENT_BYTES``.
        """

    async def interrupt(self) -> None:
        """Make a waiting `pull` return what it has, now."""

    async def adopt(self, held: Collection[Receipt]) -> list[Delivery]:
        """Deliveries that are lent to the consumer but missing from `held`: their reply was lost on the way.

        Their leases begin anew. May give some of them, and the rest when called again.
        """

    async def reclaim(self, limit: int, suspect_count: int = 0, most_suspects: int = 0) -> list[Delivery]:
        """Take over up to `limit` deliveries whose lease has run out.

        A task that was delivered `suspect_count` times or more (0: none) is a suspect; at most `most_suspects` of the
        `limit` are suspects.

        After an outage of the store, or a time longer than a lease in which no worker called this, owners of such a
        lease get another one, so that those that are still alive can renew it before anything is taken from them.
        """

    def lease_keeper(self) -> LeaseKeeper:
        """Something that renews the leases of the consumer."""

    async def close(self) -> None:
        """Give back its connection. What was lent through it stays lent."""


class Storage(Protocol):
    """A store of one namespace, used from one event loop at a time."""

    @property
    def shared(self) -> SharedState:
        """What the namespace shares beside its tasks."""

    @property
    def admin(self) -> StorageAdmin:
        """What operators need."""

    async def open(self) -> None:
        """Connect. A storage can be opened again after `close`.

        Raises:
            QueueUnavailable: the store cannot be reached.
            ConfigurationError: it can be, but cannot serve as a queue.
        """

    async def close(self) -> None:
        """Give back every connection. Calls in flight, `listen` among them, end with ``QueueUnavailable``."""

    async def describe(self) -> Description: ...

    # -- the way in

    async def push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        """Keep `envelopes`, each unless the store knows its id already; True for each that is new.

        Raises:
            QueueFull: the store has no room. Nothing was kept.
        """

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        """Keep all of `nodes` in one atomic step, or none if the store knows one of their ids; True for each new id.

        Ids are distinct, and what stands in `after` are ids of the same workflow, without a cycle.

        Raises:
            QueueFull: the store has no room. Nothing was kept.
        """

    # -- the way out

    def open_intake(self, consumer: str, queues: Sequence[str], lease_ms: int) -> Intake:
        """An intake that lends tasks of `queues` to `consumer`, for `lease_ms` each.

        It connects when it is first used, and ends with the storage. Any number may be open, in one event loop too, and
        none of them disturbs another; a consumer has one at a time.
        """

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Carry out `settlements`; False for each whose receipt no longer holds (it changed nothing).

        With the verdict of a `linked` task, each node that waits for it gets it as an input (see ``message.as_input``),
        if ``lifecycle.TRIGGERING`` says so. A node that has all its inputs gets in line, now or when it is due, with
        them in its payload (see ``message.joined``). Any other verdict cancels the node, which does not run then: its
        record gets the result of the task that was the cause, for as long as that is kept, its client is told, and the
        nodes that wait for it go on in the same way, with the verdict of the cause as their input. A task that is done
        is not a cause: nodes that wait for its failure are cancelled without a result. Inputs of more than
        `MOST_INPUT_BYTES` cancel the node, too, with `TOO_MUCH_INPUT` as the cause.
        """

    async def report(self, receipt: Receipt, task_id: str, progress: bytes, reply: str) -> bool:
        """Keep and announce the progress of a running task; False when `receipt` no longer holds."""

    # -- schedules

    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        """Replace the state of the schedule `name`, if that still is `seen`, and keep `envelopes`, all in one step.

        No bytes are the state of a schedule that is not known: as `seen` to begin it, as `state` to forget it.
        ``REFUSED`` when its state is neither of the two; nothing happened then. ``KNOWN`` when it is `state` already;
        nothing happened then either, because the step that led to it was made with its envelopes. So envelopes need a
        state that no other step leads to. Like `push`, this keeps no envelope whose id is known.

        Every listener hears of a step without envelopes, as ``ScheduleChanged``.

        Raises:
            QueueFull: the store has no room. Nothing happened.
        """

    async def schedules(self) -> dict[str, bytes]:
        """The state of each schedule, by name."""

    # -- revoking and cancelling
    #
    # A revocation under a key says that something must not start. The key is a task id, or a name that the caller makes
    # for a group of tasks; such a name must not look like an id. A delivery that is handed out while there is any
    # revocation, or any task that was asked to stop, has `may_be_revoked` set: its worker asks `revoked` before it
    # starts the task.

    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        """Keep a revocation under `key`; it replaces an earlier one.

        It holds before the instant `until_ms` (0: for ever), and for one task only with `once`. A revocation under a
        task id ends with the verdict of that task, so a task that has its verdict cannot be revoked. Under a key that
        the store does not know it is forgotten after `keep_ms` (0: never).
        """

    async def restore(self, key: str) -> bool:
        """Remove the revocation under `key`; True when there was one that held."""

    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        """For each pair of a task's id and the key of its group ('' for none), whether either is revoked.

        With `consume` the task is about to start, and one that was asked to stop counts as revoked, too. A revocation
        of a group that holds once then moves to the task that it stops: asked again, the answer is the same.
        """

    async def cancel(
        self,
        task_id: str,
        result: bytes,
        ttl_ms: int,
        reply: str,
        instead: Envelope | None = None,
        *,
        if_lent: bool = True,
    ) -> bool:
        """End a task that is not lent, or ask for the one that is to be stopped; False when it has ended already.

        With `if_lent` False one that is lent is left alone, which gives False too.

        The former gets the verdict ``cancelled``, as if it were settled with `result`, `ttl_ms` and `reply`; it may be
        a node that waits, and what follows for those that wait for it is part of the same step. The latter is announced
        with ``CancelAsked``; until its verdict its deliveries say `may_be_revoked`, ``LeaseKeeper.renew`` reports it,
        and a put-back of it is due at once. `instead` is a new task that is kept in the same step, unless this gives
        False.

        Raises:
            QueueFull: the store has no room for `instead`. Nothing happened.
        """

    async def envelopes(self, task_ids: Sequence[str]) -> list[Envelope | None]:
        """What was pushed under each id, without its due instant; None for what is unknown or has its verdict."""

    # -- upkeep, done by any worker

    async def promote(self, limit: int) -> Promotion:
        """Make up to `limit` scheduled tasks that are due ready."""

    async def retire(self, consumer: str) -> None:
        """Forget `consumer`. What it still holds stays lent to it until its leases run out."""

    # -- looking

    async def now_ms(self) -> int:
        """The instant on the clock of the store, which may differ from that of this machine."""

    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        """What is known about each task; None for an id that the store does not know.

        From now on the client `watcher` hears what happens to those that have no verdict yet, as does the client that
        enqueued them.
        """

    async def depths(self) -> list[QueueDepth]: ...

    async def workers(self) -> list[WorkerInfo]: ...

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        """Call `handle` with what happens to the tasks of `client` and to those that it watches, and with each ``Due``,
        ``Freed`` and ``CancelAsked``.

        Reconnects by itself; tells ``Connected`` each time it is up.
        """
