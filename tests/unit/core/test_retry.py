"""The arithmetic of waits."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue.core.retry import RetryPolicy

POLICIES = st.builds(
    RetryPolicy,
    delay_ms=st.integers(0, 10**11),
    backoff=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    max_delay_ms=st.integers(0, 10**11),
)


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (0, [1000, 1000, 1000, 1000]),
        (1, [1000, 1000, 1000, 1000]),
        (2, [1000, 2000, 4000, 8000]),
        (1.5, [1000, 1500, 2250, 3375]),
        (0.5, [1000, 500, 250, 125]),
    ],
)
def test_each_wait_is_so_many_times_the_one_before(backoff: float, waits: list[int]) -> None:
    policy = RetryPolicy(delay_ms=1000, backoff=backoff)
    assert [policy.wait_ms(failures, Random()) for failures in range(4)] == waits


def test_backoff_without_a_delay_waits_for_nothing() -> None:
    assert RetryPolicy(backoff=2).wait_ms(1_000_000, Random()) == 0


def test_no_wait_is_longer_than_the_longest() -> None:
    policy = RetryPolicy(delay_ms=1000, backoff=10, max_delay_ms=5000)
    assert [policy.wait_ms(failures, Random()) for failures in (0, 1, 2, 400, 1_000_000)] == [1000, *[5000] * 4]
    assert RetryPolicy(delay_ms=9000, max_delay_ms=5000).wait_ms(0, Random()) == 5000


def test_a_backoff_that_no_float_can_hold_is_the_longest_wait() -> None:
    policy = RetryPolicy(delay_ms=1, backoff=1000)
    assert policy.wait_ms(1_000_000, Random()) == policy.max_delay_ms


def test_jitter_is_a_share_of_the_wait_to_either_side() -> None:
    policy = RetryPolicy(delay_ms=1000, jitter=0.1)
    waits = [policy.wait_ms(0, random) for random in [Random(1)] for _ in range(1000)]
    assert 900 <= min(waits) < 910
    assert 1090 < max(waits) <= 1100


@given(POLICIES, st.integers(0, 1_000_000), st.integers())
def test_a_wait_is_a_whole_number_within_its_bounds(policy: RetryPolicy, failures: int, seed: int) -> None:
    wait = policy.wait_ms(failures, Random(seed))
    assert isinstance(wait, int)
    assert 0 <= wait <= round(policy.max_delay_ms * (1 + policy.jitter))


@given(POLICIES, st.integers(0, 1_000_000), st.integers())
def test_the_same_chance_gives_the_same_wait(policy: RetryPolicy, failures: int, seed: int) -> None:
    assert policy.wait_ms(failures, Random(seed)) == policy.wait_ms(failures, Random(seed))
