"""The file: what it is set to, who may read it, and what happens when it is not there or not free."""

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
from aqueue.testing import ManualClock
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


async def test_a_file_of_an_earlier_version_is_completed_and_keeps_its_tasks(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"payload")])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE cell; PRAGMA user_version = 1")
    async with opened() as storage:
        assert await storage.shared.put("key", b"value", "token")
        assert await storage.shared.get("key") == b"value"
        assert [delivery.payload for delivery in await pull(storage, 9)] == [b"payload"]


async def test_nothing_is_left_of_facts_that_have_lapsed(path: Path, opened: Opened) -> None:
    clock = ManualClock()
    async with opened(clock=clock) as storage:
        for number in range(150):
            await storage.shared.put(f"key {number}", b"", f"put {number}", ttl_ms=1)
            await storage.shared.acquire("lock", f"holder {number}", 1, 1)
            await storage.shared.spend("rate", f"call {number}", 1, 1, sliding=True)
            await storage.shared.release("lock", f"holder {number - 1}")
        clock.advance(100)
        for number in range(10):
            await storage.shared.put("kept", b"", f"last {number}")
    with closing(sqlite3.connect(path)) as connection:
        kinds = {kind for (kind,) in connection.execute("SELECT kind FROM cell")}
        [(count,)] = connection.execute("SELECT count(*) FROM cell")
    assert (kinds, count) == ({"value", "answer"}, 11)


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


async def test_a_file_of_an_earlier_version_gets_what_it_lacks(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"payload")])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE schedule; PRAGMA user_version = 1")
    async with opened() as storage:
        assert await storage.advance("hourly", b"", b"state", [])
        [delivery] = await pull(storage, 1)
        assert delivery.payload == b"payload"


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
    monkeypatch.setattr("aqueue.storage.sqlite.connection._LOCK_ATTEMPTS", 3)
    async with opened() as storage:
        with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            with pytest.raises(QueueUnavailable, match="locked"):
                await storage.push([Envelope("task", b"")])
            with pytest.raises(QueueUnavailable, match="locked"), closing(keeper_of(storage)) as keeper:
                keeper.renew([], b"")
            assert await storage.records(["task"]) == [None], "a look needs no lock"
        assert await storage.push([Envelope("task", b"")]) == [True]


async def test_a_file_of_an_older_version_gets_the_tables_that_it_lacks(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"payload")])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE mark; DROP TABLE cancellation; PRAGMA user_version = 1")
    async with opened() as storage:
        await storage.revoke("task", 0, False, 0)
        [delivery] = await pull(storage, 1)
        assert (delivery.payload, delivery.may_be_revoked) == (b"payload", True)
