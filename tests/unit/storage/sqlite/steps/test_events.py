"""A client hears what happened, however late it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.core.lifecycle import Settlement, State
from aqueue.storage.sqlite.steps import events
from aqueue.testing import ManualClock
from aqueue.testing.conformance.harness import lend

if TYPE_CHECKING:
    from ..conftest import Opened


async def test_a_result_is_told_even_when_it_expires_at_once(opened: Opened) -> None:
    clock = ManualClock()
    async with opened(clock=clock) as storage:
        seen = await storage._writer().look(events.latest)
        delivery = await lend(storage, "task")
        await storage.settle([Settlement(delivery.receipt, "task", State.DONE, b"r", 1, "client")])
        clock.advance(30)
        await storage.promote(1)
        assert await storage.records(["task"]) == [None]
        news = await storage._writer().look(events.since, "client", seen.last)
        assert [event.id for event in news.events] == ["task"]
