"""How long a call is repeated."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aqueue.core.patience import MOST_BROKEN
from aqueue.storage.redis.connections import server
from aqueue.storage.redis.connections.server import Patience

if TYPE_CHECKING:
    import pytest


async def test_it_is_over_once_nothing_has_moved_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience()
    assert not patience.is_over(0.0)
    monkeypatch.setattr(server, "PATIENCE_SECONDS", 0.0)
    assert patience.is_over(0.0)


async def test_it_begins_again_when_bytes_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience()
    later = asyncio.get_running_loop().time() + 1000
    monkeypatch.setattr(server, "PATIENCE_SECONDS", 0.0)
    assert not patience.is_over(later)


async def test_bytes_that_move_and_never_arrive_do_not_prolong_it_for_ever() -> None:
    patience = Patience()
    now = asyncio.get_running_loop().time()
    assert [patience.is_over(now + moved) for moved in range(1, MOST_BROKEN + 2)] == [False] * MOST_BROKEN + [True]
