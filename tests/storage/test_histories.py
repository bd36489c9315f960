"""The adversary at length: in memory its histories take no time."""

from __future__ import annotations

import pytest

from aqueue.testing.conformance import simulate

from .conftest import MemoryHarness


@pytest.mark.parametrize("seed", range(100, 160))
async def test_no_history_breaks_a_promise(seed: int) -> None:
    await simulate(MemoryHarness(), seed)
