"""The protocol between a worker and its child process. Each message is a pickle of plain values after its length.

The child answers a ``Request`` with ``Begun``, any number of ``Progressed``, and one ``Returned`` or ``Raised``. The
worker answers each ``Progressed`` with a bool. If the body cannot begin, the child answers only with ``Raised``.
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

# Only the worker acts on these. A child starts with them blocked.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Request(NamedTuple):
    """Run the task at `target`. The arguments are the bytes that the store delivered."""

    target: Target
    delivery: Delivery


class Begun(NamedTuple):
    """The body is about to start, and its timeout begins."""


class Progressed(NamedTuple):
    """The body reports its progress: how much is done, out of how much, and a message."""

    progress: list[Any]


class Returned(NamedTuple):
    """The body returned; `value` is the value, encoded by the application's codec."""

    value: bytes


class Raised(NamedTuple):
    """The body raised an exception.

    `description` has its class name, text and traceback. `lineage` has the module and name of each class in its method
    resolution order. `pickled` is a pickle of it, empty if it cannot be pickled. `final` says that a retry cannot help.
    """

    description: tuple[str, str, str]
    lineage: list[tuple[str, str]]
    pickled: bytes
    final: bool


Answer: TypeAlias = Begun | Progressed | Returned | Raised


def pack(message: Any) -> bytes:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(data)) + data


def unpack(data: bytes | bytearray) -> Any:
    """The message after a header."""
    return pickle.loads(data)  # noqa: S301 - written by our own child or worker
