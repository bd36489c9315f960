"""The payload of a node: what it is made of, and what its inputs become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import huey.api
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue import SKIPPED, DecodeError, Error, JSONSerializer, PickleSerializer, SerializerMismatch, TaskException
from aqueue.core import codec
from aqueue.core.failures import attributed_to
from aqueue.core.lifecycle import VERDICTS, State
from aqueue.core.message import JOINED, Message, as_input, joined
from aqueue.tasks.workflow.inputs import NodeTerms, Passing, as_node, read_call, read_ready, terms_of

if TYPE_CHECKING:
    from aqueue.core.codec import Codec

METADATA = {"type": "ValueError", "error": "ValueError('no')", "task_id": "t0"}
KEY = "k" * 16


def payload(terms: NodeTerms, *args: Any, codec: Codec = codec, **kwargs: Any) -> bytes:
    return codec.encode_message(Message("id", "shop.add", args, kwargs, "client", node=as_node(terms)))


def value(value: Any, task_id: str = "t0", codec: Codec = codec) -> bytes:
    return as_input(State.DONE, codec.encode_value(value, "result", task_id))


def error(state: State = State.FAILED, owner: str = "t0", codec: Codec = codec) -> bytes:
    return as_input(state, attributed_to(owner, codec.encode_value(METADATA, "error", owner)))


def ready(
    terms: NodeTerms, *inputs: bytes, args: tuple[Any, ...] = ("own",), codec: Codec = codec, **kwargs: Any
) -> Message:
    """A node that was after t0, t1 and so on, with what it got of them."""
    terms = terms._replace(after=tuple(f"t{number}" for number in range(len(inputs))))
    return read_ready(codec, "id", joined(payload(terms, *args, codec=codec, **kwargs), 1_000, inputs))[0]


def arguments(terms: NodeTerms, *inputs: bytes) -> tuple[Any, ...]:
    """The positional arguments that a node with one of its own starts with."""
    message = ready(terms, *inputs)
    assert not message.kwargs
    return message.args


CANCELLED = as_input(State.CANCELLED, b"")


# -- what travels


@pytest.mark.parametrize("linked", [True, False])
def test_a_node_that_was_after_nothing_is_its_message(linked: bool) -> None:
    message, terms = read_ready(codec, "id", payload(NodeTerms(linked), 1, "a\nb", c={"d": (2,)}))
    assert (message.id, message.task, message.reply) == ("id", "shop.add", "client")
    assert (message.args, message.kwargs) == ((1, "a\nb"), {"c": {"d": (2,)}})
    assert terms == NodeTerms(linked)


def test_a_plain_task_does_not_pay_for_workflows() -> None:
    assert payload(NodeTerms(), 1) == codec.encode_message(Message("id", "shop.add", (1,), {}, "client"))
    assert as_node(NodeTerms(linked=True)) == [True]


@pytest.mark.parametrize(
    "terms",
    [
        NodeTerms(),
        NodeTerms(linked=True),
        NodeTerms(passing=Passing.LIST),
        NodeTerms(True, Passing.EACH, ("a", "b", "a"), True, 500),
        NodeTerms(False, Passing.ERROR, ("a",)),
    ],
)
def test_terms_travel_in_the_message(terms: NodeTerms) -> None:
    assert terms_of(codec.decode_message("id", payload(terms))) == terms


def test_a_node_expires_some_time_after_it_was_due() -> None:
    assert ready(NodeTerms(passing=Passing.EXTEND, expires_ms=500), value(1)).expires_ms == 1_500
    assert ready(NodeTerms(passing=Passing.EXTEND), value(1)).expires_ms == 0


def test_what_was_enqueued_can_be_read_at_any_time() -> None:
    data = payload(NodeTerms(passing=Passing.EXTEND, after=("t0",)), "own")
    for each in (data, joined(data, 1_000, [value(5)])):
        assert read_call(codec, "id", each).args == ("own",)


BAD_NODES = [
    "7",
    '{"a":1}',
    '"yes"',
    '[true,"none"]',
    "[true,null,5]",
    "[true,null,[5]]",
    '[0,null,[],0,"5"]',
    "[0,0,0,0,0,0]",
]


@pytest.mark.parametrize("node", BAD_NODES)
def test_what_is_no_node_is_refused(node: str) -> None:
    with pytest.raises(DecodeError):
        read_ready(codec, "id", f'["shop.add","",[],{{}},0,null,{node}]'.encode())


BAD_INPUTS = [
    as_input("odd", b"1"),
    as_input("done", b"{"),
    as_input("done", b""),
    as_input("failed", b"[["),
    as_input("failed", b"[]"),
    b"done 9\n1",
    b"done",
]


@pytest.mark.parametrize("given", BAD_INPUTS)
def test_what_is_no_input_is_refused(given: bytes) -> None:
    with pytest.raises(DecodeError):
        arguments(NodeTerms(passing=Passing.LIST), given)


def test_a_node_does_not_start_without_all_of_its_inputs() -> None:
    data = payload(NodeTerms(passing=Passing.LIST, after=("t0", "t1")))
    for each in (data, joined(data, 1, []), joined(data, 1, [value(1)]), joined(data, 1, [value(1)] * 3)):
        with pytest.raises(DecodeError, match="waits for 2 others and got"):
            read_ready(codec, "id", each)
    with pytest.raises(DecodeError):
        read_ready(codec, "id", joined(payload(NodeTerms()), 1, [value(1)]))


def test_a_handler_gets_nothing_but_errors() -> None:
    with pytest.raises(DecodeError, match="not an error"):
        arguments(NodeTerms(passing=Passing.ERROR), value(5))


@given(st.binary())
def test_no_bytes_raise_anything_else(junk: bytes) -> None:
    data = payload(NodeTerms(passing=Passing.LIST, after=("t0",)))
    for each in (
        junk,
        JOINED + junk,
        joined(junk, 1, [value(1)]),
        joined(data, 1, [junk]),
        joined(data, 1, [as_input("done", junk)]),
    ):
        try:
            read_ready(codec, "id", each)
        except DecodeError:
            continue


# -- serializers


SERIALIZERS = {
    "signed": JSONSerializer(keys=[KEY]),
    "compressed": JSONSerializer(compress_from=0),
    "both": JSONSerializer(keys=[KEY], compress_from=0),
    "pickle": PickleSerializer(keys=[KEY], compress_from=20),
}


@pytest.mark.parametrize("name", SERIALIZERS)
def test_every_serializer_carries_inputs(name: str) -> None:
    codec = SERIALIZERS[name].codec_for("shop")
    long = bytes(range(256)) * 10
    inputs = [value(long, "t0", codec), error(owner="t1", codec=codec), CANCELLED, error(owner="far", codec=codec)]
    message = ready(NodeTerms(passing=Passing.LIST), *inputs, codec=codec)
    failed = Error({**METADATA, "state": "failed"})
    assert message.args == ("own", [long, failed, SKIPPED, failed])


SIGNED = SERIALIZERS["signed"].codec_for("shop")
FORGED = {
    "unsigned": value(5),
    "of another task": value(5, "t9", SIGNED),
    "of another application": value(5, "t0", SERIALIZERS["signed"].codec_for("other")),
    "of another kind": as_input(State.DONE, SIGNED.encode_value(5, "error", "t0")),
    "an unsigned error": error(),
    "a result as an error": as_input(State.FAILED, attributed_to("t0", SIGNED.encode_value(METADATA, "result", "t0"))),
}


@pytest.mark.parametrize("name", FORGED)
def test_an_input_that_cannot_be_verified_is_not_used(name: str) -> None:
    """It may be that the key is yet to come, so the node is kept like a message that cannot be verified."""
    assert ready(NodeTerms(passing=Passing.LIST), value(5, "t0", SIGNED), codec=SIGNED).args == ("own", [5])
    with pytest.raises(SerializerMismatch):
        ready(NodeTerms(passing=Passing.LIST), FORGED[name], codec=SIGNED)


def test_nobody_changes_what_a_node_waits_for() -> None:
    data = payload(NodeTerms(passing=Passing.LIST, after=("t0",)), codec=SIGNED)
    assert read_ready(SIGNED, "id", joined(data, 1, [value(5, "t0", SIGNED)]))[0].args == ([5],)
    with pytest.raises(SerializerMismatch):
        read_ready(SIGNED, "id", joined(payload(NodeTerms(after=("t9",))), 1, [value(5, "t9", SIGNED)]))


# -- what it becomes


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (5, ("own", 5), {"a": 1}),
        ((5, 6), ("own", 5, 6), {"a": 1}),
        ((), ("own",), {"a": 1}),
        ([5, 6], ("own", [5, 6]), {"a": 1}),
        ({"b": 2}, ("own",), {"a": 1, "b": 2}),
        ({"a": 2}, ("own",), {"a": 1}),
        ({}, ("own",), {"a": 1}),
        (None, ("own",), {"a": 1}),
        (False, ("own", False), {"a": 1}),
        ("text", ("own", "text"), {"a": 1}),
    ],
)
def test_a_stage_is_extended_by_what_the_one_before_returned(
    given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    message = ready(NodeTerms(passing=Passing.EXTEND), value(given), a=1)
    hueys = huey.api.Task(("own",), {"a": 1})
    hueys.extend_data(given)
    assert (message.args, message.kwargs) == (hueys.args, hueys.kwargs) == (args, kwargs)


def test_a_callback_gets_one_list() -> None:
    assert arguments(NodeTerms(passing=Passing.LIST), value((1, 2)), value(None, "t1")) == ("own", [(1, 2), None])


def test_a_callback_of_nobody_gets_an_empty_list() -> None:
    message, _ = read_ready(codec, "id", payload(NodeTerms(passing=Passing.LIST)))
    assert message.args == ([],)


def test_a_task_after_others_gets_each_value() -> None:
    assert arguments(NodeTerms(passing=Passing.EACH), value((1, 2)), value(None), value({})) == (
        "own",
        (1, 2),
        None,
        {},
    )


def test_a_handler_gets_an_exception() -> None:
    own, raised = arguments(NodeTerms(passing=Passing.ERROR), error())
    assert own == "own"
    assert type(raised) is TaskException
    assert raised.metadata == {**METADATA, "state": "failed"}


@pytest.mark.parametrize("state", sorted(VERDICTS - {State.DONE}))
def test_a_placeholder_stands_for_what_did_not_end_well(state: State) -> None:
    [_, placeholder] = arguments(NodeTerms(passing=Passing.EACH), error(state))
    if state in {State.FAILED, State.DEAD}:
        assert placeholder == Error({**METADATA, "state": str(state)})
    else:
        assert placeholder is SKIPPED
    assert arguments(NodeTerms(passing=Passing.EACH, drops=True), as_input(state, b"")) == ("own",)


def test_a_failure_without_a_description_has_a_state() -> None:
    assert arguments(NodeTerms(passing=Passing.LIST), as_input(State.DEAD, b"")) == (
        "own",
        [Error({"task_id": "t0", "state": "dead"})],
    )


def test_failures_can_be_left_out() -> None:
    inputs = [value(1), error(), value(2), CANCELLED]
    assert arguments(NodeTerms(passing=Passing.LIST, drops=True), *inputs) == ("own", [1, 2])
    assert arguments(NodeTerms(passing=Passing.LIST), *inputs) == (
        "own",
        [1, Error({**METADATA, "state": "failed"}), 2, SKIPPED],
    )
