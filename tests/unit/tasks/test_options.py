"""The options of a task: what is accepted, and what is wrong with the rest."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime, timedelta
from typing import Any, get_type_hints

import pytest

from aqueue.tasks.options import CallKeywords, TaskKeywords, TaskOptions

SPANS = ["retry_delay", "retry_max_delay", "timeout", "expires", "result_ttl"]
NUMBERS = ["retry_backoff", "retry_jitter"]
INTS = ["retries", "priority"]

BAD_SPANS = [-1, -0.5, math.nan, math.inf, timedelta(days=-1), timedelta.max, 10**12]
NO_SPANS = ["5", True, [5], b"5", 5j]
BAD: list[tuple[str, Any, type[Exception]]] = [
    *((name, value, ValueError) for name in SPANS for value in BAD_SPANS),
    *((name, value, TypeError) for name in SPANS for value in NO_SPANS),
    *((name, value, ValueError) for name in NUMBERS for value in (-0.1, math.nan, math.inf, 1001)),
    *((name, value, TypeError) for name in NUMBERS for value in ("1", None, True, timedelta(1))),
    *((name, value, TypeError) for name in INTS for value in ("3", 3.0, True, None, math.inf)),
    *((name, value, TypeError) for name in ("retry_delay", "retry_max_delay") for value in (None, lambda: 5)),
    ("retries", -1, ValueError),
    ("retries", 1_000_001, ValueError),
    ("priority", -101, ValueError),
    ("priority", 101, ValueError),
    ("retry_jitter", 1.01, ValueError),
    ("retry_on", ValueError("x"), TypeError),
    ("retry_on", [ValueError], TypeError),
    ("retry_on", (ValueError, int), TypeError),
    ("retry_on", "ValueError", TypeError),
    ("retry_on", None, TypeError),
    ("queue", "", ValueError),
    ("queue", "a b", ValueError),
    ("queue", "{a}", ValueError),
    ("queue", "x" * 101, ValueError),
    ("queue", None, TypeError),
    ("queue", 5, TypeError),
    ("results", 1, TypeError),
    ("results", None, TypeError),
    ("context", "yes", TypeError),
    ("pool", "processes", ValueError),
    ("pool", "", ValueError),
    ("pool", 5, TypeError),
    ("pool", ["process"], TypeError),
    ("settings", "team", TypeError),
    ("settings", ["team"], TypeError),
    ("settings", {1: "team"}, TypeError),
    ("timeout", datetime(2026, 1, 1), TypeError),
]


@pytest.mark.parametrize(("name", "value", "error"), BAD)
def test_a_bad_value_is_one_clear_error_that_names_it(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{name} must be ") as caught:
        TaskOptions(**{name: value})
    message = str(caught.value)
    assert ", not " in message
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in SPANS for value in (0, 0.5, 5, timedelta(minutes=5), timedelta(0))),
        *((name, None) for name in ("timeout", "expires", "result_ttl")),
        ("expires", datetime(2001, 1, 1)),
        ("retries", 1_000_000),
        ("priority", -100),
        ("priority", 100),
        ("retry_backoff", 1000),
        ("retry_backoff", 0.5),
        ("retry_jitter", 1),
        ("retry_on", ValueError),
        ("retry_on", (ValueError, KeyboardInterrupt)),
        ("retry_on", ()),
        ("queue", "mails-2.high_"),
        ("results", False),
        ("context", True),
        ("pool", None),
        ("pool", "thread"),
        ("pool", "process"),
    ],
)
def test_a_good_value_is_kept_as_it_was_written(name: str, value: Any) -> None:
    assert getattr(TaskOptions(**{name: value}), name) == value


def test_the_retry_policy_is_made_of_milliseconds() -> None:
    options = TaskOptions(retries=3, retry_delay=1.5, retry_backoff=2, retry_jitter=0.1, retry_max_delay=60)
    policy = options.policy
    assert (policy.retries, policy.delay_ms, policy.backoff, policy.jitter) == (3, 1500, 2, 0.1)
    assert policy.max_delay_ms == 60_000
    assert policy.retry_on == (Exception,)
    assert TaskOptions(retry_on=OSError).policy.retry_on == (OSError,)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, None), (0, None), (timedelta(0), None), (1.5, 1.5), (timedelta(minutes=1), 60.0)]
)
def test_no_timeout_is_none_or_0(timeout: float | timedelta | None, seconds: float | None) -> None:
    assert TaskOptions(timeout=timeout).timeout_s == seconds


def test_a_call_changes_what_it_names_and_nothing_else() -> None:
    declared = TaskOptions(retries=3, timeout=30, priority=5)
    changed = declared.changed(retries=0, timeout=None)
    assert (changed.retries, changed.timeout, changed.priority) == (0, 30, 5)
    assert declared.retries == 3
    assert declared.changed() is declared
    assert declared.changed(priority=None) is declared


def test_a_call_can_switch_the_timeout_of_the_task_off() -> None:
    assert TaskOptions(timeout=30).changed(timeout=0).timeout_s is None


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("timout", "did you mean 'timeout'?"),
        ("priorty", "did you mean 'priority'?"),
        ("wait_before", "options are retries, retry_delay, "),
        ("policy", "unknown task option 'policy'"),
        ("xyz", "options are retries, retry_delay, "),
    ],
)
def test_an_unknown_option_is_an_error_that_knows_better(wrong: str, hint: str) -> None:
    with pytest.raises(TypeError) as caught:
        TaskOptions().changed(**{wrong: 1})
    assert hint in str(caught.value)


def test_a_bad_value_of_a_call_is_an_error_of_the_call() -> None:
    with pytest.raises(ValueError, match=r"^priority must be between -100 and 100, not 1000"):
        TaskOptions().changed(priority=1000)


def test_what_the_worker_must_know_of_a_call_travels_as_plain_data() -> None:
    declared = TaskOptions(retries=1, timeout=5, retry_delay=1)
    changed = declared.changed(
        retries=2,
        retry_delay=timedelta(minutes=1),
        retry_backoff=2,
        retry_jitter=0.5,
        retry_max_delay=3600,
        timeout=timedelta(seconds=9),
        results=False,
        result_ttl=timedelta(hours=1),
        queue="mails",
        priority=5,
    )
    assert changed.travelling(declared) == {
        "retries": 2,
        "retry_delay": 60.0,
        "retry_backoff": 2,
        "retry_jitter": 0.5,
        "retry_max_delay": 3600,
        "timeout": 9.0,
        "results": False,
        "result_ttl": 3600.0,
        "queue": "mails",
        "priority": 5,
    }


def test_what_the_worker_need_not_know_does_not_travel() -> None:
    declared = TaskOptions(retries=3)
    assert declared.changed(expires=60, retries=3).travelling(declared) == {}
    assert declared.travelling(declared) == {}


def test_what_travels_gives_the_worker_the_options_of_the_call() -> None:
    declared = TaskOptions(retries=1, timeout=5)
    changed = declared.changed(retries=7, timeout=0.5, retry_delay=timedelta(seconds=2))
    arrived = declared.changed(**changed.travelling(declared))
    assert (arrived.policy, arrived.timeout_s) == (changed.policy, changed.timeout_s)


@pytest.mark.parametrize(
    ("name", "value"), [("retry_on", ValueError), ("context", True), ("pool", "process"), ("settings", {"team": "a"})]
)
def test_a_call_cannot_change_what_belongs_to_the_declaration(name: str, value: Any) -> None:
    """A worker would not learn of it: classes do not travel, and the function is one of its kind."""
    with pytest.raises(TypeError, match=rf"^{name} belongs to the declaration of a task"):
        TaskOptions().changed(**{name: value})


def test_options_are_values() -> None:
    assert TaskOptions(retries=3) == TaskOptions(retries=3) != TaskOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        TaskOptions().retries = 5  # type: ignore[misc]


def test_type_checkers_see_the_options_that_there_are() -> None:
    hints = get_type_hints(TaskOptions)
    assert get_type_hints(TaskKeywords) == {
        field.name: hints[field.name] for field in dataclasses.fields(TaskOptions) if field.init
    }


def test_type_checkers_see_which_options_a_call_may_change() -> None:
    hints = get_type_hints(TaskKeywords)
    assert get_type_hints(CallKeywords) == {
        name: hint | None for name, hint in hints.items() if name not in {"retry_on", "context", "pool", "settings"}
    }
