"""Failures as text, and errors that tasks inherit: whose they were stays known, and can be verified."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue import DecodeError, JSONSerializer, SerializerMismatch
from aqueue.core import codec
from aqueue.core.codec import decode_value, encode_value
from aqueue.core.failures import MAX_TRACEBACK, attributed_to, describe_exception, read_error, reported_by_store

METADATA = {"type": "ValueError", "error": "ValueError('no')", "task_id": "first"}
SIGNED = JSONSerializer(keys=["k" * 16]).codec_for("shop")


# -- as text


def test_an_exception_becomes_text() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        name, text, trace = describe_exception(error)
    assert (name, text) == ("ValueError", "ValueError('no')")
    assert trace.startswith("Traceback (most recent call last):\n")
    assert 'raise ValueError("no")' in trace


@pytest.mark.parametrize("method", ["__repr__", "__str__"])
@pytest.mark.parametrize("problem", [ValueError, SystemExit, KeyboardInterrupt, RecursionError])
def test_an_exception_that_cannot_be_shown_becomes_text_too(method: str, problem: type[BaseException]) -> None:
    def fail(self: object) -> str:
        raise problem

    evil = type("Evil", (Exception,), {method: fail})
    name, text, trace = describe_exception(evil("x"))
    assert name == "Evil"
    assert "Evil" in text
    assert "Evil" in trace


def test_the_text_of_an_exception_is_bounded_and_can_be_encoded() -> None:
    error = ValueError("\ud800" + "x" * 10_000_000)
    error.__cause__ = error
    error.add_note("y" * 10_000_000)
    described_error = describe_exception(error)
    assert all(len(part) <= MAX_TRACEBACK + 100 for part in described_error)
    assert decode_value(encode_value(list(described_error))) == list(described_error)


def test_a_name_that_json_cannot_say_can_be_encoded_too() -> None:
    error = type("Odd", (Exception,), {})
    error.__qualname__ = "Odd\ud800"
    assert encode_value(list(describe_exception(error())))


def test_a_traceback_begins_in_the_code_of_the_user() -> None:
    here: dict[str, Any] = {"__name__": "aqueue.machinery"}
    exec("def call(function):\n    function()", here)

    def fail() -> None:
        raise LookupError

    try:
        here["call"](fail)
    except LookupError as error:
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        trace = describe_exception(error)[2]
    assert "in fail" in trace
    assert "in call" not in trace


# -- whose they were


def test_an_error_of_its_own_is_read_as_it_is() -> None:
    assert read_error(codec, "first", codec.encode_value(METADATA)) == METADATA
    assert read_error(codec, "first", b"") == {"task_id": "first"}


def test_an_error_of_another_task_is_read_as_that_ones() -> None:
    error = attributed_to("first", SIGNED.encode_value(METADATA, "error", "first"))
    assert read_error(SIGNED, "last", error) == METADATA
    assert read_error(SIGNED, "first", error) == METADATA
    assert attributed_to("first", b"") == b""


def test_nobody_passes_a_result_off_as_the_error_of_another_task() -> None:
    for data in (
        attributed_to("other", SIGNED.encode_value(METADATA, "error", "first")),
        attributed_to("first", SIGNED.encode_value(METADATA, "result", "first")),
        SIGNED.encode_value(METADATA, "error", "first"),
    ):
        with pytest.raises(SerializerMismatch):
            read_error(SIGNED, "last", data)


def test_what_a_store_says_itself_needs_no_signature() -> None:
    told = {"type": "EncodeError", "error": "too much", "traceback": "", "task_id": "last"}
    assert read_error(SIGNED, "last", reported_by_store("EncodeError", "too much")) == told


@pytest.mark.parametrize("junk", [b"\0of:first", b"\0of:first\n[]", b"\0of:\xff\n{", b"[]", b"{"])
def test_what_is_no_error_is_refused(junk: bytes) -> None:
    with pytest.raises(DecodeError):
        read_error(codec, "last", junk)
