"""What reaches the event loop of a worker from the threads of its plain functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .rig import Rig


@pytest.mark.parametrize("how", ["a call", "a loop of its own"])
async def test_plain_functions_report_their_progress_from_their_threads(rig: Rig, how: str) -> None:
    worker = rig.start_worker()
    # Several, and others beside them, so that the connection of the worker is in use when they come to it.
    climbing = [await rig.enqueue("climb", how, 20) for _ in range(4)]
    beside = await rig.enqueue_many(200, "quick", "well")
    async with asyncio.timeout(20):
        steps = [step.done async for step in climbing[0].progress()]
        assert steps[-1] == 20
        assert await rig.values(climbing) == [[True] * 20] * 4
        assert await rig.values(beside) == ["well"] * 200
    await rig.stop(worker)
    await rig.check_drained()
