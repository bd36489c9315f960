"""What plain functions do in their threads, and what reaches the event loops of others from there."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from aqueue import MemoryHuey
from aqueue.core.ids import new_token

if TYPE_CHECKING:
    from .rig import Rig


async def test_plain_functions_report_their_progress_from_their_threads(rig: Rig) -> None:
    worker = rig.start_worker()
    # Several, and others beside them, so that the connection of the worker is in use when they come to it.
    climbing = [await rig.enqueue("climb", 20) for _ in range(4)]
    beside = await rig.enqueue_many(200, "quick", "well")
    async with asyncio.timeout(10):
        steps = [step.done async for step in climbing[0].progress()]
        assert steps[-1] == 20
        assert await rig.values(climbing) == [[True] * 20] * 4
        assert await rig.values(beside) == ["well"] * 200
    await rig.stop(worker)
    await rig.check_drained()


async def test_an_idle_worker_starts_at_once_what_another_thread_enqueues_in_memory() -> None:
    huey = MemoryHuey(f"crash-{new_token()}")

    @huey.task
    async def add(a: int, b: int) -> int:
        return a + b

    def seconds_for(number: int) -> float:
        began = time.monotonic()
        assert huey.sync.enqueue(add.s(number, 1)).get(timeout=10) == number + 1
        return time.monotonic() - began

    worker = huey.create_worker()
    async with huey:
        running = asyncio.create_task(worker.run())
        await worker.ready.wait()
        # The first call starts the thread of `huey.sync`.
        await asyncio.to_thread(seconds_for, 0)
        seconds = [await asyncio.to_thread(seconds_for, number) for number in range(5)]
        await worker.stop()
        await running
    huey.sync.close()
    assert statistics.median(seconds) < 0.2
