"""A worker beside the test, in the same event loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aqueue import Huey
    from aqueue.worker.worker import Worker


@asynccontextmanager
async def running(huey: Huey, **options: Any) -> AsyncIterator[Worker]:
    """Run a worker of `huey`, made with `options`, until the block ends."""
    async with huey:
        worker = huey.create_worker(**{"shutdown_timeout": 5, **options})
        work = asyncio.create_task(worker.run())
        try:
            await worker.ready.wait()
            yield worker
        finally:
            await worker.stop()
            await work
