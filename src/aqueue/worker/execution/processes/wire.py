"""What a worker and its child process say to each other: a pickle of plain values behind its length.

A ``Request`` is answered with ``Begun``, any number of ``Progressed``, each of which gets a bool in return, and one
``Returned`` or ``Raised``. Where the body could not begin, ``Raised`` is all.
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
    """Run the task at `target`. The arguments travel on as the bytes that the store delivered."""

    target: Target
    delivery: Delivery


class Begun(NamedTuple):
    """All that precedes the body is done: its time begins."""


class Progressed(NamedTuple):
    """The body tells of its progress: how much is done, of what, and a message."""

    progress: list[Any]


class Returned(NamedTuple):
    """The body returned; `value` is what it returned, encoded as the application does."""

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
