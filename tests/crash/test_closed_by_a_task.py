"""A task that closes the application, whose line its own worker needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .rig import Rig


@pytest.mark.parametrize("how", ["a block", "a call"])
async def test_a_task_that_closes_the_application_does_not_silence_its_worker(rig: Rig, how: str) -> None:
    worker = rig.start_worker()
    assert await (await rig.enqueue("leave", how)).get(timeout=20) is None
    assert await (await rig.enqueue("quick", "well")).get(timeout=5) == "well"
    await rig.stop(worker)
    await rig.check_drained()
