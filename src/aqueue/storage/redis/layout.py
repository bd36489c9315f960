"""The layout of a namespace: the note about its keys that every version of aqueue reads first.

The note says which `layout` the keys have, the `oldest_reader`, which is the lowest layout that a process may know and
still use them, and the version of aqueue that wrote it. A process that finds a later layout which it may use leaves the
note as it is: what it does not know, it does not touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._version import __version__
from ...exceptions import ConfigurationError
from .keys import LAYOUT
from .scripts import LAY_OUT

if TYPE_CHECKING:
    from .connections.address import Address
    from .connections.server import Server
    from .keys import Keys

_FIELDS = ("layout", "oldest_reader", "written_by")


async def check(server: Server, address: Address, keys: Keys) -> None:
    """Read the note; write it if there is none, or if an older version with a lower layout wrote it.

    Raises:
        ConfigurationError: the namespace needs a process that knows a later layout, or the note is damaged.
    """
    note = await server.call("HMGET", keys.layout, *_FIELDS)
    if _layout_of(note) < LAYOUT:
        note = await server.run(LAY_OUT)
    layout, oldest_reader, written_by = ((value or b"").decode("utf-8", "replace") for value in note)
    if not (layout.isdecimal() and oldest_reader.isdecimal()):
        raise ConfigurationError(
            f"the key {keys.layout} on Redis at {address} does not say which layout the application "
            f"{keys.namespace!r} has: restore it, or use another name or database"
        )
    if int(oldest_reader) > LAYOUT:
        raise ConfigurationError(
            f"the application {keys.namespace!r} on Redis at {address} has layout {layout}, written by aqueue "
            f"{written_by}, which needs a version that knows layout {oldest_reader} or newer; this is aqueue "
            f"{__version__}, which knows layout {LAYOUT}: upgrade it, or use another name or database"
        )


def _layout_of(note: list[bytes | None]) -> float:
    """The layout that `note` states; 0 without a note, infinity for a damaged one, so that it is never overwritten."""
    if note == [None] * len(_FIELDS):
        return 0
    return int(note[0]) if note[0] and note[0].isdigit() else float("inf")
