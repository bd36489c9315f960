from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from aqueue.core.ids import new_token
from aqueue.storage.memory.store import MemoryStorage
from aqueue.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aqueue.storage.protocol import Storage
    from aqueue.testing.conformance import Harness

    from ..servers import Server


class MemoryHarness:
    """Time passes when the test says so. `kind` is the class to test: the mutants come here too."""

    def __init__(self, kind: type[MemoryStorage] = MemoryStorage) -> None:
        self._kind = kind
        self._clock = ManualClock()

    def make(self) -> MemoryStorage:
        return self._kind("test", self._clock)

    def now_ms(self) -> int:
        return self._clock.now_ms()

    async def advance(self, ms: int) -> None:
        await self._let_others_run()
        self._clock.advance(ms / 1000)
        await self._let_others_run()

    async def _let_others_run(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


class _RealTime:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def advance(self, ms: int) -> None:
        await asyncio.sleep(ms / 1000)


class SqliteHarness(_RealTime):
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names: dict[Storage, str] = {}

    def make(self) -> Storage:
        return self._at(new_token())

    def join(self, storage: Storage) -> Storage:
        return self._at(self._names[storage])

    def _at(self, name: str) -> Storage:
        from aqueue.storage.sqlite.store import SqliteStorage

        storage = SqliteStorage(f"sqlite:///{self._directory / name}.db", "test")
        self._names[storage] = name
        return storage


class RedisHarness(_RealTime):
    def __init__(self, url: str) -> None:
        self._url = url
        self._namespaces: dict[Storage, str] = {}

    def make(self) -> Storage:
        return self._at(f"test-{new_token()}")

    def join(self, storage: Storage) -> Storage:
        return self._at(self._namespaces[storage])

    def _at(self, namespace: str) -> Storage:
        from aqueue.storage.redis.store import RedisStorage

        storage = RedisStorage(self._url, namespace)
        self._namespaces[storage] = namespace
        return storage


@pytest.fixture
def harness(request: pytest.FixtureRequest, tmp_path: Path, shared_server: Callable[[str], Server]) -> Harness:
    """A harness for the storage that the test's parameter names: "memory", "sqlite" or one of ``servers.SERVERS``."""
    if request.param == "memory":
        return MemoryHarness()
    if request.param == "sqlite":
        return SqliteHarness(tmp_path)
    return RedisHarness(shared_server(request.param).url)
