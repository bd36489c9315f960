"""What time does to tasks, by a clock that the test sets."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from aqueue.core.message import Envelope
from aqueue.testing import ManualClock
from aqueue.testing.conformance.harness import keeper_of

if TYPE_CHECKING:
    from aqueue.storage.sqlite.store import SqliteStorage

    from ..conftest import Opened

_LEASE_MS = 10_000
_LEASE = 10.0


class _SettableClock(ManualClock):
    """A clock that can be set back, too."""

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


async def test_owners_have_time_to_renew_after_every_process_was_asleep(opened: Opened) -> None:
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
