"""The tasks, apart from the web application: a worker imports this module, and needs no FastAPI."""

from __future__ import annotations

import asyncio

from aqueue import Huey, current_task

huey = Huey("reports")


@huey.task(retries=1, retry_delay=0.5, timeout=60)
async def build_report(rows: int) -> dict[str, int]:
    """Add up some rows, one after the other, and report the progress."""
    if rows < 1:
        raise ValueError(f"a report needs at least one row, not {rows}")
    run = current_task()
    total = 0
    for row in range(1, rows + 1):
        total += row
        await asyncio.sleep(0.01)
        if run is not None:  # None if the function is called directly, without a worker
            await run.progress(row, rows)
    return {"rows": rows, "total": total}
