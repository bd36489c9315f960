"""The payload of a node: what it is made of, and what its inputs become."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue import SKIPPED, DecodeError, Error, TaskException
from aqueue.codec import encode_message, encode_value
from aqueue.lifecycle import VERDICTS, State
from aqueue.message import Message, as_input, joined
from aqueue.workflow.inputs import NodeTerms, Passing, as_node, decode_node

METADATA = {"type": "ValueError", "error": "ValueError('no')", "task_id": "first"}


def payload(terms: NodeTerms, *args: Any, **kwargs: Any) -> bytes:
    return as_node(encode_message(Message("id", "shop.add", args, kwargs, "client")), terms)


def value(value: Any) -> bytes:
    return as_input(State.DONE, encode_value(value))


def arguments(terms: NodeTerms, *inputs: bytes, args: tuple[Any, ...] = ("own",)) -> tuple[Any, ...]:
    """The positional arguments that a node with one of its own starts with."""
    message, _ = decode_node("id", joined(payload(terms, *args), 1_000, inputs))
    assert not message.kwargs
    return message.args


FAILED = as_input(State.FAILED, encode_value(METADATA))
CANCELLED = as_input(State.CANCELLED, b"")


# -- what travels


@pytest.mark.parametrize("linked", [True, False])
def test_a_node_that_was_after_nothing_is_its_message(linked: bool) -> None:
    message, is_linked = decode_node("id", payload(NodeTerms(linked=linked), 1, "a\nb", c={"d": (2,)}))
    assert (message.id, message.task, message.reply) == ("id", "shop.add", "client")
    assert (message.args, message.kwargs) == ((1, "a\nb"), {"c": {"d": (2,)}})
    assert is_linked is linked


def test_a_node_expires_some_time_after_it_was_due() -> None:
    terms = NodeTerms(Passing.EXTEND, expires_ms=500)
    assert decode_node("id", joined(payload(terms), 1_000, [value(1)]))[0].expires_ms == 1_500
    assert decode_node("id", joined(payload(NodeTerms(Passing.EXTEND)), 1_000, [value(1)]))[0].expires_ms == 0


JUNK = [b"", b"\n", b"{}", b"{}\n[]", b'{"t":"a"}\n', b'{"t":"a"}\n7', b'{"t":"a"}\n["none",false,false,0]']
BAD_INPUTS = [b"done", b"done {", b"odd 1", b"\xff 1", b"", b"failed 1", b"failed [["]


@pytest.mark.parametrize("junk", JUNK)
def test_what_is_no_node_is_refused(junk: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_node("id", junk)


@pytest.mark.parametrize("line", BAD_INPUTS)
def test_what_is_no_input_is_refused(line: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_node("id", joined(payload(NodeTerms(Passing.LIST)), 1_000, [line]))


def test_an_instant_that_is_none_is_refused() -> None:
    for due, expires_ms in ((b"soon", 5), (b"1000", "5")):
        data = payload(NodeTerms(Passing.LIST, expires_ms=expires_ms))  # type: ignore[arg-type]
        with pytest.raises(DecodeError):
            decode_node("id", b"\n".join([data, due, value(1)]))


@given(st.binary())
def test_no_bytes_raise_anything_else(junk: bytes) -> None:
    for data in (junk, b'{"t":"a"}\n' + junk, joined(payload(NodeTerms(Passing.LIST)), 1_000, [junk])):
        try:
            decode_node("id", data)
        except DecodeError:
            continue


# -- what it becomes


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (5, ("own", 5), {"a": 1}),
        ((5, 6), ("own", 5, 6), {"a": 1}),
        ((), ("own",), {"a": 1}),
        ([5, 6], ("own", [5, 6]), {"a": 1}),
        ({"b": 2}, ("own",), {"a": 1, "b": 2}),
        ({"a": 2}, ("own",), {"a": 2}),
        ({}, ("own",), {"a": 1}),
        (None, ("own",), {"a": 1}),
        (False, ("own", False), {"a": 1}),
        ("text", ("own", "text"), {"a": 1}),
    ],
)
def test_a_stage_is_extended_by_what_the_one_before_returned(
    given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    data = joined(payload(NodeTerms(Passing.EXTEND), "own", a=1), 1_000, [value(given)])
    message, _ = decode_node("id", data)
    assert (message.args, message.kwargs) == (args, kwargs)


def test_a_callback_gets_one_list() -> None:
    assert arguments(NodeTerms(Passing.LIST), value((1, 2)), value(None)) == ("own", [(1, 2), None])


def test_a_callback_of_nobody_gets_an_empty_list() -> None:
    message, _ = decode_node("id", payload(NodeTerms(Passing.LIST)))
    assert message.args == ([],)


def test_a_task_after_others_gets_each_value() -> None:
    assert arguments(NodeTerms(Passing.EACH), value((1, 2)), value(None), value({})) == ("own", (1, 2), None, {})


def test_a_handler_gets_an_exception() -> None:
    own, error = arguments(NodeTerms(Passing.ERROR), FAILED)
    assert own == "own"
    assert type(error) is TaskException
    assert error.metadata == {**METADATA, "state": "failed"}


@pytest.mark.parametrize("state", sorted(VERDICTS - {State.DONE}))
def test_a_placeholder_stands_for_what_did_not_end_well(state: State) -> None:
    [_, placeholder] = arguments(NodeTerms(Passing.EACH), as_input(state, encode_value(METADATA)))
    if state in {State.FAILED, State.DEAD}:
        assert placeholder == Error({**METADATA, "state": str(state)})
    else:
        assert placeholder is SKIPPED
    assert arguments(NodeTerms(Passing.EACH, drops=True), as_input(state, b"")) == ("own",)


def test_a_failure_without_a_description_has_a_state() -> None:
    assert arguments(NodeTerms(Passing.LIST), as_input(State.DEAD, b"")) == ("own", [Error({"state": "dead"})])


def test_failures_can_be_left_out() -> None:
    inputs = [value(1), FAILED, value(2), CANCELLED]
    assert arguments(NodeTerms(Passing.LIST, drops=True), *inputs) == ("own", [1, 2])
    assert arguments(NodeTerms(Passing.LIST), *inputs) == (
        "own",
        [1, Error({**METADATA, "state": "failed"}), 2, SKIPPED],
    )
