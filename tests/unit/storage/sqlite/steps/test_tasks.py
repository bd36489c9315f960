"""Verdicts leave the file when they have expired."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.testing import ManualClock
from aqueue.testing.conformance.harness import pull

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Opened


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
        await storage.open_intake("one", ["default"], 1000).reclaim(9)
        assert _rows(path) == 0


def _rows(path: Path) -> int:
    """The number of tasks in the file; one client watches each of them."""
    with closing(sqlite3.connect(path)) as connection:
        [(tasks, watches)] = connection.execute("SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM watch)")
    assert tasks == watches
    return int(tasks)
