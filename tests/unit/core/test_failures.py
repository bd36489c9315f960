"""Errors that tasks inherit: whose they were stays known, and can be verified."""

from __future__ import annotations

import pytest

from aqueue import DecodeError, JSONSerializer, SerializerMismatch
from aqueue.core import codec
from aqueue.core.failures import attributed_to, read_error, reported_by_store

METADATA = {"type": "ValueError", "error": "ValueError('no')", "task_id": "first"}
SIGNED = JSONSerializer(keys=["k" * 16]).codec_for("shop")


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
