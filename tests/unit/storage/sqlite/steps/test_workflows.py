"""Following a verdict."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope, Node
from aqueue.storage.protocol import Record
from aqueue.testing.conformance.harness import pull_one

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Opened


async def test_a_node_whose_task_is_gone_does_not_hold_up_the_verdict_before_it(path: Path, opened: Opened) -> None:
    """A flush takes several steps: it may have dropped the task, and not yet what the task waited for."""
    async with opened() as storage:
        first = Node(Envelope("first", b""))
        ready, cancelled = Node(Envelope("ready", b""), ("first",)), Node(Envelope("cancelled", b""), ("failed",))
        await storage.push_workflow([first, ready])
        await storage.push_workflow([Node(Envelope("failed", b"", "other")), cancelled])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM task WHERE id IN ('ready', 'cancelled')")
        done, failed = await pull_one(storage), await pull_one(storage, queues=["other"])
        settlements = [
            Settlement(done.receipt, "first", State.DONE, b"1", 60_000, linked=True),
            Settlement(failed.receipt, "failed", State.FAILED, b"2", 60_000, linked=True),
        ]
        assert await storage.settle(settlements) == [True, True]
        assert await storage.records(["first", "failed"]) == [Record(State.DONE, b"1"), Record(State.FAILED, b"2")]
        assert [step.findings async for step in storage.admin.examine()] == [[], []]
