"""What time does to tasks, by a clock that the test sets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.storage.sqlite.steps import events
from aqueue.testing import ManualClock
from aqueue.testing.conformance.harness import adopt, keeper_of, pull

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue.storage.sqlite.store import SqliteStorage

    from .conftest import Opened

_LEASE_MS = 10_000
_LEASE = 10.0


class _SettableClock(ManualClock):
    """A clock that somebody sets back, too."""

    def set_back(self, seconds: float) -> None:
        self._start_ms -= round(seconds * 1000)


async def _lend(storage: SqliteStorage, task_id: str) -> None:
    await storage.push([Envelope(task_id, b"")])
    [_] = await storage.open_intake("vanished", ["default"], _LEASE_MS).pull(1, 0)


async def _reclaim(storage: SqliteStorage) -> list[str]:
    intake = storage.open_intake("survivor", ["default"], _LEASE_MS)
    return [delivery.id for delivery in await intake.reclaim(9)]


async def test_a_lease_is_taken_once_it_has_run_out(opened: Opened) -> None:
    clock = ManualClock()
    async with opened(clock=clock) as storage:
        assert await _reclaim(storage) == []
        clock.advance(_LEASE)
        assert await _reclaim(storage) == []
        await _lend(storage, "task")
        for _ in range(3):
            clock.advance(_LEASE / 4)
            assert await _reclaim(storage) == []
        clock.advance(_LEASE / 4)
        assert await _reclaim(storage) == ["task"]


async def test_owners_may_speak_up_after_everyone_was_asleep(opened: Opened) -> None:
    clock = ManualClock()
    async with opened(clock=clock) as storage:
        await _reclaim(storage)
        clock.advance(_LEASE)
        assert await _reclaim(storage) == []
        await _lend(storage, "task")
        clock.advance(3600)
        assert await _reclaim(storage) == []
        clock.advance(_LEASE - 0.001)
        assert await _reclaim(storage) == []
        clock.advance(0.001)
        assert await _reclaim(storage) == ["task"]


async def test_a_clock_that_is_set_back_neither_takes_nor_keeps_leases(opened: Opened) -> None:
    clock = _SettableClock()
    async with opened(clock=clock) as storage:
        await _reclaim(storage)
        clock.advance(_LEASE)
        await _reclaim(storage)
        await _lend(storage, "task")
        clock.set_back(3600)
        for _ in range(4):
            assert await _reclaim(storage) == []
            clock.advance(_LEASE / 4)
        assert await _reclaim(storage) == ["task"]


async def test_a_worker_from_the_future_was_seen_just_now(opened: Opened) -> None:
    clock = _SettableClock()
    async with opened(clock=clock) as storage:
        with closing(keeper_of(storage)) as keeper:
            keeper.renew([], b"")
        clock.set_back(3600)
        [worker] = await storage.workers()
        assert worker.seen_ms == 0


async def test_expired_results_leave_the_file_as_fast_as_new_ones_come(path: Path, opened: Opened) -> None:
    clock = ManualClock()
    async with opened(clock=clock) as storage:

        async def finish(count: int, round_: int) -> None:
            ids = [f"{round_}-{number}" for number in range(count)]
            await storage.push([Envelope(task_id, b"") for task_id in ids])
            await storage.records(ids, "watcher")
            settlements = [
                Settlement(delivery.receipt, delivery.id, State.DONE, b"r", 1000)
                for delivery in await pull(storage, count)
            ]
            assert await storage.settle(settlements) == [True] * count

        await finish(100, 0)
        clock.advance(3600)
        assert await storage.records(["0-0"]) == [None]
        assert _rows(path) == 100
        await finish(10, 1)
        assert _rows(path) == 90, "ten came, and twice as many left"
        await storage.promote(10)
        assert _rows(path) == 10
        clock.advance(3600)
        await _reclaim(storage)
        assert _rows(path) == 0


async def test_a_result_is_told_even_when_it_expires_at_once(opened: Opened) -> None:
    clock = ManualClock()
    async with opened(clock=clock) as storage:
        await _lend(storage, "task")
        seen = await storage._writer().look(events.latest)
        [delivery] = await adopt(storage, [], consumer="vanished")
        await storage.settle([Settlement(delivery.receipt, "task", State.DONE, b"r", 1, "client")])
        clock.advance(30)
        await storage.promote(1)
        assert await storage.records(["task"]) == [None]
        news = await storage._writer().look(events.since, "client", seen.last)
        assert [event.id for event in news.events] == ["task"]


def _rows(path: Path) -> int:
    """How many tasks the file keeps; for each of them one client watches."""
    with closing(sqlite3.connect(path)) as connection:
        [(tasks, watches)] = connection.execute("SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM watch)")
    assert tasks == watches
    return int(tasks)
