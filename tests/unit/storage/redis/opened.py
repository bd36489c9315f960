"""A store that is open during a block."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aqueue.storage.redis.store import RedisStorage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def opened(url: str, namespace: str = "test") -> AsyncIterator[RedisStorage]:
    storage = RedisStorage(url, namespace)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()
