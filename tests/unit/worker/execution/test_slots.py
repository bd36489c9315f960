"""Slots of one kind: taken in order, and never waited for where none will come."""

from __future__ import annotations

import pytest

from aqueue.worker.execution.slots import NoSlot, Slots


async def test_no_run_waits_while_all_slots_are_lost() -> None:
    slots = Slots(1)
    async with slots.hold(may_turn_away=True):
        slots.lose()
    for may_turn_away in (True, False):
        slots.is_crowded = False
        with pytest.raises(NoSlot):
            async with slots.hold(may_turn_away):
                pass
        assert slots.is_crowded
    slots.regain()
    async with slots.hold(may_turn_away=False):
        assert slots.places == 1
    assert slots.places == 2
