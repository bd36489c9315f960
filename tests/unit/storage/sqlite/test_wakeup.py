"""Those who wait are woken: at once by a byte, and if that does not arrive, soon."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.exceptions import QueueUnavailable
from aqueue.storage.protocol import Connected, Due, Progressed, Settled
from aqueue.storage.sqlite import wakeup
from aqueue.storage.sqlite.store import SqliteStorage
from aqueue.storage.sqlite.wakeup import PeerProcesses
from aqueue.testing.conformance.harness import pull

from .facts import move_away, sockets, soon, until

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue.storage.protocol import Event

    from .conftest import Opened


async def _pull_soon(storage: SqliteStorage) -> list[str]:
    return [delivery.id for delivery in await soon(pull(storage, 9, wait_ms=60_000))]


@pytest.mark.usefixtures("no_second_look")
async def test_one_process_wakes_itself_without_the_file_system(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "_socket_directory", lambda database: None)
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with opened() as storage:
        listener = asyncio.create_task(storage.listen("client", events.put_nowait))
        assert await soon(events.get()) == Connected()
        pulling = asyncio.create_task(pull(storage, 9, wait_ms=60_000))
        await asyncio.sleep(0)
        await storage.push([Envelope("task", b"")])
        [delivery] = await soon(pulling)
        await storage.report(delivery.receipt, "task", b"half", "client")
        assert await soon(events.get()) == Progressed("task", b"half")
        await storage.settle([Settlement(delivery.receipt, "task", State.DONE, b"r", 60_000, "client")])
        assert await soon(events.get()) == Settled("task", State.DONE, b"r")
        await storage.push([Envelope("later", b"", delay_ms=60_000)])
        assert isinstance(await soon(events.get()), Due)
        listener.cancel()


@pytest.mark.usefixtures("no_second_look")
async def test_a_waiting_pull_is_woken_by_a_byte(path: Path, opened: Opened) -> None:
    async with opened() as worker, opened() as client:
        for number in range(3):
            pulling = asyncio.create_task(_pull_soon(worker))
            await until(lambda: sockets(path))
            await client.push([Envelope(f"t{number}", b"")])
            assert await pulling == [f"t{number}"]


@pytest.mark.usefixtures("no_second_look")
async def test_a_listener_is_woken_by_a_byte(opened: Opened) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with opened() as client, opened() as worker:
        listener = asyncio.create_task(client.listen("client", events.put_nowait))
        assert await soon(events.get()) == Connected()
        await client.push([Envelope(f"t{number}", b"") for number in range(3)])
        for delivery in await pull(worker, 9):
            await worker.settle([Settlement(delivery.receipt, delivery.id, State.DONE, b"r", 60_000, "client")])
            assert await soon(events.get()) == Settled(delivery.id, State.DONE, b"r")
        await worker.push([Envelope("later", b"", delay_ms=60_000)])
        assert isinstance(await soon(events.get()), Due)
        listener.cancel()


@pytest.mark.usefixtures("no_second_look")
async def test_a_task_that_comes_just_before_its_waiter_can_hear_is_not_missed(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def push_elsewhere() -> None:
        async with opened() as client:
            await client.push([Envelope("task", b"")])

    listen_for = PeerProcesses.listen_for

    def listen_too_late(self: PeerProcesses, topic: str) -> bool:
        if not sockets(path):
            thread = threading.Thread(target=asyncio.run, args=(push_elsewhere(),))
            thread.start()
            thread.join()
        return listen_for(self, topic)

    async with opened() as worker:
        monkeypatch.setattr(PeerProcesses, "listen_for", listen_too_late)
        assert await _pull_soon(worker) == ["task"]


async def test_without_sockets_a_look_now_and_then_is_enough(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeup, "_socket_directory", lambda database: None)
    monkeypatch.setattr("aqueue.storage.sqlite.thread.FILE_LOOK_SECONDS", 0.02)
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with opened() as here, opened() as there:
        assert any("sockets" in warning for warning in (await here.describe()).warnings)
        listener = asyncio.create_task(here.listen("client", events.put_nowait))
        assert await soon(events.get()) == Connected()
        pulling = asyncio.create_task(pull(here, 9, wait_ms=60_000))
        await asyncio.sleep(0)
        await there.push([Envelope("task", b"")])
        [delivery] = await soon(pulling)
        await there.settle([Settlement(delivery.receipt, "task", State.DONE, b"r", 60_000, "client")])
        assert await soon(events.get()) == Settled("task", State.DONE, b"r")
        listener.cancel()


def _make(folder: Path) -> None:
    folder.mkdir()


@pytest.mark.usefixtures("no_second_look")
async def test_a_path_too_long_for_a_socket_is_no_obstacle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = path.parent
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(meeting))
    folder = meeting / ("long" * 30)
    _make(folder)
    url = f"sqlite:///{folder}/q.db"
    worker, client = SqliteStorage(url, "test"), SqliteStorage(url, "test")
    await worker.open()
    await client.open()
    try:
        pulling = asyncio.create_task(_pull_soon(worker))
        await until(lambda: [*meeting.glob("aqueue-*/*.sock")])
        [directory] = meeting.glob("aqueue-*")
        assert directory.stat().st_mode & 0o077 == 0
        await client.push([Envelope("task", b"")])
        assert await pulling == ["task"]
    finally:
        await client.close()
        await worker.close()
    assert [*meeting.iterdir()] == [folder]


async def test_a_process_that_is_gone_leaves_no_socket_for_long(path: Path, opened: Opened) -> None:
    async with opened() as worker, opened() as client:
        pulling = asyncio.create_task(_pull_soon(worker))
        await until(lambda: sockets(path))
        [mine] = sockets(path)
        # Killed: the address is still there, and nobody behind it.
        gone = mine.with_name(f"{mine.name.partition('.')[0]}.deadbeef.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(os.fspath(gone))
        await client.push([Envelope("task", b"")])
        assert await pulling == ["task"]
        assert sockets(path) == [mine]


async def test_a_process_too_busy_to_listen_holds_up_nobody(path: Path, opened: Opened) -> None:
    async with opened() as worker, opened() as client:
        pulling = asyncio.create_task(_pull_soon(worker))
        await until(lambda: sockets(path))
        [mine] = sockets(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.bind(os.fspath(mine.with_name(f"{mine.name.partition('.')[0]}.deadbeef.sock")))
            for number in range(300):
                assert await client.push([Envelope(f"t{number}", b"")]) == [True]
        assert "t0" in await pulling


async def test_only_those_whom_it_concerns_are_woken(path: Path, opened: Opened) -> None:
    async with opened("one") as one, opened("other") as other:
        events: asyncio.Queue[Event] = asyncio.Queue()
        listener = asyncio.create_task(one.listen("client", events.put_nowait))
        assert await soon(events.get()) == Connected()
        addresses = {file.name.partition(".")[0] for file in sockets(path)}
        assert len(addresses) == 5, "for its client, for what is due first, permits, schedules, and what has to stop"
        heard: list[str] = []
        for address in addresses:
            eavesdropper = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            eavesdropper.bind(os.fspath(path.parent / "q.db.d" / f"{address}.deadbeef.sock"))
            asyncio.get_running_loop().add_reader(eavesdropper, heard.append, address)
            # Of another namespace, of another client, and of nobody.
            await other.push([Envelope(address, b"", delay_ms=60_000)])
            await one.push([Envelope(address, b"")])
            for delivery in await pull(one, 9):
                await one.settle([Settlement(delivery.receipt, delivery.id, State.DONE, b"", 60_000, "another")])
            # Of a permit for which nobody waits.
            await one.shared.acquire("lock", address, 1, 60_000)
            await one.shared.release("lock", address)
            assert heard == []
            asyncio.get_running_loop().remove_reader(eavesdropper)
            eavesdropper.close()
        listener.cancel()


async def test_many_verdicts_at_once_are_all_told(opened: Opened) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with opened() as storage:
        listener = asyncio.create_task(storage.listen("client", events.put_nowait))
        assert await soon(events.get()) == Connected()
        ids = [f"t{number}" for number in range(1_200)]
        await storage.push([Envelope(task_id, b"") for task_id in ids])
        settlements = [
            Settlement(delivery.receipt, delivery.id, State.DONE, b"r", 60_000, "client")
            for delivery in await pull(storage, 2_000)
        ]
        await storage.settle(settlements)
        assert [await soon(events.get()) for _ in ids] == [Settled(task_id, State.DONE, b"r") for task_id in ids]
        listener.cancel()


@pytest.mark.usefixtures("no_second_look")
async def test_a_listener_does_not_confuse_a_new_file_with_the_old_one(path: Path, opened: Opened) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with opened() as client:
        await client.push([Envelope(f"t{number}", b"") for number in range(100)])
        listener = asyncio.create_task(client.listen("client", events.put_nowait))
        assert await soon(events.get()) == Connected()
        move_away(path)
        async with opened() as worker:
            await worker.push([Envelope("task", b"")])
            # The listener was asleep when its process missed the file and found the new one.
            with pytest.raises(QueueUnavailable):
                await client.records(["task"])
            assert None not in await client.records(["task"])
            [delivery] = await pull(client, 9)
            await client.settle([Settlement(delivery.receipt, "task", State.DONE, b"r", 60_000, "client")])
            assert await soon(events.get()) == Connected()
        listener.cancel()


async def test_a_listener_begins_again_at_a_new_file(
    path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.storage.sqlite.thread.FILE_LOOK_SECONDS", 0.02)
    monkeypatch.setattr("aqueue.storage.sqlite.store.RELISTEN_SECONDS", 0.02)
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with opened() as client:
        await client.push([Envelope(f"t{number}", b"") for number in range(100)])
        listener = asyncio.create_task(client.listen("client", events.put_nowait))
        assert await soon(events.get()) == Connected()
        move_away(path)
        async with opened() as worker:
            assert await soon(events.get()) == Connected()
            await worker.push([Envelope("task", b"")])
            [delivery] = await pull(worker, 9)
            await worker.settle([Settlement(delivery.receipt, "task", State.DONE, b"r", 60_000, "client")])
            while (event := await soon(events.get())) == Connected():
                """It may have begun again more than once."""
            assert event == Settled("task", State.DONE, b"r")
        listener.cancel()
