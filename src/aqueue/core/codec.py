"""JSON on the wire, with tags for what JSON cannot say: the codec of an application that names no serializer.

A plain value (None, bool, int, finite float, str, list, dict with str keys) travels as itself. The others that are
accepted travel as ``{"__aq__": [tag, content]}``; a document without that key is never walked when it is read. What has
no faithful form is refused, by the path at which it stands: nothing is silently turned into something else. Reading
builds plain data alone; no class is looked up by a name that came from outside.
"""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from uuid import UUID

import orjson

from ..exceptions import DecodeError, EncodeError, SerializerMismatch
from .message import SKIPPED, Error, Message, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100

# How bytes begin that were signed or compressed. No JSON does, and no pickle.
SIGNED = b"\0hmac:"
COMPRESSED = b"\0zlib:"

_TAG = "__aq__"
_TAG_BYTES = b'"__aq__"'
_PLAIN = frozenset({type(None), bool, int, str})
_SEQUENCES = frozenset({list, tuple})
# What orjson reads back as the same int; beyond it, it would give a float.
_SMALLEST_INT = -(2**63)
_LARGEST_INT = 2**64 - 1
_SHOWN = 200
# What the fields of a message say when they are left out; it cannot do without its task. Later versions may add more.
_DEFAULTS: tuple[Any, ...] = (None, "", (), {}, 0, None, None)


class Codec(Protocol):
    """How one application turns messages and values into bytes, and back. This module is one.

    `what` says what a value is, "result", "error" or "progress", and `task_id` of which task. A codec that signs binds
    the bytes to both.
    """

    def encode_message(self, message: Message) -> bytes: ...

    def decode_message(self, task_id: str, payload: bytes) -> Message: ...

    def encode_value(self, value: Any, what: str, task_id: str) -> bytes: ...

    def decode_value(self, data: bytes, what: str, task_id: str) -> Any: ...


def encode_message(message: Message) -> bytes:
    """The payload of a message; its id travels beside it.

    Raises:
        EncodeError: an argument cannot travel.
    """
    args = _encodable_sequence(message.args, "args") if message.args else ()
    kwargs = _encodable_dict(message.kwargs, "kwargs", 0) if message.kwargs else {}
    return _dumps(document_of(message, args, kwargs), "arguments")


def decode_message(task_id: str, payload: bytes) -> Message:
    """The message that `payload` holds.

    Raises:
        DecodeError: it holds none.
    """
    return message_of(task_id, _loads(payload), payload)


def encode_value(value: Any, what: str = "value", task_id: str = "") -> bytes:
    """`value` as bytes; `what` names it in an error.

    Raises:
        EncodeError: it cannot travel.
    """
    return _dumps(_encodable(value, what, 0), what)


def decode_value(data: bytes, what: str = "value", task_id: str = "") -> Any:
    """The value that ``encode_value`` wrote.

    Raises:
        DecodeError: the bytes are no such value.
    """
    return _loads(data)


def document_of(message: Message, args: Sequence[Any], kwargs: Any) -> list[Any]:
    """The message, with `args` and `kwargs` for its arguments, as a list. Fields that say nothing are left off its end.

    Not a dict: every queued task would keep the names of its fields in the store.
    """
    document = [message.task, message.reply, args, kwargs, message.expires_ms, message.overrides, message.node]
    while not document[-1]:
        document.pop()
    return document


def message_of(task_id: str, document: Any, payload: bytes) -> Message:
    """The message that `document`, read from `payload`, describes.

    Raises:
        DecodeError: it describes none.
    """
    if type(document) in _SEQUENCES:
        fields = (*document, *_DEFAULTS[len(document) :])
        task, reply, args, kwargs, expires_ms, overrides, node = fields[: len(_DEFAULTS)]
        if (
            type(task) is str
            and type(reply) is str
            and type(args) in _SEQUENCES
            and type(kwargs) is dict
            and type(expires_ms) is int
            and (overrides is None or type(overrides) is dict)
            and (node is None or type(node) in _SEQUENCES)
        ):
            return Message(task_id, task, tuple(args), kwargs, reply, expires_ms, overrides, node)
    raise DecodeError(f"not a message: {_preview(payload)}")


def too_large(size: int, what: str) -> EncodeError:
    """The error to raise for more than ``MAX_BYTES``."""
    return EncodeError(
        f"the {what} take {size / 2**20:.1f} MiB encoded, and at most {MAX_BYTES // 2**20} MiB travel: "
        "store them elsewhere and pass a reference"
    )


def undecodable(data: bytes, why: str = "") -> DecodeError:
    """The error to raise for bytes that cannot be read here; `why` is what the reader says of them."""
    if data.startswith(SIGNED):
        return SerializerMismatch("the data is signed, and the serializer here has no keys=[...] to verify it")
    if data.startswith(COMPRESSED):
        return SerializerMismatch("the data is compressed, and the serializer here has no compress_from=")
    return DecodeError(f"not a value of this codec: {_preview(data)}{why and f', {why}'}")


def _encodable_sequence(values: tuple[Any, ...] | list[Any], path: str, depth: int = 0) -> list[Any] | tuple[Any, ...]:
    """`values` itself when JSON says all of it, else a list in which the rest is tagged."""
    for value in values:
        kind = type(value)
        if kind not in _PLAIN or (kind is int and not _SMALLEST_INT <= value <= _LARGEST_INT):
            return [_encodable(item, f"{path}[{index}]", depth) for index, item in enumerate(values)]
    return values


