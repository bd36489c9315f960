"""What travels, apart from the bytes: the placeholders that stand for results which there are not."""

from __future__ import annotations

import copy
import pickle

from aqueue import SKIPPED, Error
from aqueue.message import as_input, joined


def test_there_is_one_skipped() -> None:
    assert repr(SKIPPED) == "SKIPPED"
    assert pickle.loads(pickle.dumps(SKIPPED)) is SKIPPED
    assert copy.deepcopy([SKIPPED])[0] is SKIPPED


def test_an_error_has_the_metadata_of_its_exception() -> None:
    assert Error({"error": "no"}).metadata == {"error": "no"}
    assert Error({"error": "no"}) == Error({"error": "no"})


def test_inputs_are_lines_behind_a_payload() -> None:
    inputs = [as_input("done", b"5"), as_input("failed", b"{}")]
    assert joined(b"payload", 1_000, inputs) == b"payload\n1000\ndone 5\nfailed {}"
