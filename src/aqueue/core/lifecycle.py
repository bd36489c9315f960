"""The life of a task: its states, the moves between them, and the one pure function that picks the next move.

Running a task gives an *Outcome*. ``decide`` turns it into a *Settlement*: what the store must now do, in one atomic
step, with the delivery. Nothing here reads a clock, draws on I/O or knows a store.
"""

from enum import StrEnum
from random import Random
from typing import NamedTuple, TypeAlias

from .failures import attributed_to
from .message import Delivery, Receipt, Trigger
from .retry import RetryPolicy


class State(StrEnum):
    """Where a task is. The last five are verdicts: nothing follows them, unless a person runs a failed task again."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"


VERDICTS = frozenset({State.DONE, State.FAILED, State.CANCELLED, State.EXPIRED, State.DEAD})

# What may be run again: of a task that ended like this a dead letter is kept.
BURIED = frozenset({State.FAILED, State.DEAD})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.UNKNOWN: frozenset({State.QUEUED, State.SCHEDULED, State.WAITING}),
    State.WAITING: frozenset({State.QUEUED, State.SCHEDULED, State.CANCELLED}),
    State.SCHEDULED: frozenset({State.QUEUED, State.CANCELLED}),
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED}),
    # Back to QUEUED: given back unstarted at shutdown, or taken over from a worker that vanished.
    State.RUNNING: VERDICTS | {State.QUEUED, State.SCHEDULED, State.RETRYING},
    State.RETRYING: frozenset({State.RUNNING, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
    # Somebody runs it again, from its dead letter.
    State.FAILED: frozenset({State.QUEUED}),
    State.DEAD: frozenset({State.QUEUED}),
}

# The verdicts that count as an input for a node of each trigger; any other cancels the node.
TRIGGERING: dict[Trigger, frozenset[State]] = {
    Trigger.DONE: frozenset({State.DONE}),
    Trigger.ENDED: VERDICTS,
    Trigger.FAILED: frozenset({State.FAILED, State.DEAD}),
}


class Returned(NamedTuple):
    """The body returned; `value` is what it returned, encoded."""

    value: bytes


class Raised(NamedTuple):
    """The body raised; `error` is the encoded description, `exception` its class. `final` where a retry cannot help."""

    error: bytes
    exception: type[BaseException]
    final: bool = False


class Cancelled(NamedTuple):
    """``CancelExecution`` was raised, or somebody cancelled the task while it ran.

    `final` when no retry may follow, `again` when one must.
    """

    error: bytes
    final: bool = False
    again: bool = False


class Revoked(NamedTuple):
    """The task was revoked, or asked to stop, before this delivery of it started."""

    error: bytes


class RetryAsked(NamedTuple):
    """``RetryTask`` was raised. Due at `eta_ms` or after `delay_ms`; both ``None``: by the task's own policy."""

    delay_ms: int | None = None
    eta_ms: int | None = None


class Refused(NamedTuple):
    """A lock or a rate limit did not let the body go on; it may after `wait_ms`. `is_failure` when it costs a retry."""

    error: bytes
    wait_ms: int
    is_failure: bool = True


class Expired(NamedTuple):
    """The task was not started before its ``expires``."""

    error: bytes


class Unusable(NamedTuple):
    """Nothing that a retry could mend: bytes that are no message, or a task that keeps killing its workers."""

    error: bytes


class Unknown(NamedTuple):
    """No task named `task` is registered in this worker; another version of the application may know it."""

    task: str


class Unreadable(NamedTuple):
    """Written with settings of the serializer that this worker does not have; one that has them can read it."""


class Interrupted(NamedTuple):
    """The worker took the task off its slot (shutdown); the task itself did nothing wrong."""


Outcome: TypeAlias = (
    Returned
    | Raised
    | Cancelled
    | Revoked
    | RetryAsked
    | Refused
    | Expired
    | Unusable
    | Unknown
    | Unreadable
    | Interrupted
)


class Settlement(NamedTuple):
    """What a store must do with one delivery, atomically, if the receipt still holds.

    A verdict in `state` ends the task: `result` is kept for `ttl_ms` and the client named by `reply` is told. A dead
    letter of it is kept for `dead_ttl_ms`, if that is not 0. Any other state puts the task back, due after `delay_ms`
    (or at `eta_ms`), with `failures` as its new count. Nodes may wait for the verdict of a `linked` task: what follows
    for them is part of the same step.
    """

    receipt: Receipt
    id: str
    state: State
    result: bytes = b""
    ttl_ms: int = 0
    reply: str = ""
    delay_ms: int = 0
    eta_ms: int = 0
    failures: int = 0
    linked: bool = False
    dead_ttl_ms: int = 0