def _encodable(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is int:
        return value if _SMALLEST_INT <= value <= _LARGEST_INT else _tagged("int", _digits(value, path))
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if depth >= MAX_DEPTH:
        raise EncodeError(f"{path} is nested deeper than {MAX_DEPTH} levels, or refers to itself")
    if kind is list:
        return _encodable_sequence(value, path, depth + 1)
    if kind is dict:
        return _encodable_dict(value, path, depth + 1)
    writer = _WRITERS.get(kind)
    if writer is None:
        _refuse(value, path)
    return writer(value, path, depth + 1)


def _encodable_dict(value: dict[Any, Any], path: str, depth: int) -> Any:
    if not all(type(key) is str for key in value) or _TAG in value:
        pairs = [
            [_encodable(key, f"{path} key {_show(key)}", depth), _encodable(item, f"{path}[{_show(key)}]", depth)]
            for key, item in value.items()
        ]
        return _tagged("dict", pairs)
    return {key: _encodable(item, f"{path}[{key!r}]", depth) for key, item in value.items()}


def _tagged(tag: str, content: Any) -> dict[str, list[Any]]:
    return {_TAG: [tag, content]}


def _digits(value: int, path: str) -> str:
    try:
        return str(value)
    except ValueError as error:
        raise EncodeError(f"{path} is an int of too many digits: {error}") from None


def _write_members(tag: str) -> Callable[[Any, str, int], Any]:
    def write(value: Any, path: str, depth: int) -> Any:
        return _tagged(tag, _encodable_sequence(list(value), path, depth))

    return write


def _write_text(tag: str, text: Callable[[Any], str]) -> Callable[[Any, str, int], Any]:
    def write(value: Any, path: str, depth: int) -> Any:
        return _tagged(tag, text(value))

    return write


def _write_time(value: time, path: str, depth: int) -> Any:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise EncodeError(f"{path} is a time in a zone whose offset depends on the day: pass a datetime")
    return _tagged("time", value.isoformat())


_WRITERS: dict[type, Callable[[Any, str, int], Any]] = {
    tuple: _write_members("tuple"),
    set: _write_members("set"),
    frozenset: _write_members("frozenset"),
    bytes: _write_text("bytes", lambda value: base64.b64encode(value).decode()),
    bytearray: _write_text("bytearray", lambda value: base64.b64encode(value).decode()),
    Decimal: _write_text("decimal", str),
    datetime: _write_text("datetime", datetime.isoformat),
    date: _write_text("date", date.isoformat),
    time: _write_time,
    timedelta: lambda value, path, depth: _tagged("timedelta", [value.days, value.seconds, value.microseconds]),
    UUID: _write_text("uuid", str),
    complex: lambda value, path, depth: _tagged("complex", [repr(value.real), repr(value.imag)]),
    Error: lambda value, path, depth: _tagged("error", _encodable(value.metadata, path, depth)),
    Skipped: lambda value, path, depth: _tagged("skipped", None),
}

_READERS: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "dict": dict,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "bytearray": lambda text: bytearray(base64.b64decode(text, validate=True)),
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "uuid": UUID,
    "complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "error": Error,
    "skipped": lambda _: SKIPPED,
}


def _refuse(value: Any, path: str) -> NoReturn:
    kind = type(value)
    hint = "accepted are None, bool, int, float, str, list, tuple, dict, set, bytes, Decimal, datetime, UUID"
    if hasattr(kind, "model_dump"):
        hint = "pass its .model_dump()"
    elif hasattr(kind, "__dataclass_fields__"):
        hint = "pass dataclasses.asdict() of it"
    elif hasattr(kind, "__members__"):
        hint = "pass its .value"
    elif hasattr(kind, "__await__"):
        hint = "await it first"
    else:
        base = next(
            (base for base in kind.__mro__[1:] if base in _PLAIN or base in _WRITERS or base in (list, dict)), None
        )
        if base is not None and base is not type(None):
            hint = f"convert it with {base.__name__}()"
    raise EncodeError(f"{path} is a {kind.__module__}.{kind.__qualname__}, which cannot travel: {hint}")


def _show(value: Any) -> str:
    try:
        text = repr(value)
    except BaseException:
        return f"<{type(value).__qualname__}>"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _dumps(document: Any, what: str) -> bytes:
    try:
        # Copied, because orjson's own bytes keep the 4 KiB in which they were written: 400 MB for 100,000 messages.
        data = b"%b" % orjson.dumps(document)
    except (TypeError, RecursionError) as error:
        # A lone surrogate is the one thing that passes the walk and that orjson refuses.
        raise EncodeError(f"the {what} cannot travel: {error}") from error
    if len(data) > MAX_BYTES:
        raise too_large(len(data), what)
    return data


def _loads(data: bytes) -> Any:
    try:
        document = orjson.loads(data)
        return _untag(document) if _TAG_BYTES in data else document
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
        raise undecodable(data) from error


def _untag(document: Any) -> Any:
    if type(document) is list:
        return [_untag(item) for item in document]
    if type(document) is dict:
        if _TAG in document:
            tag, content = document[_TAG]
            return _READERS[tag](_untag(content))
        return {key: _untag(item) for key, item in document.items()}
    return document


def _preview(data: bytes) -> str:
    return f"{bytes(data[:32])!r}{'...' if len(data) > 32 else ''} ({len(data)} bytes)"
