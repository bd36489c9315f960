"""streaQ: anyio and coredis on streams; task bodies in keys of their own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from streaq import Worker

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.job import Job

QUEUE = "bench"


class Contestant(Adapter):
    """Tuned: uvloop, tasks not logged; 16 tasks at a time, as it comes, is also its best."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        tuning: dict[str, Any] = {}
        if job.tuned:
            tuning = {"concurrency": job.concurrency or 16, "anyio_kwargs": {"use_uvloop": True}}
        self.worker = Worker(job.url, queue_name=QUEUE, **tuning)
        self.task = self.worker.task(name="task", silent=job.tuned, ttl=300 if job.results else 0)(self.body)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        async with self.worker:
            yield

    async def enqueue(self, *args: Any) -> Any:
        return await self.task.enqueue(*args)

    async def enqueue_many(self, calls: list[tuple[Any, ...]]) -> None:
        await self.worker.enqueue_many([self.task.enqueue(*args) for args in calls])

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        await self.task.enqueue(*args).start(delay=timedelta(seconds=seconds))

    async def wait(self, handle: Any) -> Any:
        return (await handle.result(timeout=10)).result

    def work(self) -> None:
        self.worker.run_sync()

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["XLEN", self.worker.stream_key + "normal"], 0)]
