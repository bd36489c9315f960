"""Serializers: how an application writes messages and values, if not as plain JSON with tags.

A user configures a serializer: a format, signing keys, a size from which to compress. ``codec_for`` turns it into the
codec of one application: the format (`Documents`), with one seal around it for each step that the bytes go through
(`Sealed`). Writing formats, compresses and signs, in this order; reading goes back, so that nothing is unpacked or
parsed before its signature was verified.
"""

from __future__ import annotations

import hmac
import pickle
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from ..exceptions import ConfigurationError, DecodeError, EncodeError, SerializerMismatch
from . import codec
from .codec import COMPRESSED, MAX_BYTES, SIGNED
from .failures import exception_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .codec import Codec
    from .message import Message

_SHORTEST_KEY = 16
_DIGEST = "sha256"
_DIGEST_AT = len(SIGNED)
_DATA_AT = _DIGEST_AT + 32


class Serializer(ABC):
    """Base class for a format of your own: write ``dumps`` and ``loads``, and pass an instance to ``Huey``.

    With `keys`, everything that travels is signed: the first key signs, and each key verifies. A key is bytes or a str,
    at least 16 bytes long. With `compress_from`, data of that many bytes or more is compressed with zlib.

    Raises:
        ConfigurationError: `keys` or `compress_from` is something else.
    """

    _keys: tuple[bytes, ...] = ()
    _compress_from: int | None = None

    def __init__(self, *, keys: Sequence[str | bytes] = (), compress_from: int | None = None) -> None:
        self._keys = _checked_keys(keys)
        self._compress_from = _checked_size(compress_from)

    @abstractmethod
    def dumps(self, value: Any) -> bytes:
        """`value` as bytes: a result, or a list with the arguments of a call. Any exception refuses the value."""

    @abstractmethod
    def loads(self, data: bytes) -> Any:
        """The value that ``dumps`` was given. A tuple of arguments may come back as a list."""

    def codec_for(self, application: str) -> Codec:
        """The codec of the application named `application`."""
        sealed = self._format()
        if self._compress_from is not None:
            sealed = Sealed(sealed, Compression(self._compress_from))
        if self._keys:
            sealed = Sealed(sealed, Signature(self._keys, application))
        return sealed

    def _format(self) -> Codec:
        return Documents(self)


class JSONSerializer(Serializer):
    """JSON with tags, the default format. Name it to set `keys` or `compress_from`, or to subclass it."""

    def dumps(self, value: Any) -> bytes:
        return codec.encode_value(value)

    def loads(self, data: bytes) -> Any:
        return codec.decode_value(data)

    def _format(self) -> Codec:
        # A subclass may write other values. Without one, the module `codec` does the same with fewer calls.
        return codec if type(self) is JSONSerializer else super()._format()


class PickleSerializer(Serializer):
    """Pickles, which carry instances of any class. Reading one can run any code, so each must be signed.

    Raises:
        ConfigurationError: there are no `keys`.
    """

    def __init__(self, *, keys: Sequence[str | bytes] = (), compress_from: int | None = None) -> None:
        super().__init__(keys=keys, compress_from=compress_from)
        if not self._keys:
            raise ConfigurationError(
                "PickleSerializer needs keys=[...]: without a signature, anybody who can write to the store could run "
                "code in every worker"
            )

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)  # noqa: S301 - its signature was verified


class Documents:
    """The codec of a serializer. Whatever the serializer raises becomes an EncodeError or a DecodeError."""

    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer

    def encode_message(self, message: Message) -> bytes:
        return self._dumps(codec.document_of(message, message.args, message.kwargs), "arguments")

    def decode_message(self, task_id: str, payload: bytes) -> Message:
        return codec.message_of(task_id, self._loads(payload), payload)

    def encode_value(self, value: Any, what: str, task_id: str) -> bytes:
        return self._dumps(value, what)

    def decode_value(self, data: bytes, what: str, task_id: str) -> Any:
        return self._loads(data)

    def _dumps(self, value: Any, what: str) -> bytes:
        try:
            data = self._serializer.dumps(value)
        except EncodeError:
            raise
        except BaseException as error:
            raise EncodeError(f"the {what} cannot travel: {exception_text(error)}") from error
        if type(data) is not bytes:
            raise EncodeError(f"{type(self._serializer).__name__}.dumps() must return bytes, not {type(data).__name__}")
        if len(data) > MAX_BYTES:
            raise codec.too_large(len(data), what)
        return data

    def _loads(self, data: bytes) -> Any:
        try:
            return self._serializer.loads(data)
        except DecodeError:
            raise
        except BaseException as error:
            raise codec.undecodable(data, exception_text(error)) from error


