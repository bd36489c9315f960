from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from aqueue import Huey, MemoryHuey, RedisHuey, SqliteHuey
from aqueue.core.ids import new_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

# The same examples on every machine, however slow it is.
settings.register_profile("aqueue", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aqueue")


@pytest.fixture(params=["memory", "sqlite", "redis"])
def huey_on_any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Huey]:
    """An application on each kind of store, with nothing in it."""
    if request.param == "memory":
        huey: Huey = MemoryHuey("shop")
    elif request.param == "sqlite":
        huey = SqliteHuey("shop", filename=tmp_path / "shop.db")
    else:
        huey = RedisHuey(f"test-{new_token()}", url=request.getfixturevalue("redis_url"))
    yield huey
    huey.sync.close()


@pytest.fixture
async def huey() -> AsyncIterator[Huey]:
    """An open application in memory."""
    async with MemoryHuey("shop") as huey:
        yield huey
