"""An examination finds whatever a foreign hand has done to the rows, and nothing where there is nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope, Node
from aqueue.testing.conformance.harness import pull

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue.core.message import Delivery
    from aqueue.storage.sqlite.store import SqliteStorage

    from ..conftest import Opened

_HOUR_MS = 3_600_000


async def _inhabit(storage: SqliteStorage) -> None:
    """A task in each place."""
    await storage.push([Envelope(name, b"payload") for name in ("done", "dead", "lent")])
    done, dead, _ = await pull(storage, 3)
    await storage.settle([_verdict(done, State.DONE), _verdict(dead, State.DEAD)._replace(dead_ttl_ms=_HOUR_MS)])
    await storage.push([Envelope("ready", b""), Envelope("later", b"", delay_ms=_HOUR_MS)])
    before, after = Envelope("before", b"", delay_ms=_HOUR_MS), Envelope("waiting", b"")
    await storage.push_workflow([Node(before), Node(after, ("before",))])


def _verdict(delivery: Delivery, state: State) -> Settlement:
    return Settlement(delivery.receipt, delivery.id, state, b"", _HOUR_MS)


async def _examined(storage: SqliteStorage) -> tuple[int, list[tuple[str, str]]]:
    steps = [step async for step in storage.admin.examine()]
    findings = [finding for step in steps for finding in step.findings]
    assert all(finding.text and "\n" not in finding.text for finding in findings)
    return sum(step.tasks for step in steps), sorted((finding.what, finding.id) for finding in findings)


def _meddle(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


async def test_nothing_is_found_where_everything_is_in_its_place(opened: Opened) -> None:
    async with opened() as storage, opened("other") as other:
        await _inhabit(storage)
        await other.push([Envelope(f"t{number}", b"") for number in range(250)])
        await storage.push([Envelope(f"t{number}", b"") for number in range(250)])
        await storage.cancel("lent", b"", _HOUR_MS, "")
        await storage.admin.pause("default")
        assert await _examined(storage) == (257, [])
        assert await _examined(other) == (250, [])


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE task SET place = 'nowhere' WHERE id = 'ready'", [("lost", "ready")]),
        ("UPDATE task SET consumer = '' WHERE id = 'lent'", [("lost", "lent")]),
        ("UPDATE task SET state = 'running' WHERE id = 'ready'", [("damaged", "ready")]),
        ("UPDATE task SET state = 'done' WHERE id = 'later'", [("damaged", "later")]),
        ("UPDATE task SET place = 'settled' WHERE id = 'lent'", [("damaged", "lent")]),
        ("UPDATE task SET at = 0 WHERE id = 'done'", [("kept", "done")]),
        ("DELETE FROM node WHERE id = 'waiting'", [("lost", "waiting")]),
        ("DELETE FROM edge WHERE target = 'waiting'", [("lost", "waiting")]),
        ("DELETE FROM task WHERE id = 'before'", [("lost", "waiting")]),
        ("DELETE FROM task WHERE id = 'waiting'", [("leftover", "waiting")]),
        ("UPDATE node SET missing = 2", [("lost", "waiting")]),
        ("INSERT INTO cancellation VALUES (1, 'done', 1)", [("leftover", "done")]),
        ("INSERT INTO cancellation VALUES (1, 'nobody', 1)", [("leftover", "nobody")]),
    ],
)
async def test_whatever_a_hand_has_done_is_found(
    opened: Opened, path: Path, statement: str, found: list[tuple[str, str]]
) -> None:
    async with opened() as storage:
        await _inhabit(storage)
        _meddle(path, statement)
        _, findings = await _examined(storage)
        assert findings == found
