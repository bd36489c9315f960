from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aqueue.storage.sqlite.store import SqliteStorage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from aqueue.core.clock import Clock

    Opened = Callable[..., AbstractAsyncContextManager[SqliteStorage]]


@pytest.fixture
def path() -> Iterator[Path]:
    """A file that is not there yet, alone in a directory, and near enough to the root for sockets to fit beside it."""
    with tempfile.TemporaryDirectory(prefix="aq") as directory:
        yield Path(directory).resolve() / "q.db"


@pytest.fixture
def opened(path: Path) -> Opened:
    """Makes open storages on `path`, each as if in a process of its own."""

    @asynccontextmanager
    async def make(namespace: str = "test", clock: Clock | None = None) -> AsyncIterator[SqliteStorage]:
        storage = SqliteStorage(f"sqlite:///{path}", namespace, clock)
        await storage.open()
        try:
            yield storage
        finally:
            await storage.close()

    return make


@pytest.fixture
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is woken at once or, as far as a test is concerned, never."""
    monkeypatch.setattr("aqueue.storage.sqlite.thread.FILE_LOOK_SECONDS", 3600)
