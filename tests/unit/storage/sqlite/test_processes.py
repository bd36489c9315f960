"""Several real processes at one file, and what is left when one of them ends before its time."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aqueue.core.message import Envelope
from aqueue.storage.protocol import Connected, Settled
from aqueue.testing.conformance.harness import reclaim

from .facts import sockets, until

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from aqueue.storage.protocol import Event

    from .conftest import Opened

_CHILD = Path(__file__).with_name("child.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes like these on this system")


@asynccontextmanager
async def _process(command: str, path: Path) -> AsyncIterator[Process]:
    """A child that is killed if it is still there at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore::DeprecationWarning", str(_CHILD), command, str(path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()


async def _lines(process: Process) -> list[str]:
    """All that the child says until it ends, which it must do by itself and well."""
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()


async def test_processes_share_the_work_and_never_meet_a_lock(path: Path) -> None:
    """They begin together at a file that does not exist, and each task is run once."""
    async with (
        _process("work", path) as first,
        _process("work", path) as second,
        _process("work", path) as third,
        _process("work", path) as fourth,
    ):
        said = await asyncio.gather(*map(_lines, (first, second, third, fourth)))
    ids = [line for lines in said for line in lines]
    assert len(ids) == len(set(ids)) == 400
    assert "refused" not in ids


async def test_what_a_killed_process_held_is_run_by_another(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"payload")])
        async with _process("hold", path) as victim:
            assert await _line(victim) == "holding task"
            pushed = [int((await _line(victim)).split()[1]) for _ in range(20)]
            victim.send_signal(signal.SIGKILL)
            await victim.wait()
        deliveries = await until(lambda: reclaim(storage, "survivor", 9))
        assert [(delivery.id, delivery.payload, delivery.fence) for delivery in deliveries] == [("task", b"payload", 2)]
        # What was promised is there, and of what was not, each batch is there as a whole or not at all.
        ids = [f"pushed-{number}-{index}" for number in pushed for index in range(20)]
        assert None not in await storage.records(ids)
        later = [
            f"pushed-{number}-{index}" for number in range(pushed[-1] + 1, pushed[-1] + 200) for index in range(20)
        ]
        known = [record is not None for record in await storage.records(later)]
        assert all(len(set(known[start : start + 20])) == 1 for start in range(0, len(known), 20))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.usefixtures("no_second_look")
async def test_processes_wake_each_other(path: Path, opened: Opened) -> None:
    """Neither side looks by itself, so that only the wake-up calls can carry the tasks there and the verdicts back."""
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with opened() as storage, _process("answer", path) as answerer:
        listener = asyncio.create_task(storage.listen("client", events.put_nowait))
        assert await events.get() == Connected()
        assert await _line(answerer) == "ready"
        for number in range(20):
            await storage.push([Envelope(f"t{number}", b"")])
            async with asyncio.timeout(30):
                event = await events.get()
            assert isinstance(event, Settled)
            assert event.id == f"t{number}"
        listener.cancel()


async def test_a_process_that_was_killed_is_forgotten_by_its_neighbours(path: Path, opened: Opened) -> None:
    async with opened() as storage:
        async with _process("answer", path) as answerer:
            assert await _line(answerer) == "ready"
            await until(lambda: sockets(path))
        assert len(sockets(path)) == 1
        await storage.push([Envelope("task", b"")])
        assert sockets(path) == []


async def test_a_storage_that_nobody_closed_lets_the_interpreter_exit(path: Path, opened: Opened) -> None:
    async with _process("forget", path) as process:
        assert await _lines(process) == ["[True]"]
    async with opened() as storage:
        assert await storage.records(["kept"]) != [None]


async def test_a_forked_process_has_a_connection_of_its_own(path: Path) -> None:
    async with _process("fork", path) as process:
        assert await _lines(process) == [
            "child pushed [True]",
            "child got ['before', 'child']",
            "child ended with 0",
            "parent got ['later']",
            "parent knows [True, True]",
        ]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_file_that_may_not_grow_takes_no_new_tasks(path: Path) -> None:
    async with _process("fill", path) as process:
        assert await _lines(process) == ["full", "known 0", "settled [True]", "pushed [True]"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
