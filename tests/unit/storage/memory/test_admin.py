"""An examination finds every task that is in no place or in two."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.storage.memory.store import MemoryStorage
from aqueue.testing.conformance.harness import pull


@pytest.mark.parametrize(
    ("meddle", "found"),
    [
        (lambda tables: tables.ready.clear(), [("lost", "ready")]),
        (lambda tables: tables.lent.clear(), [("lost", "lent")]),
        (lambda tables: tables.scheduled.clear(), [("lost", "later")]),
        (lambda tables: tables.scheduled.append((0, 0, tables.tasks["ready"])), [("twice", "ready")]),
        (lambda tables: tables.scheduled.append((0, 0, tables.tasks["done"])), [("twice", "done")]),
        (lambda tables: tables.expiring.clear(), [("kept", "done")]),
        (lambda tables: tables.tasks.pop("ready"), [("unknown", "ready")]),
    ],
)
async def test_an_examination_finds_what_is_in_no_place_or_in_two(meddle: Any, found: list[tuple[str, str]]) -> None:
    storage = MemoryStorage("test")
    await storage.push([Envelope("done", b""), Envelope("lent", b"")])
    done, _ = await pull(storage, 2)
    await storage.settle([Settlement(done.receipt, "done", State.DONE, ttl_ms=60_000)])
    await storage.push([Envelope("ready", b""), Envelope("later", b"", delay_ms=60_000)])
    assert [step async for step in storage.admin.examine()] == [(4, [])]
    meddle(storage._tables)
    [step] = [step async for step in storage.admin.examine()]
    assert [(finding.what, finding.id) for finding in step.findings] == found