class Terms(NamedTuple):
    """The part of a task's options that decides its fate.

    A result is kept for `ttl_ms`, if at all, and a dead letter for `dead_ttl_ms`, if that is not 0. `linked` where
    other tasks of a workflow wait for its verdict, and get its result or inherit its error.
    """

    policy: RetryPolicy
    ttl_ms: int
    keep_result: bool = True
    linked: bool = False
    dead_ttl_ms: int = 0


# A verdict outlives its result by this much at least: a client that repeats an enqueue whose reply was lost must still
# find the task, or it would run twice.
TOMBSTONE_MS = 60_000

# Whoever was refused asks again, but never in a loop, and a thousand of them not in step.
_REFUSED_SHORTEST_MS = 100
_REFUSED_SPREAD = 0.25

_UNKNOWN_FIRST_MS = 5_000
_UNKNOWN_LONGEST_MS = 300_000


def decide(delivery: Delivery, outcome: Outcome, terms: Terms, reply: str, random: Random) -> Settlement:
    """Pick the move that follows `outcome`; `reply` names the client that may wait.

    Pure: the same arguments give the same settlement.
    """
    match outcome:
        case Returned(value):
            return _verdict(delivery, State.DONE, value, terms, reply)
        case Raised(error, exception, final):
            retry = not final and delivery.failures < terms.policy.retries
            if retry and issubclass(exception, terms.policy.retry_on):
                return _retry(delivery, terms, random)
            return _failure(delivery, State.FAILED, error, terms, reply)
        case Cancelled(error, final, again):
            if again or (not final and delivery.failures < terms.policy.retries):
                return _retry(delivery, terms, random)
            return _verdict(delivery, State.CANCELLED, error, terms, reply)
        case Revoked(error):
            return _verdict(delivery, State.CANCELLED, error, terms, reply)
        case RetryAsked(delay_ms, eta_ms):
            if delay_ms is None and eta_ms is None:
                delay_ms = terms.policy.wait_ms(delivery.failures, random)
            return _put_back(delivery, State.RETRYING, delivery.failures, delay_ms or 0, eta_ms or 0)
        case Refused(error, wait_ms, is_failure):
            if is_failure and delivery.failures >= terms.policy.retries:
                return _failure(delivery, State.FAILED, error, terms, reply)
            spread_ms = round(max(wait_ms, _REFUSED_SHORTEST_MS) * (1 + _REFUSED_SPREAD * random.random()))
            wait_ms = terms.policy.wait_ms(delivery.failures, random) or spread_ms
            return _put_back(delivery, State.RETRYING, delivery.failures + is_failure, wait_ms)
        case Expired(error):
            return _verdict(delivery, State.EXPIRED, error, terms, reply)
        case Unusable(error):
            return _failure(delivery, State.DEAD, error, terms, reply)
        case Unknown(_) | Unreadable():
            # The fence counts the earlier refusals, so the wait grows without a record of them.
            wait = min(_UNKNOWN_FIRST_MS * 2 ** min(delivery.fence - 1, 10), _UNKNOWN_LONGEST_MS)
            return _put_back(delivery, State.SCHEDULED, delivery.failures, wait)
        case Interrupted():
            return _put_back(delivery, State.QUEUED, delivery.failures)


def _verdict(delivery: Delivery, state: State, result: bytes, terms: Terms, reply: str) -> Settlement:
    if terms.linked:
        ttl_ms = max(terms.ttl_ms if terms.keep_result else 0, TOMBSTONE_MS)
        told = result if state is State.DONE else attributed_to(delivery.id, result)
        return Settlement(delivery.receipt, delivery.id, state, told, ttl_ms, reply, linked=True)
    if terms.keep_result:
        return Settlement(delivery.receipt, delivery.id, state, result, max(terms.ttl_ms, TOMBSTONE_MS), reply)
    return Settlement(delivery.receipt, delivery.id, state, b"", TOMBSTONE_MS, reply)


def _failure(delivery: Delivery, state: State, error: bytes, terms: Terms, reply: str) -> Settlement:
    settlement = _verdict(delivery, state, error, terms, reply)
    if not terms.dead_ttl_ms:
        return settlement
    # The letter says what was wrong, even where no results are kept.
    return settlement._replace(result=settlement.result or error, dead_ttl_ms=terms.dead_ttl_ms)


def _retry(delivery: Delivery, terms: Terms, random: Random) -> Settlement:
    # `again` may ask for a retry beyond the last: the count stays, so that every further failure is a last one too.
    failures = min(delivery.failures + 1, max(terms.policy.retries, delivery.failures))
    return _put_back(delivery, State.RETRYING, failures, terms.policy.wait_ms(delivery.failures, random))


def _put_back(delivery: Delivery, state: State, failures: int, delay_ms: int = 0, eta_ms: int = 0) -> Settlement:
    return Settlement(delivery.receipt, delivery.id, state, delay_ms=delay_ms, eta_ms=eta_ms, failures=failures)
