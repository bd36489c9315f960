"""One thread, many callers: what one of them does is no concern of the others."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from aqueue.core.message import Envelope
from aqueue.exceptions import QueueUnavailable
from aqueue.storage.sqlite.queries import QUERIES
from aqueue.storage.sqlite.store import SqliteStorage
from aqueue.testing.conformance.harness import keeper_of, pull

from .facts import soon, until

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue.storage.sqlite.connection import Transaction

    from .conftest import Opened

# No 64-bit integer, which is found out inside the transaction.
_UNBINDABLE = 2**70


async def test_a_call_that_fails_spoils_no_other(opened: Opened) -> None:
    async with opened() as storage:
        batches = [
            [Envelope(f"t{number}", b"", priority=_UNBINDABLE if number % 10 == 3 else 0)] for number in range(40)
        ]
        replies = await asyncio.gather(*map(storage.push, batches), return_exceptions=True)
        failed = [number for number, reply in enumerate(replies) if isinstance(reply, OverflowError)]
        assert failed == [3, 13, 23, 33]
        assert [reply for reply in replies if not isinstance(reply, OverflowError)] == [[True]] * 36
        assert len(await pull(storage, 100)) == 36


async def test_a_call_that_was_done_before_the_file_was_locked_says_so(opened: Opened) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def occupy(transaction: Transaction) -> None:
        begun.set()
        may_end.wait(20)

    def write(transaction: Transaction) -> str:
        return "done"

    def fail(transaction: Transaction) -> None:
        raise ValueError("bad")

    def find_it_locked(transaction: Transaction) -> None:
        raise QueueUnavailable("locked")

    async with opened() as storage:
        writer = storage._writer()
        first = writer.submit(occupy)
        await until(begun.is_set)
        # These are done together, which fails, and then one by one.
        calls = [writer.submit(step) for step in (write, fail, write, find_it_locked)]
        may_end.set()
        await first
        done, failed, also_done, locked = await asyncio.gather(*calls, return_exceptions=True)
    assert (done, also_done) == ("done", "done")
    assert isinstance(failed, ValueError)
    assert isinstance(locked, QueueUnavailable)


async def test_a_call_that_fails_keeps_nothing(opened: Opened) -> None:
    async with opened() as storage:
        with pytest.raises(OverflowError):
            await storage.push([Envelope("good", b""), Envelope("bad", b"", priority=_UNBINDABLE)])
        assert await storage.records(["good"]) == [None]


async def test_calls_that_take_long_let_other_processes_write_in_between(opened: Opened) -> None:
    def take_long(transaction: Transaction) -> None:
        transaction.execute(QUERIES["next_number"]).fetchall()
        time.sleep(0.2)

    async with opened() as storage, opened() as other:
        long = [storage._writer().submit(take_long) for _ in range(10)]
        await asyncio.wait(long, return_when=asyncio.FIRST_COMPLETED)
        assert await other.push([Envelope("short", b"")]) == [True]
        assert not long[-1].done()
        await asyncio.wait(long)


async def test_concurrent_calls_share_a_commit(path: Path, opened: Opened) -> None:
    log = path.with_name("q.db-wal")
    async with opened() as storage:
        before = log.stat().st_size
        for number in range(100):
            await storage.push([Envelope(f"alone-{number}", b"")])
        alone = log.stat().st_size - before
        await asyncio.gather(*(storage.push([Envelope(f"together-{number}", b"")]) for number in range(100)))
        together = log.stat().st_size - before - alone
    assert together * 4 < alone


async def test_a_cancelled_caller_disturbs_nobody(path: Path, opened: Opened) -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    async with opened() as storage:
        with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            under_way = [asyncio.create_task(storage.push([Envelope(f"a{number}", b"")])) for number in range(3)]
            await until(storage._session().writer._asked.empty)
            in_line = [asyncio.create_task(storage.push([Envelope(f"b{number}", b"")])) for number in range(3)]
            await asyncio.sleep(0)
            for calls in (under_way, in_line):
                calls[1].cancel()
                await asyncio.wait(calls[1:2])
            blocker.execute("ROLLBACK")
            others = [under_way[0], under_way[2], in_line[0], in_line[2]]
            assert await soon(asyncio.gather(*others)) == [[True]] * 4
        assert None not in await storage.records(["a0", "a2", "b0", "b2"])
    assert errors == []


async def test_a_large_batch_is_cut_into_transactions(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aqueue.storage.sqlite.store._LARGEST_TRANSACTION", 7)
    async with opened() as storage:
        envelopes = [Envelope(f"t{number}", b"") for number in range(50)]
        assert await storage.push(envelopes) == [True] * 50
        assert await storage.push(envelopes) == [False] * 50
        assert None not in await storage.records([envelope.id for envelope in envelopes])


async def test_a_closed_storage_is_unavailable(opened: Opened) -> None:
    async with opened() as storage:
        pass
    with pytest.raises(QueueUnavailable, match="not open"):
        await storage.push([Envelope("task", b"")])
    with pytest.raises(QueueUnavailable, match="not open"):
        await storage.listen("me", print)
    await storage.close()


async def test_calls_in_flight_end_when_the_storage_is_closed(opened: Opened) -> None:
    async with opened() as storage:
        calls = [asyncio.create_task(storage.push([Envelope(f"t{number}", b"")])) for number in range(50)]
        await asyncio.sleep(0)
    async with asyncio.timeout(15):
        assert await asyncio.gather(*calls) == [[True]] * 50


def _threads() -> int:
    return sum(thread.name == "aqueue-sqlite" for thread in threading.enumerate())


def _wait_for_threads(count: int) -> None:
    for _ in range(1500):
        if _threads() == count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{_threads()} threads are left, not {count}")


def test_a_thread_ends_with_its_storage(path: Path) -> None:
    before = _threads()

    async def use(*, close: bool) -> None:
        storage = SqliteStorage(f"sqlite:///{path}", "test")
        await storage.open()
        assert _threads() == before + 1
        if close:
            await storage.close()

    asyncio.run(use(close=True))
    _wait_for_threads(before)
    asyncio.run(use(close=False))
    gc.collect()
    _wait_for_threads(before)


async def test_a_storage_that_failed_to_open_can_be_opened_later(tmp_path: Path) -> None:
    before = _threads()
    storage = SqliteStorage(f"sqlite:///{tmp_path}/folder/q.db", "test")
    for _ in range(2):
        with pytest.raises(Exception, match="does not exist"):
            await storage.open()
    await asyncio.to_thread(_wait_for_threads, before)
    (tmp_path / "folder").mkdir()
    await storage.open()
    try:
        assert await storage.push([Envelope("task", b"")]) == [True]
    finally:
        await storage.close()


async def test_a_lease_keeper_goes_on_after_its_storage_was_closed(opened: Opened) -> None:
    """A worker closes its storage in one thread while its heart beats in another."""
    async with opened() as storage:
        keeper = keeper_of(storage)
        with closing(keeper):
            keeper.renew([], b"before")
            await storage.close()
            keeper.renew([], b"after")
        await storage.open()
        [worker] = await storage.workers()
        assert worker.description == b"after"
