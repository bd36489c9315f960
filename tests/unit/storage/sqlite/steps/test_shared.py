"""What is shared beside the tasks leaves nothing behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from aqueue.testing import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Opened


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
        kinds = {kind for (kind,) in connection.execute("SELECT kind FROM fact")}
        [(count,)] = connection.execute("SELECT count(*) FROM fact")
    assert (kinds, count) == ({"value", "answer"}, 11)
