"""How errors relate, and what a failed task says."""

from __future__ import annotations

import inspect
import pickle

import huey.exceptions
import pytest

import aqueue
from aqueue import (
    CancelExecution,
    ConfigurationError,
    DecodeError,
    EncodeError,
    HueyException,
    QueueFull,
    QueueUnavailable,
    RateLimitExceeded,
    ResultNotFound,
    ResultTimeout,
    RetryTask,
    TaskException,
    TaskLockedException,
    TaskTimeout,
)


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (ConfigurationError, HueyException),
        (EncodeError, TypeError),
        (DecodeError, ValueError),
        (QueueUnavailable, ConnectionError),
        (QueueFull, HueyException),
        (ResultTimeout, TimeoutError),
        (ResultNotFound, LookupError),
        (TaskTimeout, HueyException),
        (TaskLockedException, HueyException),
        (RateLimitExceeded, HueyException),
    ],
)
def test_an_error_of_aqueue_is_also_what_python_calls_it(error: type[Exception], also: type[Exception]) -> None:
    assert issubclass(error, HueyException)
    assert issubclass(error, also)
    assert getattr(aqueue, error.__name__) is error


HUEYS = {name: error for name, error in vars(huey.exceptions).items() if inspect.isclass(error)}


@pytest.mark.parametrize("name", HUEYS)
def test_every_exception_of_huey_is_here_with_its_arguments(name: str) -> None:
    hueys, ours = HUEYS[name], getattr(aqueue, name)
    assert issubclass(ours, HueyException) is issubclass(hueys, huey.exceptions.HueyException)
    if "__init__" in vars(hueys):
        parameters = inspect.signature(hueys).parameters.values()
        named = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        assert list(inspect.signature(ours).parameters) == named


@pytest.mark.parametrize("instruction", [CancelExecution, RetryTask])
def test_no_handler_of_errors_swallows_an_instruction(instruction: type[Exception]) -> None:
    assert not issubclass(instruction, HueyException)


def test_an_instruction_shows_its_message_alone() -> None:
    assert (str(CancelExecution("nope")), repr(CancelExecution("nope"))) == ("nope", "CancelExecution('nope')")
    assert (str(CancelExecution()), repr(CancelExecution())) == ("", "CancelExecution()")
    assert (str(CancelExecution(msg="nope")), str(RetryTask(msg="later"))) == ("nope", "later")
    assert repr(RetryTask("later", delay=5)) == "RetryTask('later')"
    assert repr(RetryTask(delay=5)) == "RetryTask()"


def test_a_failed_task_says_what_it_knows() -> None:
    metadata = {"state": "dead", "type": "Boom", "error": "Boom(1)", "traceback": "...", "attempt": 3, "task_id": "x"}
    error = TaskException(metadata)
    assert str(error) == "Boom(1)"
    assert (error.state, error.type, error.traceback, error.attempt, error.task_id) == ("dead", "Boom", "...", 3, "x")
    assert error.metadata is metadata


def test_a_failed_task_that_knows_nothing_still_says_how_it_ended() -> None:
    assert str(TaskException()) == "task failed"
    assert str(TaskException({"state": "expired"})) == "task expired"
    empty = TaskException({})
    assert (empty.state, empty.type, empty.traceback, empty.attempt, empty.task_id) == ("failed", "", "", 1, "")


def test_who_is_refused_says_by_what_and_until_when() -> None:
    assert str(TaskLockedException("unable to acquire lock report")) == "unable to acquire lock report"
    assert str(RateLimitExceeded("api", 0.5)) == "rate limit api is used up: the task runs again in 0.5 s"
    assert str(RateLimitExceeded("api", 60, retry=False)) == "rate limit api is used up: a call is admitted in 60 s"


@pytest.mark.parametrize("error", [TaskLockedException("locked", 2.5), RateLimitExceeded("api", 0.5, retry=False)])
def test_a_refusal_can_be_sent_to_another_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_a_failed_task_can_be_sent_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(TaskException({"error": "Boom(1)"})))
    assert (str(error), error.metadata) == ("Boom(1)", {"error": "Boom(1)"})
