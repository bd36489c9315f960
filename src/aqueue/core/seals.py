"""What is done to bytes between the serializer and the store: compressed, then signed. Neither looks into them."""

from __future__ import annotations

import hmac
import zlib
from typing import TYPE_CHECKING, Protocol

from ..exceptions import DecodeError, SerializerMismatch
from .codec import COMPRESSED, MAX_BYTES, SIGNED

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGEST = "sha256"
_DIGEST_AT = len(SIGNED)
_DATA_AT = _DIGEST_AT + 32


class Seal(Protocol):
    """One step; `what` says what the bytes are, and `task_id` of which task."""

    def close(self, data: bytes, what: str, task_id: str) -> bytes: ...

    def open(self, data: bytes, what: str, task_id: str) -> bytes:
        """The bytes that ``close`` was given.

        Raises:
            DecodeError: these are not what it made of any.
        """


class Signature:
    """HMAC-SHA256: the first of `keys` signs, each of them verifies.

    It covers what the bytes are, the name of the application and the id of the task, so that nobody can pass a result
    off as a message, or as the result of another task.
    """

    def __init__(self, keys: Sequence[bytes], application: str) -> None:
        self._keys = tuple(keys)
        self._application = application

    def close(self, data: bytes, what: str, task_id: str) -> bytes:
        return SIGNED + self._digest(self._keys[0], data, what, task_id) + data

    def open(self, data: bytes, what: str, task_id: str) -> bytes:
        if not data.startswith(SIGNED):
            raise SerializerMismatch("the data is not signed, and the serializer here reads only what is")
        digest, signed = data[_DIGEST_AT:_DATA_AT], data[_DATA_AT:]
        if any(hmac.compare_digest(digest, self._digest(key, signed, what, task_id)) for key in self._keys):
            return signed
        raise SerializerMismatch(
            "the signature fits no key here: the data was signed with another one, as something else than the "
            f"{what} of this task, or changed since"
        )

    def _digest(self, key: bytes, data: bytes, what: str, task_id: str) -> bytes:
        # The length keeps an id apart from what follows, whatever characters a stranger put into it.
        context = f"{what} {self._application} {len(task_id)} {task_id} "
        return hmac.digest(key, context.encode("utf-8", "surrogatepass") + data, _DIGEST)


class Compression:
    """zlib, for data of `threshold` bytes or more. What was never compressed is read too."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold

    def close(self, data: bytes, what: str, task_id: str) -> bytes:
        # Data that happens to begin like this must not be taken for compressed later on.
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
