"""The layout of a file: its tables, and the note about them that every version of aqueue reads first.

The note says which `layout` the tables have, the `oldest_reader`, which is the lowest layout that a process may know
and still use them, and the version of aqueue that wrote them. A process that finds a later layout which it may use
leaves the note as it is: what it does not know, it does not touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..._version import __version__
from ...exceptions import ConfigurationError
from .queries import SCHEMA

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

# The layout that schema.sql describes. A table or an index more raises the first number; what an older process cannot
# live with raises both.
LAYOUT = 1
OLDEST_READER = 1

_APPLICATION_ID = 0x61717565


class _Note(NamedTuple):
    layout: int
    oldest_reader: int
    written_by: str


def check(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file `path` has all the tables of this layout. Changes nothing.

    Raises:
        ConfigurationError: it belongs to another application, or needs a process that knows a later layout.
    """
    note = _read(connection, path)
    if note is not None and note.oldest_reader > LAYOUT:
        raise ConfigurationError(
            f"{path} has layout {note.layout}, written by aqueue {note.written_by}, which needs a version that knows "
            f"layout {note.oldest_reader} or newer; this is aqueue {__version__}, which knows layout {LAYOUT}: "
            "upgrade it, or name another file"
        )
    return note is not None and note.layout >= LAYOUT


def lay_out(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing, and note that. Another process may do so at the same moment."""
    connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA}; PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute("DELETE FROM layout WHERE layout < ?", (LAYOUT,))
    connection.execute(
        "INSERT INTO layout (layout, oldest_reader, written_by) SELECT ?, ?, ? WHERE NOT EXISTS (SELECT * FROM layout)",
        (LAYOUT, OLDEST_READER, __version__),
    )
    connection.execute("COMMIT")


def _read(connection: sqlite3.Connection, path: Path) -> _Note | None:
    """The note in the file; None when the file is empty."""
    # One snapshot, for another process may be making the tables at this very moment.
    connection.execute("BEGIN")
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema")
    [(application,)] = connection.execute("PRAGMA application_id")
    [(has_note,)] = connection.execute("SELECT EXISTS (SELECT * FROM sqlite_schema WHERE name = 'layout')")
    if application == _APPLICATION_ID and has_note:
        row = connection.execute("SELECT layout, oldest_reader, written_by FROM layout").fetchone()
    else:
        row = None
    connection.execute("COMMIT")
    if row is not None:
        return _Note(*row)
    if application == _APPLICATION_ID:
        raise ConfigurationError(f"{path} does not say which layout it has: restore it, or name another file")
    if application or tables:
        raise ConfigurationError(
            f"{path} is a SQLite database of another application: name a file of its own for the queue"
        )
    return None