class Sealed:
    """A codec that closes with `seal` what the codec `inner` wrote, and opens it before `inner` reads it."""

    def __init__(self, inner: Codec, seal: Seal) -> None:
        self._inner = inner
        self._seal = seal

    def encode_message(self, message: Message) -> bytes:
        return self._seal.close(self._inner.encode_message(message), "message", message.id)

    def decode_message(self, task_id: str, payload: bytes) -> Message:
        return self._inner.decode_message(task_id, self._seal.open(payload, "message", task_id))

    def encode_value(self, value: Any, what: str, task_id: str) -> bytes:
        return self._seal.close(self._inner.encode_value(value, what, task_id), what, task_id)

    def decode_value(self, data: bytes, what: str, task_id: str) -> Any:
        return self._inner.decode_value(self._seal.open(data, what, task_id), what, task_id)


class Seal(Protocol):
    """One step between a format and the store. `what` says what the bytes are ("message", "result", ...)."""

    def close(self, data: bytes, what: str, task_id: str) -> bytes: ...

    def open(self, data: bytes, what: str, task_id: str) -> bytes:
        """The bytes that ``close`` was given.

        Raises:
            DecodeError: ``close`` did not return `data`.
        """


class Signature:
    """HMAC-SHA256: the first of `keys` signs, and each of them verifies.

    The signature covers what the bytes are, the name of the application and the id of the task, so that nobody can pass
    a result off as a message, or as the result of another task.
    """

    def __init__(self, keys: Sequence[bytes], application: str) -> None:
        self._keys = tuple(keys)
        self._application = application

    def close(self, data: bytes, what: str, task_id: str) -> bytes:
        return SIGNED + self._digest(self._keys[0], data, what, task_id) + data

    def open(self, data: bytes, what: str, task_id: str) -> bytes:
        if not data.startswith(SIGNED):
            raise SerializerMismatch("the data is not signed, and the serializer here reads only signed data")
        digest, signed = data[_DIGEST_AT:_DATA_AT], data[_DATA_AT:]
        if any(hmac.compare_digest(digest, self._digest(key, signed, what, task_id)) for key in self._keys):
            return signed
        raise SerializerMismatch(
            "the signature fits no key here: the data was signed with another one, as something else than the "
            f"{what} of this task, or changed since"
        )

    def _digest(self, key: bytes, data: bytes, what: str, task_id: str) -> bytes:
        # The length separates the id from what follows, whatever characters a stranger put into the id.
        context = f"{what} {self._application} {len(task_id)} {task_id} "
        return hmac.digest(key, context.encode("utf-8", "surrogatepass") + data, _DIGEST)


class Compression:
    """zlib, for data of `threshold` bytes or more. Data that was not compressed is read as it is."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold

    def close(self, data: bytes, what: str, task_id: str) -> bytes:
        # Data that happens to begin like compressed data must not be unpacked later on.
        is_ambiguous = data.startswith(COMPRESSED)
        if len(data) >= self._threshold or is_ambiguous:
            compressed = COMPRESSED + zlib.compress(data)
            if len(compressed) < len(data) or is_ambiguous:
                return compressed
        return data

    def open(self, data: bytes, what: str, task_id: str) -> bytes:
        if not data.startswith(COMPRESSED):
            return data
        unpacking = zlib.decompressobj()
        try:
            unpacked = unpacking.decompress(data[len(COMPRESSED) :], MAX_BYTES + 1)
        except zlib.error as error:
            raise DecodeError(f"compressed data is damaged: {error}") from error
        if len(unpacked) > MAX_BYTES:
            raise DecodeError(
                f"{len(data)} bytes of compressed data hold more than the {MAX_BYTES // 2**20} MiB that may travel"
            )
        if not unpacking.eof or unpacking.unused_data:
            raise DecodeError("compressed data is damaged: its end is not where it should be")
        return unpacked


def codec_of(serializer: object, application: str) -> Codec:
    """The codec that `serializer`, as the user gave it, makes for `application`.

    Raises:
        ConfigurationError: `serializer` is not an instance of ``Serializer``.
    """
    if not isinstance(serializer, Serializer):
        raise ConfigurationError(
            f"serializer must be an instance of JSONSerializer, of PickleSerializer or of your own Serializer, "
            f"not {serializer!r}"
        )
    return serializer.codec_for(application)


def _checked_keys(keys: Sequence[str | bytes]) -> tuple[bytes, ...]:
    # No message shows a key: it may end up in a log.
    if not isinstance(keys, (list, tuple)):
        raise ConfigurationError(f"keys must be a list, as in keys=[KEY], not a {type(keys).__name__}")
    checked = []
    for key in keys:
        if not isinstance(key, (str, bytes)):
            raise ConfigurationError(f"a key must be a str or bytes, not {type(key).__name__}")
        checked.append(key.encode() if isinstance(key, str) else key)
        if len(checked[-1]) < _SHORTEST_KEY:
            raise ConfigurationError(
                f"a key must have {_SHORTEST_KEY} bytes or more, not {len(checked[-1])}: "
                "secrets.token_hex(32) makes a good one"
            )
    return tuple(checked)


def _checked_size(size: int | None) -> int | None:
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ConfigurationError(f"compress_from must be a number of bytes, or None for no compression, not {size!r}")
    return size
