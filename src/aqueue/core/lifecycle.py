"""The life of a task: its states, the moves between them, and the pure functions that pick the next move.

Every rule about the fate of a task lives here, so that it can be read in one place and tested as a table:

* ``refusal`` (with ``unreadable`` and ``unknown``): whether a delivery must not be started.
* ``stopped``: what an outcome means once the worker has stopped the body.
* ``decide``: which *Settlement* follows an *Outcome*, that is, what the store must do with the delivery in one atomic
  step.

This module must not know where its facts come from. It reads no clock and draws no random numbers of its own (it is
given an instant and a ``Random``), does no I/O, awaits nothing, and knows neither stores nor codecs nor hooks nor the
function of a task. The runner gathers the facts and reports outcomes; if it needs an ``if`` about retries, revocation,
expiry, crashes or verdicts, that ``if`` belongs here.
"""

from enum import Enum, StrEnum
from random import Random
from typing import NamedTuple, TypeAlias

from ..exceptions import DecodeError, SerializerMismatch
from .failures import attributed_to, describe_exception
from .message import Delivery, Message, Receipt, Trigger
from .retry import RetryPolicy


class State(StrEnum):
    """Where a task is. The last five are verdicts: nothing follows one, unless a person runs a failed task again."""

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

# The verdicts of which a dead letter is kept, from which the task can be run again.
BURIED = frozenset({State.FAILED, State.DEAD})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.UNKNOWN: frozenset({State.QUEUED, State.SCHEDULED, State.WAITING}),
    State.WAITING: frozenset({State.QUEUED, State.SCHEDULED, State.CANCELLED}),
    State.SCHEDULED: frozenset({State.QUEUED, State.CANCELLED}),
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED}),
    # Back to QUEUED: its worker stops and gives it back.
    State.RUNNING: VERDICTS | {State.QUEUED, State.SCHEDULED, State.RETRYING},
    State.RETRYING: frozenset({State.RUNNING, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
    # To QUEUED: somebody runs it again, from its dead letter.
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
    """The body returned; `value` is the encoded result."""

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

    error: bytes = b""


class RetryAsked(NamedTuple):
    """``RetryTask`` was raised. Due at `eta_ms` or after `delay_ms`, or by the task's own policy if both are None."""

    delay_ms: int | None = None
    eta_ms: int | None = None


class Blocked(NamedTuple):
    """A lock or a rate limit stopped the body; try again after `wait_ms`. `is_failure` when that costs a retry."""

    error: bytes
    wait_ms: int
    is_failure: bool = True


class Expired(NamedTuple):
    """The task was not started before its ``expires``."""

    error: bytes = b""


class Unusable(NamedTuple):
    """A retry cannot help: the bytes are not a message, or the task keeps killing its workers."""

    error: bytes = b""


class Unknown(NamedTuple):
    """No task named `task` is registered in this worker; another version of the application may know it."""

    task: str


class Unreadable(NamedTuple):
    """The message was written with serializer settings that this worker lacks; another worker may have them."""


class Interrupted(NamedTuple):
    """The worker took the task off its slot, or could not ask whether to start it; the task did nothing wrong."""


Outcome: TypeAlias = (
    Returned
    | Raised
    | Cancelled
    | Revoked
    | RetryAsked
    | Blocked
    | Expired
    | Unusable
    | Unknown
    | Unreadable
    | Interrupted
)


class Refusal(NamedTuple):
    """Why a delivery is not started.

    `outcome` comes without its encoded error: `description` says the type, the text and the traceback of that, for the
    caller to encode. It is None if the task is put back, because then there is no error to keep. `why` is one line for
    logs.
    """

    outcome: Revoked | Expired | Unusable | Unknown | Unreadable | Interrupted
    description: tuple[str, str, str] | None = None
    why: str = ""


class Stop(Enum):
    """Why a worker stopped a body."""

    INTERRUPTED = "interrupted"  # the worker ends, or has lost the delivery
    CANCELLED = "cancelled"  # somebody cancelled the task


class Settlement(NamedTuple):
    """What a store must do with one delivery, atomically, if the receipt still holds.

    A verdict in `state` ends the task: the store keeps `result` for `ttl_ms` and notifies the client named by `reply`.
    It keeps a dead letter for `dead_ttl_ms`, if that is not 0. Any other state puts the task back, due after `delay_ms`
    (or at `eta_ms`), with `failures` as its new count. If the task is `linked`, other tasks may wait for its verdict,
    and what follows for them is part of the same step.
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


class SettlementPolicy(NamedTuple):
    """The part of a task's options that decides its fate.

    A result is kept for `ttl_ms` if `keep_result`, and a dead letter for `dead_ttl_ms`, if that is not 0. `linked` is
    set if other tasks of a workflow wait for the verdict, and get the result or inherit the error.
    """

    retry: RetryPolicy
    ttl_ms: int
    keep_result: bool = True
    linked: bool = False
    dead_ttl_ms: int = 0


# A verdict is kept for at least this long: a client that repeats an enqueue because the reply was lost must still find
# the task, or it would run twice.
TOMBSTONE_MS = 60_000

# A blocked task tries again, but never in a tight loop, and a thousand of them not at the same instant.
_BLOCKED_SHORTEST_MS = 100
_BLOCKED_SPREAD = 0.25

_UNKNOWN_FIRST_MS = 5_000
_UNKNOWN_LONGEST_MS = 300_000


def unreadable(error: DecodeError) -> Refusal:
    """The refusal of a delivery whose payload could not be decoded."""
    if isinstance(error, SerializerMismatch):
        return Refusal(Unreadable(), why=str(error))
    return Refusal(Unusable(), describe_exception(error), str(error))


def unknown(task: str, is_revoked: bool | None) -> Refusal:
    """The refusal of a delivery whose message names the task `task`, which is not registered here.

    `is_revoked` is None if the store could not be asked.
    """
    return _refusal_of_revoked(is_revoked) or Refusal(Unknown(task))


def refusal(
    delivery: Delivery,
    message: Message,
    is_revoked: bool | None,
    problem: Exception | None,
    max_crashes: int,
    now_ms: int,
) -> Refusal | None:
    """Why a delivery of a known task must not be started; None if it may start.

    `is_revoked` is None if the store could not be asked, `problem` is what was raised by options that the message sets,
    and `max_crashes` is how many deliveries of one task may end without a verdict.
    """
    if is_revoked is not False:
        return _refusal_of_revoked(is_revoked)
    if problem is not None:
        return Refusal(Unusable(), describe_exception(problem), str(problem))
    if delivery.receipt.count > max_crashes:
        why = f"{delivery.receipt.count - 1} workers ended while running it"
        return Refusal(Unusable(), ("WorkerLost", why, ""), why)
    if message.expires_ms and message.expires_ms < now_ms:
        why = "not started in time"
        return Refusal(Expired(), ("Expired", why, ""), why)
    return None


def stopped(outcome: Outcome, stop: Stop) -> Outcome:
    """What `outcome` means for a body that the worker stopped.

    A body that returned in spite of it has a result. One that raised did not fail by itself: it is given back, or it is
    cancelled (and the caller adds the error).
    """
    if isinstance(outcome, Returned):
        return outcome
    if stop is Stop.CANCELLED:
        return Cancelled(b"", final=True)
    return Interrupted() if isinstance(outcome, Raised) else outcome


def give_back(delivery: Delivery) -> Settlement:
    """Put a task back in line, at no cost to it."""
    return _put_back(delivery, State.QUEUED, delivery.failures)


def decide(delivery: Delivery, outcome: Outcome, policy: SettlementPolicy, reply: str, random: Random) -> Settlement:
    """Pick the move that follows `outcome`; `reply` names the client that may wait for the result.

    Pure: the same arguments give the same settlement.
    """
    match outcome:
        case Returned(value):
            return _verdict(delivery, State.DONE, value, policy, reply)
        case Raised(error, exception, final):
            retry = not final and delivery.failures < policy.retry.retries
            if retry and issubclass(exception, policy.retry.retry_on):
                return _retry(delivery, policy, random)
            return _failure(delivery, State.FAILED, error, policy, reply)
        case Cancelled(error, final, again):
            if again or (not final and delivery.failures < policy.retry.retries):
                return _retry(delivery, policy, random)
            return _verdict(delivery, State.CANCELLED, error, policy, reply)
        case Revoked(error):
            return _verdict(delivery, State.CANCELLED, error, policy, reply)
        case RetryAsked(delay_ms, eta_ms):
            if delay_ms is None and eta_ms is None:
                delay_ms = policy.retry.wait_ms(delivery.failures, random)
            return _put_back(delivery, State.RETRYING, delivery.failures, delay_ms or 0, eta_ms or 0)
        case Blocked(error, wait_ms, is_failure):
            if is_failure and delivery.failures >= policy.retry.retries:
                return _failure(delivery, State.FAILED, error, policy, reply)
            spread_ms = round(max(wait_ms, _BLOCKED_SHORTEST_MS) * (1 + _BLOCKED_SPREAD * random.random()))
            wait_ms = policy.retry.wait_ms(delivery.failures, random) or spread_ms
            return _put_back(delivery, State.RETRYING, delivery.failures + is_failure, wait_ms)
        case Expired(error):
            return _verdict(delivery, State.EXPIRED, error, policy, reply)
        case Unusable(error):
            return _failure(delivery, State.DEAD, error, policy, reply)
        case Unknown(_) | Unreadable():
            # The fence counts earlier deliveries, so the wait grows without a count of its own.
            wait = min(_UNKNOWN_FIRST_MS * 2 ** min(delivery.fence - 1, 10), _UNKNOWN_LONGEST_MS)
            return _put_back(delivery, State.SCHEDULED, delivery.failures, wait)
        case Interrupted():
            return give_back(delivery)


def _refusal_of_revoked(is_revoked: bool | None) -> Refusal | None:
    if is_revoked is None:
        # The next worker that gets it asks again.
        return Refusal(Interrupted())
    why = "revoked or cancelled before it started"
    return Refusal(Revoked(), ("Revoked", why, ""), why) if is_revoked else None


def _verdict(delivery: Delivery, state: State, result: bytes, policy: SettlementPolicy, reply: str) -> Settlement:
    if policy.linked:
        ttl_ms = max(policy.ttl_ms if policy.keep_result else 0, TOMBSTONE_MS)
        inherited = result if state is State.DONE else attributed_to(delivery.id, result)
        return Settlement(delivery.receipt, delivery.id, state, inherited, ttl_ms, reply, linked=True)
    if policy.keep_result:
        return Settlement(delivery.receipt, delivery.id, state, result, max(policy.ttl_ms, TOMBSTONE_MS), reply)
    return Settlement(delivery.receipt, delivery.id, state, b"", TOMBSTONE_MS, reply)


def _failure(delivery: Delivery, state: State, error: bytes, policy: SettlementPolicy, reply: str) -> Settlement:
    settlement = _verdict(delivery, state, error, policy, reply)
    if not policy.dead_ttl_ms:
        return settlement
    # The letter says what was wrong, even if no result is kept.
    return settlement._replace(result=settlement.result or error, dead_ttl_ms=policy.dead_ttl_ms)


def _retry(delivery: Delivery, policy: SettlementPolicy, random: Random) -> Settlement:
    # `again` may ask for a retry beyond the last one. The count stays there, so that a later failure is final.
    failures = min(delivery.failures + 1, max(policy.retry.retries, delivery.failures))
    return _put_back(delivery, State.RETRYING, failures, policy.retry.wait_ms(delivery.failures, random))


def _put_back(delivery: Delivery, state: State, failures: int, delay_ms: int = 0, eta_ms: int = 0) -> Settlement:
    return Settlement(delivery.receipt, delivery.id, state, delay_ms=delay_ms, eta_ms=eta_ms, failures=failures)
