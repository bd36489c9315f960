from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aqueue import Huey

from .app import declare
from .proxy import FaultProxy
from .rig import Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=["redis", "sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that several processes can share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("redis_url")
    return url


@pytest.fixture
async def rig(store_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """An application of its own on the store."""
    rig = Rig(store_url, tmp_path)
    yield rig
    await rig.close()


@pytest.fixture
async def proxy(redis_url: str, rig: Rig) -> AsyncIterator[FaultProxy]:
    """The line to the server, with faults."""
    proxy = FaultProxy(redis_url)
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.fixture
async def producer(rig: Rig, proxy: FaultProxy) -> AsyncIterator[Huey]:
    """The application again, connected through the proxy."""
    async with declare(Huey(rig.name, proxy.url), rig.ledger) as producer:
        yield producer
