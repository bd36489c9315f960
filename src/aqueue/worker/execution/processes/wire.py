"""The messages between a worker and its child process: each is a pickle of plain values behind its length.

A ``Request`` is answered with ``Begun``, any number of ``Progressed``, each of which gets a bool in return, and one
``Returned`` or ``Raised``. If the body could not begin, ``Raised`` is the only answer.
"""

from __future__ import annotations

import pickle
import signal
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ....core.message import Delivery
    from .target import Target

HEADER = Struct("!Q")

# They are for the worker. A child starts with them blocked.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Request(NamedTuple):
    """Run the task at `target`. The arguments stay the bytes that the store delivered."""

    target: Target
    delivery: Delivery


class Begun(NamedTuple):
    """The body starts now, and so does its time."""


class Progressed(NamedTuple):
    """The body reports progress: how much is done, of how much, and a message."""

    progress: list[Any]


class Returned(NamedTuple):
    """The body returned; `value` is the result, encoded by the codec of the application."""

    value: bytes


class Raised(NamedTuple):
    """The body raised: class name, text and traceback, the module and name of each class that its class descends from,
    and a pickle of the exception, empty where there can be none. `final` where a retry cannot help."""

    description: tuple[str, str, str]
    lineage: list[tuple[str, str]]
    pickled: bytes
    final: bool


Answer: TypeAlias = Begun | Progressed | Returned | Raised


def pack(message: Any) -> bytes:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(data)) + data


def unpack(data: bytes | bytearray) -> Any:
    """The message behind a header."""
    return pickle.loads(data)  # noqa: S301 - written by our own child or worker
