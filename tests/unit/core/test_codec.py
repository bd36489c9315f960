"""What travels arrives as it was; what cannot travel is refused where it is; garbage is told apart."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqueue.core.codec import (
    MAX_BYTES,
    MAX_DEPTH,
    decode_message,
    decode_value,
    encode_message,
    encode_value,
)
from aqueue.core.message import SKIPPED, Error, Message
from aqueue.exceptions import DecodeError, EncodeError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# A fold is not written: only local time has one, and an instant that has to be exact carries its offset.
FIXED_OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**40)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.none() | FIXED_OFFSETS).map(lambda value: value.replace(fold=0))
    | st.times(timezones=st.none() | FIXED_OFFSETS).map(lambda value: value.replace(fold=0))
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
KEYS = TEXT | st.just("__aq__") | HASHABLE
VALUES = st.recursive(
    HASHABLE | st.binary().map(bytearray) | st.sets(HASHABLE, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


def described(value: Any) -> Any:
    """`value` with every class spelled out: equality alone takes True for 1, and -0.0 for 0."""
    if isinstance(value, (list, tuple)):
        return type(value), [described(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(map(described, value), key=repr)
    if isinstance(value, dict):
        return dict, [(described(key), described(item)) for key, item in value.items()]
    return type(value), repr(value)


@settings(max_examples=60)
@given(VALUES)
def test_every_accepted_value_arrives_as_it_was(value: Any) -> None:
    assert described(decode_value(encode_value(value))) == described(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308])
def test_the_edges_of_float_arrive(value: float) -> None:
    assert repr(decode_value(encode_value(value))) == repr(value)


def test_nan_arrives_wherever_it_stands() -> None:
    inside, complex_one, decimal = decode_value(encode_value([{"x": math.nan}, complex(math.nan, 1), Decimal("sNaN")]))
    assert math.isnan(inside["x"])
    assert math.isnan(complex_one.real)
    assert complex_one.imag == 1
    assert decimal.is_snan()


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**4299],
    ids=int.bit_length,
)
def test_an_int_of_any_size_is_exact(value: int) -> None:
    assert decode_value(encode_value([value])) == [value]


def test_the_placeholders_of_a_chord_arrive_as_themselves() -> None:
    error, skipped = decode_value(encode_value([Error({"error": "no", "at": (1, 2)}), SKIPPED]))
    assert type(error) is Error
    assert error.metadata == {"error": "no", "at": (1, 2)}
    assert skipped is SKIPPED
    with pytest.raises(EncodeError, match="cannot travel"):
        encode_value(Error({"error": object()}))


def test_an_instant_keeps_its_offset_and_loses_the_name_of_its_zone() -> None:
    berlin = datetime(2026, 7, 1, 12, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    arrived = decode_value(encode_value(berlin))
    assert arrived == berlin
    assert arrived.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "\x00", "‮ right to left", "\N{GRINNING FACE}", '"__aq__"', '{"__aq__": 1}'])
def test_any_text_arrives(text: str) -> None:
    assert decode_value(encode_value({text: text})) == {text: text}


@pytest.mark.parametrize(
    "value",
    [
        {"__aq__": ["set", [1]]},
        {"__aq__": 1, "other": 2},
        {"k": {"__aq__": {"__aq__": None}}},
        {1: "a", "1": "b", None: "c", (1, 2): "d", 1.5: "e"},
    ],
)
def test_a_dict_is_never_taken_for_a_tag(value: dict[Any, Any]) -> None:
    assert decode_value(encode_value(value)) == value


class Colour(Enum):
    RED = 1


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    YES = "yes"


@dataclass
class Point:
    x: int


class Model:
    def model_dump(self) -> None: ...


class Text(str):
    __slots__ = ()


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError

    __eq__ = __hash__ = __reduce__ = __bool__ = __len__ = __repr__


Pair = namedtuple("Pair", "a b")


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "a builtins.object, which cannot travel: accepted are None, bool, int"),
        (Colour.RED, r"Colour, which cannot travel: pass its \.value"),
        (Number.ONE, r"Number, which cannot travel: pass its \.value"),
        (Word.YES, r"Word, which cannot travel: pass its \.value"),
        (Point(1), r"Point, which cannot travel: pass dataclasses\.asdict\(\) of it"),
        (Model(), r"Model, which cannot travel: pass its \.model_dump\(\)"),
        (Text("x"), r"Text, which cannot travel: convert it with str\(\)"),
        (Pair(1, 2), r"Pair, which cannot travel: convert it with tuple\(\)"),
        (OrderedDict(), r"collections\.OrderedDict, which cannot travel: convert it with dict\(\)"),
        (Path("x"), "Path, which cannot travel"),
        (iter([]), "a builtins.list_iterator, which cannot travel"),
        (partial(print), "functools.partial, which cannot travel"),
        (memoryview(b""), "memoryview, which cannot travel"),
        (Hostile(), "Hostile, which cannot travel"),
        (int, "a builtins.type, which cannot travel"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_travel_is_refused_with_its_path_and_a_hint(value: Any, message: str) -> None:
    with pytest.raises(EncodeError, match=rf"^args\[0\]\['x'\]\[3\] is .*{message}"):
        encode_message(Message("id", "task", ({"x": [0, 1, 2, value]},), {}))


def test_a_coroutine_says_what_was_forgotten() -> None:
    forgotten = coroutine()
    with pytest.raises(EncodeError, match=r"^kwargs\['x'\] is a builtins\.coroutine, .*: await it first"):
        encode_message(Message("id", "task", (), {"x": forgotten}))
    forgotten.close()


def test_the_path_leads_through_every_container() -> None:
    with pytest.raises(EncodeError, match=r"^result\[0\]\[1\]\['k'\]\[\(1, 2\)\]\[0\] is a builtins.object"):
        encode_value([(0, {"k": {(1, 2): {object()}}})], "result")
    with pytest.raises(EncodeError, match=r"^result key Ellipsis is a builtins.ellipsis"):
        encode_value({...: 1}, "result")


def test_a_key_that_cannot_be_shown_is_still_refused_in_words() -> None:
    class Key(Hostile):
        __hash__ = object.__hash__

    with pytest.raises(EncodeError, match=r"result key <.*Key> is a .*Key, which cannot travel"):
        encode_value({Key(): 1}, "result")


def test_what_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    with pytest.raises(EncodeError, match="nested deeper than 100 levels, or refers to itself"):
        encode_value(loop)


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"k": value}])
def test_nesting_has_a_limit(wrap: Any) -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    assert decode_value(encode_value(value)) == value
    with pytest.raises(EncodeError, match="nested deeper"):
        encode_value(wrap(value))


@pytest.mark.parametrize("wrap", [lambda value: (value,), lambda value: {1: value}, lambda value: frozenset([value])])
def test_nesting_of_tagged_values_is_read_or_refused_but_never_breaks(wrap: Any) -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH + 1):
        value = wrap(value)
        try:
            data = encode_value(value)
        except EncodeError:
            return
        assert decode_value(data) == value
    pytest.fail("there is no limit")


def test_what_is_too_large_is_refused_before_it_travels() -> None:
    assert len(encode_value("x" * (MAX_BYTES - 2))) == MAX_BYTES
    with pytest.raises(EncodeError, match=r"arguments take 16\.0 MiB encoded, the limit is 16 MiB"):
        encode_message(Message("id", "task", ("x" * MAX_BYTES,), {}))


def test_an_int_of_too_many_digits_is_refused() -> None:
    with pytest.raises(EncodeError, match=r"args\[0\] is an int with too many digits"):
        encode_message(Message("id", "task", (10**5000,), {}))


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(EncodeError, match="surrogates not allowed"):
        encode_value("\ud800")


def test_a_time_of_day_without_an_offset_of_its_own_is_refused() -> None:
    assert decode_value(encode_value(time(12, tzinfo=UTC))) == time(12, tzinfo=UTC)
    with pytest.raises(EncodeError, match=r"^result\[0\] is a time in a zone whose offset depends on the day"):
        encode_value([time(12, tzinfo=ZoneInfo("Europe/Berlin"))], "result")


def test_values_are_captured_when_they_are_encoded() -> None:
    items = [1]
    data = encode_value(items)
    items.append(2)
    assert decode_value(data) == [1]


# -- messages


@settings(max_examples=60)
@given(
    st.lists(VALUES, max_size=3).map(tuple),
    st.dictionaries(TEXT | st.just("__aq__"), VALUES, max_size=3),
    st.text("0123456789abcdef", max_size=8),
    st.integers(0, 2**53),
    st.none() | st.just({"retries": 3, "timeout": 1.5}),
)
def test_a_message_arrives_as_it_was(
    args: tuple[Any, ...], kwargs: dict[str, Any], reply: str, expires_ms: int, overrides: dict[str, Any] | None
) -> None:
    message = Message("id", "shop.add", args, kwargs, reply, expires_ms, overrides)
    arrived = decode_message("id", encode_message(message))
    assert (arrived.id, arrived.task, arrived.reply, arrived.expires_ms) == ("id", "shop.add", reply, expires_ms)
    assert described(arrived.args) == described(args)
    assert described(arrived.kwargs) == described(kwargs)
    assert arrived.overrides == overrides


def test_a_call_without_arguments_is_a_few_bytes() -> None:
    assert encode_message(Message("id", "add", (), {})) == b'["add"]'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT | st.just("__aq__"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.just("__aq__"), inner, max_size=4),
    max_leaves=10,
)
TAGS = ["int", "float", "dict", "tuple", "set", "frozenset", "bytes", "bytearray", "decimal", "datetime"]
TAGS += ["date", "time", "timedelta", "uuid", "complex", "unheard-of"]
TAGGED = st.recursive(
    JSON,
    lambda inner: st.tuples(st.sampled_from(TAGS), inner).map(lambda pair: {"__aq__": list(pair)}) | st.lists(inner),
    max_leaves=6,
)
GARBAGE = st.binary() | JSON.map(orjson.dumps) | TAGGED.map(orjson.dumps)


@given(GARBAGE)
def test_garbage_is_a_value_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_value(data)


@given(GARBAGE | st.lists(JSON | TAGGED, max_size=7).map(orjson.dumps))
def test_garbage_is_a_message_or_a_decode_error(data: bytes) -> None:
    try:
        message = decode_message("id", data)
    except DecodeError:
        return
    assert type(message.task) is str
    assert type(message.args) is tuple
    assert type(message.kwargs) is dict
    assert type(message.reply) is str
    assert type(message.expires_ms) is int


@given(VALUES.map(encode_value), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_does_no_harm(data: bytes, position: int, bit: int) -> None:
    damaged = bytearray(data)
    damaged[position % len(data)] ^= 1 << bit
    for part in (bytes(damaged), data[: position % len(data)]):
        with contextlib.suppress(DecodeError):
            decode_value(part)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04K\x01.",
        b"null",
        b"{}",
        b"[]",
        b"[1]",
        b'[null,"",[1]]',
        b'["x","",5]',
        b'["x","","abc"]',
        b'["x","",{"b":1}]',
        b'["x","",[],[1]]',
        b'["x",5]',
        b'["x","",[],{},"soon"]',
        b'["x","",[],{},0,[1]]',
        b"[" * 100_000,
        b'{"__aq__":["uuid",5]}',
        b'{"__aq__":["int","' + b"9" * 10_000 + b'"]}',
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_is_no_message_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^not a (message|value of this codec): b'"):
        decode_message("id", data)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    assert decode_message("id", b'["add","",[1],{},0,null,null,{"x":1}]').args == (1,)


def test_instants_are_told_apart_by_their_offset() -> None:
    values = [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), UUID(int=5)]
    assert [repr(value) for value in decode_value(encode_value(values))] == [repr(value) for value in values]
