"""What workers say about themselves in their signs of life."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..storage.admin import StoredTask
    from ..storage.protocol import WorkerInfo


def described(worker: WorkerInfo) -> dict[str, Any]:
    """A worker's own description; empty if this version cannot read it."""
    try:
        read = orjson.loads(worker.description)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def blocked(description: dict[str, Any], now_ms: int) -> str:
    """For how long the event loop of the worker has been blocked, and by what; '' if it turns."""
    stall = description.get("blocked")
    if not isinstance(stall, dict):
        return ""
    seconds = max(now_ms - stall.get("since_ms", now_ms), 0) / 1000
    task, where = stall.get("task"), stall.get("where")
    by = f" by {task} ({stall.get('id')})" if task else ""
    return f"blocked for {seconds:.0f} s{by}" + (f" at {where}" if where else "")


class Begun(NamedTuple):
    """When a task began to run, and what its worker says about it."""

    at_ms: int = 0
    note: str = ""


class Runs:
    """What `workers` say about the tasks that they run."""

    def __init__(self, workers: Iterable[WorkerInfo]) -> None:
        self._leases: dict[str, int] = {}
        self._begun: dict[tuple[str, str], Begun] = {}
        for worker in workers:
            # A worker of another version may describe itself differently.
            with contextlib.suppress(KeyError, TypeError):
                description = described(worker)
                self._leases[worker.consumer] = description["lease_ms"]
                for run in description["runs"]:
                    self._begun[worker.consumer, run["id"]] = Begun(run["began_ms"], run["note"])

    def of(self, lent: StoredTask) -> Begun:
        """What is known about this one. Its worker names those that run longest; any other is as old as its lease."""
        lease_ms = self._leases.get(lent.consumer)
        so_far = Begun() if lease_ms is None else Begun(lent.at_ms - lease_ms)
        return self._begun.get((lent.consumer, lent.id), so_far)
