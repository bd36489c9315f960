"""Whether every task of the memory storage is in exactly one place."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ...core.lifecycle import VERDICTS
from ..admin import Finding

if TYPE_CHECKING:
    from .tables import Tables


def findings(tables: Tables) -> list[Finding]:
    """What is not as it must be in `tables`."""
    places: Counter[str] = Counter()
    for line in tables.ready.values():
        places.update(task.id for task in line)
    places.update(task.id for task in tables.lent.values())
    places.update(task.id for _, _, task in tables.scheduled)
    places.update(tables.joins.ids())
    expiring = {task_id for _, task_id in tables.expiring}
    found = [
        Finding("unknown", task_id, "stands in a place, and has no record") for task_id in places.keys() - tables.tasks
    ]
    for task in tables.tasks.values():
        if task.state in VERDICTS:
            if places[task.id]:
                found.append(Finding("twice", task.id, f"is {task.state}, and still stands in a place"))
            if task.id not in expiring:
                found.append(Finding("kept", task.id, f"is {task.state}, and never expires"))
        elif places[task.id] == 0:
            found.append(Finding("lost", task.id, f"is {task.state}, and in no place"))
        elif places[task.id] > 1:
            found.append(Finding("twice", task.id, f"is {task.state}, and in {places[task.id]} places"))
    return found
