"""Receipts that this storage never wrote."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.testing.conformance.harness import keeper_of, pull

if TYPE_CHECKING:
    from ..conftest import Opened


@pytest.mark.parametrize(
    "change",
    [
        {"place": "default:0"},
        {"entry": ""},
        {"entry": "1-0"},
        {"entry": "-1"},
        {"entry": "9" * 40},
        {"entry": "\u0661"},
    ],
    ids=str,
)
async def test_a_foreign_receipt_holds_nothing(opened: Opened, change: dict[str, str]) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b"")])
        [delivery] = await pull(storage, 1)
        receipt = delivery.receipt._replace(**change)
        assert await storage.settle([Settlement(receipt, "task", State.DONE, b"", 60_000)]) == [False]
        assert not await storage.report(receipt, "task", b"half", "")
        with closing(keeper_of(storage)) as keeper:
            assert keeper.renew([receipt, delivery.receipt], b"").lost == [receipt]


async def test_only_the_latest_of_several_receipts_of_one_task_holds(opened: Opened) -> None:
    async with opened() as storage:
        await storage.push([Envelope("task", b""), Envelope("other", b"")])
        one, other = await pull(storage, 2)
        stale = [one.receipt._replace(count=0), one.receipt._replace(consumer="two"), one.receipt._replace(count=2)]
        with closing(keeper_of(storage)) as keeper:
            assert keeper.renew([*stale, one.receipt, other.receipt], b"").lost == stale
        settlements = [Settlement(each, "task", State.DONE, b"", 60_000) for each in [*stale, one.receipt, one.receipt]]
        assert await storage.settle(settlements) == [False, False, False, True, False]
