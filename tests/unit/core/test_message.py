"""What travels, apart from the bytes: the placeholders that stand for results which there are not."""

from __future__ import annotations

import copy
import pickle

from hypothesis import example, given
from hypothesis import strategies as st

from aqueue import SKIPPED, Error
from aqueue.core.lifecycle import VERDICTS
from aqueue.core.message import JOINED, as_input, joined, parted


def test_there_is_one_skipped() -> None:
    assert repr(SKIPPED) == "SKIPPED"
    assert pickle.loads(pickle.dumps(SKIPPED)) is SKIPPED
    assert copy.deepcopy([SKIPPED])[0] is SKIPPED


def test_an_error_has_the_metadata_of_its_exception() -> None:
    assert Error({"error": "no"}).metadata == {"error": "no"}
    assert Error({"error": "no"}) == Error({"error": "no"})


@given(st.binary(), st.integers(0, 2**60), st.lists(st.tuples(st.sampled_from(sorted(VERDICTS)), st.binary())))
def test_inputs_stand_behind_a_payload_whatever_bytes_these_have(
    payload: bytes, due_ms: int, inputs: list[tuple[str, bytes]]
) -> None:
    whole = joined(payload, due_ms, [as_input(*verdict) for verdict in inputs])
    assert whole.startswith(JOINED)
    assert parted(whole) == (payload, due_ms, inputs)


def test_the_form_of_a_joined_payload_is_that_of_the_stores() -> None:
    whole = joined(b"payload", 1_000, [as_input("done", b"5"), as_input("failed", b"")])
    assert whole == b"\0join:1000 7\npayloaddone 1\n5failed 0\n"


@given(st.binary())
@example(b"5 3\nab")
@example(b"5 -1\nab")
@example(b"5 x\nab")
@example(b"5\nab")
@example(b"x 0\n")
@example(b"5 0\ndone 9\nab")
@example(b"5 0\n\xff 0\n")
def test_what_is_not_joined_is_refused_and_raises_nothing_else(junk: bytes) -> None:
    try:
        parted(JOINED + junk)
    except ValueError:
        return
    assert b"\n" in junk
