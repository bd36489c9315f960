"""From what is known of a delivery to what the store must do: whole tables, by pure functions."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import pytest

from aqueue.core.failures import attributed_to
from aqueue.core.lifecycle import (
    BURIED,
    TOMBSTONE_MS,
    TRANSITIONS,
    VERDICTS,
    Blocked,
    Cancelled,
    Expired,
    Interrupted,
    Outcome,
    Raised,
    RetryAsked,
    Returned,
    Revoked,
    Settlement,
    SettlementPolicy,
    State,
    Stop,
    Unknown,
    Unreadable,
    Unusable,
    decide,
    give_back,
    refusal,
    stopped,
    unknown,
    unreadable,
)
from aqueue.core.message import Delivery, Message, Receipt
from aqueue.core.retry import RetryPolicy
from aqueue.exceptions import DecodeError, SerializerMismatch

HOUR_MS = 3_600_000


class Case(NamedTuple):
    """`outcome` of a run after `failures` earlier ones, of a task with two retries for an OSError."""

    outcome: Outcome
    failures: int
    state: State
    next_failures: int = 0
    delay_ms: int = 0
    eta_ms: int = 0


FAILURE = Raised(b"error", ConnectionError)
OTHER_FAILURE = Raised(b"error", ValueError)

CASES = [
    Case(Returned(b"5"), 0, State.DONE),
    Case(Returned(b"5"), 2, State.DONE),
    # A failure is retried while retries are left and the exception is worth it.
    Case(FAILURE, 0, State.RETRYING, 1, 1000),
    Case(FAILURE, 1, State.RETRYING, 2, 3000),
    Case(FAILURE, 2, State.FAILED),
    Case(FAILURE, 9, State.FAILED),
    Case(OTHER_FAILURE, 0, State.FAILED),
    Case(OTHER_FAILURE, 2, State.FAILED),
    Case(Raised(b"error", SystemExit), 0, State.FAILED),
    Case(Raised(b"error", ConnectionError, final=True), 0, State.FAILED),
    # CancelExecution(retry=None) in a body: the task's own retries are in force, whatever it retries on.
    Case(Cancelled(b"error"), 0, State.RETRYING, 1, 1000),
    Case(Cancelled(b"error"), 1, State.RETRYING, 2, 3000),
    Case(Cancelled(b"error"), 2, State.CANCELLED),
    # CancelExecution(retry=True): at least once more, for ever if it is raised again.
    Case(Cancelled(b"error", again=True), 0, State.RETRYING, 1, 1000),
    Case(Cancelled(b"error", again=True), 1, State.RETRYING, 2, 3000),
    Case(Cancelled(b"error", again=True), 2, State.RETRYING, 2, 9000),
    Case(Cancelled(b"error", again=True), 9, State.RETRYING, 9, 10_000),
    # CancelExecution(retry=False), and any from a pre-execute hook: final.
    Case(Cancelled(b"error", final=True), 0, State.CANCELLED),
    Case(Cancelled(b"error", final=True), 2, State.CANCELLED),
    # Nothing that was revoked is retried.
    Case(Revoked(b"error"), 0, State.CANCELLED),
    Case(Revoked(b"error"), 1, State.CANCELLED),
    # RetryTask costs no retries, even where there are none left.
    Case(RetryAsked(), 0, State.RETRYING, 0, 1000),
    Case(RetryAsked(), 2, State.RETRYING, 2, 9000),
    Case(RetryAsked(), 9, State.RETRYING, 9, 10_000),
    Case(RetryAsked(delay_ms=0), 1, State.RETRYING, 1, 0),
    Case(RetryAsked(delay_ms=7), 1, State.RETRYING, 1, 7),
    Case(RetryAsked(eta_ms=123_456), 2, State.RETRYING, 2, 0, 123_456),
    # A lock that is not free costs a retry, whatever the task retries on; so does a rate limit, if it says so.
    Case(Blocked(b"error", 7), 0, State.RETRYING, 1, 1000),
    Case(Blocked(b"error", 7), 1, State.RETRYING, 2, 3000),
    Case(Blocked(b"error", 7), 2, State.FAILED),
    Case(Blocked(b"error", 7, is_failure=False), 0, State.RETRYING, 0, 1000),
    Case(Blocked(b"error", 7, is_failure=False), 2, State.RETRYING, 2, 9000),
    Case(Expired(b"error"), 0, State.EXPIRED),
    Case(Expired(b"error"), 2, State.EXPIRED),
    Case(Unusable(b"error"), 0, State.DEAD),
    Case(Unknown("shop.add"), 0, State.SCHEDULED, 0, 5000),
    Case(Unknown("shop.add"), 2, State.SCHEDULED, 2, 5000),
    Case(Unreadable(), 0, State.SCHEDULED, 0, 5000),
    Case(Unreadable(), 2, State.SCHEDULED, 2, 5000),
    Case(Interrupted(), 0, State.QUEUED),
    Case(Interrupted(), 2, State.QUEUED, 2),
]

POLICY = SettlementPolicy(RetryPolicy(2, 1000, 3, max_delay_ms=10_000, retry_on=(OSError,)), HOUR_MS)


def delivery(failures: int = 0, fence: int = 1) -> Delivery:
    return Delivery("id", b"payload", Receipt("worker", "place", "entry", 1), failures, fence)


def settled(outcome: Outcome, failures: int = 0, policy: SettlementPolicy = POLICY, seed: int = 0) -> Settlement:
    return decide(delivery(failures), outcome, policy, "client", Random(seed))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.outcome}-{case.failures}")
def test_what_follows_an_outcome(case: Case) -> None:
    settlement = settled(case.outcome, case.failures)
    assert settlement.state is case.state
    assert (settlement.receipt, settlement.id) == (delivery().receipt, "id")
    assert settlement.failures == case.next_failures
    assert (settlement.delay_ms, settlement.eta_ms) == (case.delay_ms, case.eta_ms)
    assert settlement.state in TRANSITIONS[State.RUNNING]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.outcome}-{case.failures}")
def test_a_verdict_is_kept_and_told_and_anything_else_is_neither(case: Case) -> None:
    settlement = settled(case.outcome, case.failures)
    if settlement.state in VERDICTS:
        assert (settlement.ttl_ms, settlement.reply) == (HOUR_MS, "client")
        assert settlement.result == (b"5" if settlement.state is State.DONE else b"error")
    else:
        assert (settlement.ttl_ms, settlement.reply, settlement.result) == (0, "", b"")


def test_every_outcome_and_every_move_from_running_is_in_the_table() -> None:
    assert {type(case.outcome) for case in CASES} == set(Outcome.__args__)
    assert {case.state for case in CASES} == TRANSITIONS[State.RUNNING]


def test_the_same_arguments_give_the_same_settlement() -> None:
    policy = SettlementPolicy(RetryPolicy(5, 1000, 2, jitter=0.5), HOUR_MS)
    assert len({settled(FAILURE, 3, policy, seed=7) for _ in range(10)}) == 1
    assert settled(FAILURE, 3, policy, seed=7) != settled(FAILURE, 3, policy, seed=8)


def test_a_result_that_is_not_wanted_leaves_its_verdict_for_a_while() -> None:
    policy = SettlementPolicy(RetryPolicy(), HOUR_MS, keep_result=False)
    for outcome in (Returned(b"5"), FAILURE, Unusable(b"error")):
        settlement = settled(outcome, policy=policy)
        assert (settlement.result, settlement.ttl_ms, settlement.reply) == (b"", TOMBSTONE_MS, "client")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.outcome}-{case.failures}")
def test_only_the_verdict_of_a_linked_task_is_linked(case: Case) -> None:
    plain, linked = (settled(case.outcome, case.failures, POLICY._replace(linked=linked)) for linked in (False, True))
    assert linked._replace(result=plain.result) == plain._replace(linked=plain.state in VERDICTS)


def test_an_error_that_others_may_inherit_says_whose_it_is() -> None:
    policy = POLICY._replace(linked=True)
    assert settled(Returned(b"5"), policy=policy).result == b"5"
    for outcome in (
        FAILURE._replace(final=True),
        Cancelled(b"error", final=True),
        Revoked(b"error"),
        Expired(b"error"),
        Unusable(b"error"),
    ):
        assert settled(outcome, policy=policy).result == attributed_to("id", b"error")


def test_those_who_wait_get_a_result_that_is_not_kept() -> None:
    policy = SettlementPolicy(RetryPolicy(), HOUR_MS, keep_result=False, linked=True)
    assert (settled(Returned(b"5"), policy=policy).result, settled(Returned(b"5"), policy=policy).ttl_ms) == (
        b"5",
        TOMBSTONE_MS,
    )


def test_a_verdict_outlives_a_short_result() -> None:
    """A client that repeats an enqueue whose reply was lost must still find the task, or it would run twice."""
    assert settled(Returned(b"5"), policy=SettlementPolicy(RetryPolicy(), 0)).ttl_ms == TOMBSTONE_MS


def test_a_task_that_nobody_knows_is_offered_ever_later_but_never_given_up() -> None:
    waits = [decide(delivery(fence=n), Unknown("x"), POLICY, "", Random()).delay_ms for n in range(1, 9)]
    assert waits == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]
    assert decide(delivery(fence=2**62), Unknown("x"), POLICY, "", Random()).delay_ms == 300_000


@pytest.mark.parametrize("is_failure", [True, False])
def test_who_was_refused_waits_as_long_as_it_was_told_and_a_thousand_not_in_step(is_failure: bool) -> None:
    policy = SettlementPolicy(RetryPolicy(3), HOUR_MS)
    waits = [settled(Blocked(b"error", 4000, is_failure), policy=policy, seed=seed).delay_ms for seed in range(1000)]
    assert min(waits) >= 4000
    assert max(waits) <= 5000
    assert len(set(waits)) > 500
    assert settled(Blocked(b"error", 0, is_failure), policy=policy).delay_ms >= 100, "never at once"


@pytest.mark.parametrize("outcome", [FAILURE, Cancelled(b"error"), Cancelled(b"error", again=True)])
def test_a_retry_never_takes_more_than_one_from_the_retries(outcome: Outcome) -> None:
    for failures in range(5):
        settlement = settled(outcome, failures)
        if settlement.state is State.RETRYING:
            assert failures <= settlement.failures <= failures + 1


def test_one_more_run_by_request_does_not_bring_retries_back() -> None:
    again = settled(Cancelled(b"error", again=True), failures=2)
    assert settled(FAILURE, again.failures).state is State.FAILED
    without = SettlementPolicy(RetryPolicy(), HOUR_MS)
    again = settled(Cancelled(b"error", again=True), policy=without)
    assert (again.state, again.failures) == (State.RETRYING, 0)
    assert settled(FAILURE, again.failures, without).state is State.FAILED


def test_what_fails_for_good_leaves_a_dead_letter_with_its_error() -> None:
    policy = SettlementPolicy(RetryPolicy(1, retry_on=(OSError,)), HOUR_MS, keep_result=False, dead_ttl_ms=5)
    for outcome, failures, kept_ms in (
        (FAILURE, 1, 5),
        (FAILURE, 0, 0),
        (Raised(b"error", OSError, final=True), 0, 5),
        (Blocked(b"error", 10), 1, 5),
        (Unusable(b"error"), 0, 5),
        (Returned(b"5"), 0, 0),
        (Cancelled(b"error", final=True), 0, 0),
        (Revoked(b"error"), 0, 0),
        (Expired(b"error"), 0, 0),
    ):
        settlement = settled(outcome, failures, policy)
        assert settlement.dead_ttl_ms == kept_ms, outcome
        assert settlement.result == (b"error" if kept_ms else b"")


# -- refusals

SENT = Message("id", "shop.add", (), {}, expires_ms=1_000)


class Facts(NamedTuple):
    """What is known of a delivery of a known task before it starts, and what it is refused as."""

    outcome: Outcome | None
    error: str = ""
    is_revoked: bool | None = False
    problem: Exception | None = None
    count: int = 1
    now_ms: int = 0


@pytest.mark.parametrize(
    "facts",
    [
        Facts(None),
        Facts(None, count=3, now_ms=1_000),
        Facts(Revoked(), "Revoked", is_revoked=True),
        # The store did not say: not now.
        Facts(Interrupted(), is_revoked=None),
        Facts(Unusable(), "ValueError", problem=ValueError("no such queue")),
        Facts(Unusable(), "WorkerLost", count=4),
        Facts(Expired(), "Expired", now_ms=1_001),
        # Each of them before the next.
        Facts(Interrupted(), is_revoked=None, problem=ValueError("no"), count=9, now_ms=9_999),
        Facts(Revoked(), "Revoked", is_revoked=True, problem=ValueError("no"), count=9, now_ms=9_999),
        Facts(Unusable(), "ValueError", problem=ValueError("no"), count=9, now_ms=9_999),
        Facts(Unusable(), "WorkerLost", count=9, now_ms=9_999),
    ],
    ids=str,
)
def test_what_must_not_start_is_refused(facts: Facts) -> None:
    sent = delivery()._replace(receipt=Receipt("worker", "place", "entry", facts.count))
    refused = refusal(sent, SENT, facts.is_revoked, facts.problem, 3, facts.now_ms)
    if facts.outcome is None:
        assert refused is None
    else:
        assert refused is not None
        assert refused.outcome == facts.outcome
        assert type(refused.outcome) is type(facts.outcome)
        assert (refused.description or ("",))[0] == facts.error
        assert bool(refused.why) is bool(facts.error)


def test_what_never_expires_starts_at_any_time() -> None:
    forever = Message("id", "shop.add", (), {})
    assert refusal(delivery(), forever, False, None, 3, 2**60) is None


def test_what_cannot_be_decoded_is_dead_or_left_to_a_worker_that_has_the_key() -> None:
    refused = unreadable(SerializerMismatch("no key fits"))
    assert refused == (Unreadable(), None, "no key fits")
    assert type(refused.outcome) is Unreadable
    refused = unreadable(DecodeError("junk"))
    assert type(refused.outcome) is Unusable
    assert (refused.description or ())[:2] == ("DecodeError", "DecodeError('junk')")
    assert refused.why == "junk"


def test_a_task_that_nobody_knows_is_left_to_others_unless_it_is_revoked() -> None:
    assert unknown("shop.add", False).outcome == Unknown("shop.add")
    assert type(unknown("shop.add", True).outcome) is Revoked
    assert type(unknown("shop.add", None).outcome) is Interrupted


# -- stopped bodies


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.outcome}-{case.failures}")
def test_what_a_stop_makes_of_an_outcome(case: Case) -> None:
    for stop, verdict in ((Stop.CANCELLED, State.CANCELLED), (Stop.INTERRUPTED, State.QUEUED)):
        outcome = stopped(case.outcome, stop)
        if isinstance(case.outcome, Returned):
            assert outcome is case.outcome, "a result in spite of it is a result"
        elif stop is Stop.CANCELLED or isinstance(case.outcome, Raised):
            assert settled(outcome, case.failures).state is verdict
        else:
            assert outcome is case.outcome, "the body did not end by the interruption"


def test_what_is_given_back_costs_it_nothing() -> None:
    given_back = give_back(delivery(failures=2))
    assert (given_back.state, given_back.failures, given_back.delay_ms) == (State.QUEUED, 2, 0)
    assert given_back == settled(Interrupted(), 2)


# -- the table of states


def test_nothing_follows_a_verdict() -> None:
    # Except that somebody runs a failed task again, from its dead letter.
    followed = {state: TRANSITIONS[state] for state in VERDICTS if TRANSITIONS[state]}
    assert followed == dict.fromkeys(BURIED, frozenset({State.QUEUED}))


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {State.UNKNOWN}
    while new := {after for state in reached for after in TRANSITIONS[state]} - reached:
        reached |= new
    assert reached == set(State)


def test_from_every_state_there_is_a_way_to_a_verdict() -> None:
    ending = set(VERDICTS)
    while new := {state for state, after in TRANSITIONS.items() if after & ending} - ending:
        ending |= new
    assert ending == set(State)


def test_a_state_is_its_name() -> None:
    assert [str(state) for state in State] == [state.name.lower() for state in State]
    assert State("done") is State.DONE
