"""A disk that fills up: new tasks are refused in time, so that those which are there can be finished."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.exceptions import QueueFull
from aqueue.storage.protocol import Record
from aqueue.testing.conformance.harness import keeper_of, pull

if TYPE_CHECKING:
    from ..conftest import Opened


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


async def test_a_disk_without_room_for_new_tasks_finishes_the_old_ones(
    opened: Opened, request: pytest.FixtureRequest
) -> None:
    async with opened() as storage:
        await storage.push([Envelope("a", b""), Envelope("b", b""), Envelope("later", b"", delay_ms=1)])
        request.getfixturevalue("full_disk")
        with pytest.raises(QueueFull, match="MiB left"):
            await storage.push([Envelope("new", b"")])
        with pytest.raises(QueueFull, match="MiB left"):
            await storage.advance("hourly", b"", b"state", [Envelope("new", b"")])
        assert await storage.schedules() == {}
        assert await storage.records(["new"]) == [None]
        a, b = await pull(storage, 2)
        assert await storage.report(a.receipt, "a", b"half", "")
        with closing(keeper_of(storage)) as keeper:
            assert keeper.renew([a.receipt, b.receipt], b"").lost == []
        done = Settlement(a.receipt, "a", State.DONE, b"r", 60_000)
        retry = Settlement(b.receipt, "b", State.RETRYING, failures=1)
        assert await storage.settle([done, retry]) == [True, True]
        assert await storage.records(["a"]) == [Record(State.DONE, b"r", b"half")]


async def test_room_inside_the_file_is_room(opened: Opened, request: pytest.FixtureRequest) -> None:
    """The file does not shrink; what finished tasks leave behind in it is used again."""
    async with opened() as storage:
        await storage.push([Envelope("large", bytes(17 * 2**20))])
        request.getfixturevalue("full_disk")
        with pytest.raises(QueueFull):
            await storage.push([Envelope("new", b"")])
        [delivery] = await pull(storage, 1)
        await storage.settle([Settlement(delivery.receipt, "large", State.DONE, b"", 60_000)])
        assert await storage.push([Envelope("new", b"")]) == [True]
