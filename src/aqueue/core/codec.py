"""The default codec: JSON, with tags for values that JSON cannot express.

A plain value (None, bool, int, finite float, str, list, dict with str keys) travels as itself. Other accepted values
travel as ``{"__aq__": [tag, content]}``; reading walks a document only if it contains that key. A value without an
exact form is refused with an error that names its path in the arguments, so no value silently changes its type.
Reading builds plain data only and never looks a class up by a name from the store.
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

# Signed and compressed bytes begin with these. Neither JSON nor a pickle begins with a zero byte.
SIGNED = b"\0hmac:"
COMPRESSED = b"\0zlib:"

_TAG = "__aq__"
_TAG_BYTES = b'"__aq__"'
_PLAIN = frozenset({type(None), bool, int, str})
_SEQUENCES = frozenset({list, tuple})
# orjson reads an int between these back as the same int, and any other as a float.
_SMALLEST_INT = -(2**63)
_LARGEST_INT = 2**64 - 1
_SHOWN = 200
# The values of the fields that a message leaves out. Its task is mandatory. Later versions may add fields.
_DEFAULTS: tuple[Any, ...] = (None, "", (), {}, 0, None, None)


class Codec(Protocol):
    """How one application turns messages and values into bytes, and back. This module is a codec itself.

    `what` says which kind of value it is, for example "result", "error" or "progress", and `task_id` which task it
    belongs to. A codec that signs binds the bytes to both.
    """

    def encode_message(self, message: Message) -> bytes: ...

    def decode_message(self, task_id: str, payload: bytes) -> Message: ...

    def encode_value(self, value: Any, what: str, task_id: str) -> bytes: ...

    def decode_value(self, data: bytes, what: str, task_id: str) -> Any: ...


def encode_message(message: Message) -> bytes:
    """Encode a message. Its id is not part of the payload.

    Raises:
        EncodeError: an argument cannot be encoded.
    """
    args = _encodable_sequence(message.args, "args") if message.args else ()
    kwargs = _encodable_dict(message.kwargs, "kwargs", 0) if message.kwargs else {}
    return _dumps(document_of(message, args, kwargs), "arguments")


def decode_message(task_id: str, payload: bytes) -> Message:
    """Decode a message that ``encode_message`` encoded.

    Raises:
        DecodeError: `payload` is not a message.
    """
    return message_of(task_id, _loads(payload), payload)


def encode_value(value: Any, what: str = "value", task_id: str = "") -> bytes:
    """Encode `value`; `what` names it in an error.

    Raises:
        EncodeError: it cannot be encoded.
    """
    return _dumps(_encodable(value, what, 0), what)


def decode_value(data: bytes, what: str = "value", task_id: str = "") -> Any:
    """Decode a value that ``encode_value`` encoded.

    Raises:
        DecodeError: `data` is not such a value.
    """
    return _loads(data)


def document_of(message: Message, args: Sequence[Any], kwargs: Any) -> list[Any]:
    """The message as a list, with `args` and `kwargs` as its arguments. Empty fields at the end are left out.

    It is not a dict, because the store would then keep the field names with every queued task.
    """
    document = [message.task, message.reply, args, kwargs, message.expires_ms, message.overrides, message.node]
    while not document[-1]:
        document.pop()
    return document


def message_of(task_id: str, document: Any, payload: bytes) -> Message:
    """The message in `document`, which was read from `payload`.

    Raises:
        DecodeError: `document` is not a message.
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
    """The error to raise when `what` takes more than ``MAX_BYTES``."""
    return EncodeError(
        f"the {what} take {size / 2**20:.1f} MiB encoded, the limit is {MAX_BYTES // 2**20} MiB: "
        "store them elsewhere and pass a reference"
    )


def undecodable(data: bytes, why: str = "") -> DecodeError:
    """The error to raise for bytes that this codec cannot read; `why` is the reader's reason."""
    if data.startswith(SIGNED):
        return SerializerMismatch("the data is signed, and the serializer here has no keys=[...] to verify it")
    if data.startswith(COMPRESSED):
        return SerializerMismatch("the data is compressed, and the serializer here has no compress_from=")
    return DecodeError(f"not a value of this codec: {_preview(data)}{why and f', {why}'}")


def _encodable_sequence(values: tuple[Any, ...] | list[Any], path: str, depth: int = 0) -> list[Any] | tuple[Any, ...]:
    """`values` itself if JSON can express all of it, else a list in which the other values are tagged."""
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
        raise EncodeError(f"{path} is an int with too many digits: {error}") from None


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
        # A copy, because orjson's own bytes keep the 4 KiB buffer they were written in: 400 MB for 100,000 messages.
        data = b"%b" % orjson.dumps(document)
    except (TypeError, RecursionError) as error:
        # Only a lone surrogate passes the checks above and is refused by orjson.
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
