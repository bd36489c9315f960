"""A worker beside the test."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aqueue import Huey
    from aqueue.worker.worker import Worker


@asynccontextmanager
async def running(huey: Huey, **options: Any) -> AsyncIterator[Worker]:
    """Run a worker of `huey`, made with `options`, in this event loop until the block ends."""
    async with huey:
        worker = huey.create_worker(**{"shutdown_timeout": 5, **options})
        work = asyncio.create_task(worker.run())
        try:
            await worker.ready.wait()
            yield worker
        finally:
            await worker.stop()
            await work


@contextmanager
def running_in_a_thread(huey: Huey) -> Iterator[None]:
    """Run a worker of `huey` until the block ends, which has no event loop."""
    serving, finished = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running(huey):
            serving.set()
            await asyncio.to_thread(finished.wait)

    with ThreadPoolExecutor(1) as threads:
        server = threads.submit(asyncio.run, serve())
        serving.wait(20)
        try:
            yield
        finally:
            finished.set()
        server.result()
