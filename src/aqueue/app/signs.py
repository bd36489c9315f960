"""What workers say about themselves in their signs of life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
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
