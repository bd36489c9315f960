"""The layout of a file: what it says about itself, and which processes may use it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from aqueue import __version__
from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.exceptions import ConfigurationError
from aqueue.storage.sqlite.layout import LAYOUT, OLDEST_READER, lay_out
from aqueue.storage.sqlite.store import SqliteStorage
from aqueue.testing.conformance.harness import keeper_of, pull

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Opened


def _change(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def _note(path: Path) -> tuple[int, int, str]:
    with closing(sqlite3.connect(path)) as connection:
        [note] = connection.execute("SELECT layout, oldest_reader, written_by FROM layout")
    return note


def _contents(path: Path) -> bytes:
    return path.read_bytes()


async def test_a_new_file_says_which_layout_it_has_and_which_version_made_it(path: Path, opened: Opened) -> None:
    async with opened():
        assert _note(path) == (LAYOUT, OLDEST_READER, __version__)


@pytest.mark.parametrize("table", ["fact", "schedule", "revocation", "cancellation", "dead_letter", "pause"])
async def test_a_file_of_an_earlier_layout_gets_what_it_lacks_and_keeps_its_tasks(
    path: Path, opened: Opened, table: str
) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"payload")])
    _change(path, f"DROP TABLE {table}; UPDATE layout SET layout = 0, oldest_reader = 0, written_by = '0.0'")
    async with opened() as storage:
        assert _note(path) == (LAYOUT, OLDEST_READER, __version__)
        [delivery] = await pull(storage, 1)
        assert delivery.payload == b"payload"
        await storage.revoke("another", 0, False, 0)
        assert await storage.shared.put("key", b"value", "token")
        assert await storage.advance("hourly", b"", b"state", [])
        buried = Settlement(delivery.receipt, "task", State.FAILED, b"", 60_000, dead_ttl_ms=60_000)
        assert await storage.settle([buried]) == [True]
        assert await storage.admin.pause("default")


async def test_a_later_layout_that_this_version_may_use_locks_no_process_out(path: Path, opened: Opened) -> None:
    """A worker that runs while another version raises the layout goes on, and so does one that starts afterwards."""
    async with opened() as running:
        await running.push([Envelope("one", b""), Envelope("two", b"")])
        [first] = await pull(running, 1)
        _change(path, f"UPDATE layout SET layout = 99, oldest_reader = {LAYOUT}, written_by = '9.9'")
        with closing(keeper_of(running)) as keeper:
            assert keeper.renew([first.receipt], b"").lost == []
        async with opened() as started:
            assert [delivery.id for delivery in await pull(started, 9, consumer="two")] == ["two"]
        assert await running.settle([Settlement(first.receipt, "one", State.DONE, b"", 60_000)]) == [True]
    assert _note(path) == (99, LAYOUT, "9.9"), "a process leaves the note about a layout that it does not know as it is"


async def test_a_layout_that_needs_a_newer_version_is_refused_in_one_line(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"payload")])
    _change(path, "UPDATE layout SET layout = 99, oldest_reader = 98, written_by = '9.9'")
    before = _contents(path)
    with pytest.raises(ConfigurationError) as caught:
        await SqliteStorage(f"sqlite:///{path}", "test").open()
    said = str(caught.value)
    assert said.startswith(f"{path} has layout 99, written by aqueue 9.9, which needs")
    assert f"knows layout 98 or newer; this is aqueue {__version__}, which knows layout {LAYOUT}: upgrade" in said
    assert "\n" not in said
    assert _contents(path) == before


@pytest.mark.parametrize("damage", ["DROP TABLE layout", "DELETE FROM layout"])
async def test_a_file_that_does_not_say_its_layout_is_refused(path: Path, opened: Opened, damage: str) -> None:
    async with opened():
        pass
    _change(path, damage)
    with pytest.raises(ConfigurationError, match="does not say which layout it has"):
        await SqliteStorage(f"sqlite:///{path}", "test").open()


async def test_of_two_versions_at_one_new_file_the_later_layout_stays(path: Path, opened: Opened) -> None:
    """The other process made the tables after this one had found the file empty."""
    async with opened():
        pass
    _change(path, "UPDATE layout SET layout = 99, written_by = '9.9'")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        lay_out(connection)
    assert _note(path) == (99, OLDEST_READER, "9.9")
