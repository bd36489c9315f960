"""How an application writes messages and values, where JSON with tags in plain sight is not what it wants.

A serializer is what a user configures: a format, keys, a size from which to compress. A codec is what it comes to for
one application. The order is fixed, so that nothing is unpacked or parsed that was not verified: format, compression,
signature on the way out, and back.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError, DecodeError, EncodeError
from . import codec
from .seals import Compression, Signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .codec import Codec
    from .message import Message
    from .seals import Seal

_SHORTEST_KEY = 16


class Serializer(ABC):
    """A format of your own: subclass it, write ``dumps`` and ``loads``, and pass an instance to ``Huey``.

    With `keys` all that travels is signed: the first one signs, each of them verifies. A key is bytes or a str, of 16
    bytes at least. With `compress_from` what takes at least so many bytes is compressed with zlib.

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
        """`value` as bytes: a result, or a list with the arguments of a call. What it raises refuses the value."""

    @abstractmethod
    def loads(self, data: bytes) -> Any:
        """The value that ``dumps`` was given. A tuple of arguments may come back as a list."""

    def codec_for(self, application: str) -> Codec:
        """What the application of this name encodes and decodes with."""
        sealed = self._format()
        if self._compress_from is not None:
            sealed = Sealed(sealed, Compression(self._compress_from))
        if self._keys:
            sealed = Sealed(sealed, Signature(self._keys, application))
        return sealed

    def _format(self) -> Codec:
        return Documents(self)


class JSONSerializer(Serializer):
    """JSON with tags, the default. Explicitly it is wanted for its `keys` and `compress_from`, or as a base class."""

    def dumps(self, value: Any) -> bytes:
        return codec.encode_value(value)

    def loads(self, data: bytes) -> Any:
        return codec.decode_value(data)

    def _format(self) -> Codec:
        # A subclass has its own idea of what can travel; without one there is a shorter way.
        return codec if type(self) is JSONSerializer else super()._format()


class PickleSerializer(Serializer):
    """Pickles, which carry instances of any class. Reading one can run any code, so none is read without a signature.

    Raises:
        ConfigurationError: there are no `keys`.
    """

    def __init__(self, *, keys: Sequence[str | bytes] = (), compress_from: int | None = None) -> None:
        super().__init__(keys=keys, compress_from=compress_from)
        if not self._keys:
            raise ConfigurationError(
                "PickleSerializer needs keys=[...]: without a signature, whoever can write to the store could run code "
                "in every worker"
            )

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)  # noqa: S301 - verified before


class Documents:
    """The codec of a serializer. Whatever that raises, ``SystemExit`` too, becomes an EncodeError or a DecodeError."""

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
            raise EncodeError(f"the {what} cannot travel: {codec.exception_text(error)}") from error
        if type(data) is not bytes:
            raise EncodeError(f"{type(self._serializer).__name__}.dumps() must return bytes, not {type(data).__name__}")
        if len(data) > codec.MAX_BYTES:
            raise codec.too_large(len(data), what)
        return data

    def _loads(self, data: bytes) -> Any:
        try:
            return self._serializer.loads(data)
        except DecodeError:
            raise
        except BaseException as error:
            raise codec.undecodable(data, codec.exception_text(error)) from error


class Sealed:
    """A codec around another one: what that writes is closed with `seal`, and opened before that reads it."""

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


def codec_of(serializer: object, application: str) -> Codec:
    """The codec of what the user gave for a serializer.

    Raises:
        ConfigurationError: it is none.
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
