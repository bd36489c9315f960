"""A connection to the file: how it is set up, who may read the file, and what happens when it is gone or locked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from aqueue.core.message import Envelope
from aqueue.exceptions import QueueUnavailable
from aqueue.storage.sqlite.connection import Link
from aqueue.storage.sqlite.location import Location
from aqueue.storage.sqlite.store import SqliteStorage
from aqueue.testing.conformance.harness import adopt, keeper_of, pull

from .facts import move_away

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Opened


@pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
def test_a_connection_is_set_up_for_several_processes(path: Path, synchronous: str, level: int) -> None:
    with closing(Link(Location(path, synchronous), "test", create=True)) as link:
        pragmas = {
            name: link._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "temp_store", "journal_size_limit", "mmap_size")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": level,
        "temp_store": 2,
        "journal_size_limit": 64 * 2**20,
        "mmap_size": 0,
    }


@pytest.mark.parametrize(("option", "promise"), [("", "survives a crash"), ("?synchronous=full", "on disk")])
async def test_a_storage_says_how_durable_it_is(path: Path, option: str, promise: str) -> None:
    description = await SqliteStorage(f"sqlite:///{path}{option}", "test").describe()
    assert (description.kind, description.location) == ("SQLite", str(path))
    assert description.version == f"SQLite {sqlite3.sqlite_version}"
    assert promise in description.durability


async def test_nobody_else_may_read_a_new_file(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"secret")])
        modes = {file.name: file.stat().st_mode & 0o007 for file in path.parent.glob("q.db*")}
    assert modes == {"q.db": 0, "q.db-shm": 0, "q.db-wal": 0}


async def test_one_file_is_left_when_everyone_has_closed(path: Path, opened: Opened) -> None:
    async with opened() as one, opened() as other:
        assert await pull(other, 1, wait_ms=1) == []
        await one.push([Envelope("task", b"")])
    assert list(path.parent.iterdir()) == [path]


async def test_namespaces_of_one_file_share_nothing(opened: Opened) -> None:
    async with opened("one") as one, opened("other") as other:
        assert await one.push([Envelope("task", b"1"), Envelope("later", b"", delay_ms=1)]) == [True, True]
        assert await other.records(["task", "later"]) == [None, None]
        assert await pull(other, 9) == []
        assert await other.depths() == []
        assert await other.promote(9) == (0, None)
        assert await other.push([Envelope("task", b"2")]) == [True]
        for storage in (one, other):
            assert await storage.shared.put("key", b"", "token", only_if_empty=True)
            assert (await storage.shared.acquire("lock", "holder", 1, 60_000)).fence
            assert [holder.name for holder in await storage.shared.holders()] == ["lock"]
        [delivery] = await pull(one, 9)
        assert delivery.payload == b"1"
        assert await adopt(other, []) == []
        assert not await other.report(delivery.receipt, "task", b"half", "")
        with closing(keeper_of(other)) as keeper:
            assert keeper.renew([delivery.receipt], b"").lost == [delivery.receipt]
        assert await one.workers() == []


async def test_a_file_that_was_removed_is_missed(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"")])
        move_away(path)
        for _ in range(2):
            with pytest.raises(QueueUnavailable, match=r"gone|opened"):
                await storage.push([Envelope("another", b"")])
            with pytest.raises(QueueUnavailable), closing(keeper_of(storage)) as keeper:
                keeper.renew([], b"")
        assert [*path.parent.glob("q.db*")] == []
        async with opened():
            assert await storage.push([Envelope("another", b"")]) == [True]


async def test_a_file_that_was_replaced_is_noticed(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"")])
        move_away(path)
        async with opened() as successor:
            with pytest.raises(QueueUnavailable, match="replaced"):
                await storage.records(["task"])
            assert await storage.records(["task"]) == [None]
            await storage.push([Envelope("new", b"")])
            assert [delivery.id for delivery in await pull(successor, 9)] == ["new"]


def _write_prose(path: Path) -> None:
    path.write_text("This is no database. " * 100)


async def test_a_file_that_became_something_else_is_unavailable(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        move_away(path)
        _write_prose(path)
        for _ in range(2):
            with pytest.raises(QueueUnavailable):
                await storage.records(["task"])


async def test_a_lock_that_is_held_too_long_makes_the_queue_unavailable(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.storage.sqlite.connection.LOCK_ATTEMPTS", 3)
    async with opened() as storage:
        with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            with pytest.raises(QueueUnavailable, match="locked"):
                await storage.push([Envelope("task", b"")])
            with pytest.raises(QueueUnavailable, match="locked"), closing(keeper_of(storage)) as keeper:
                keeper.renew([], b"")
            assert await storage.records(["task"]) == [None], "a look needs no lock"
        assert await storage.push([Envelope("task", b"")]) == [True]
