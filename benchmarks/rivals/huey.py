"""Huey: threads, one task each, delivery at most once, no asyncio.  With `sqlite:///` its SqliteHuey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey import RedisHuey, SqliteHuey

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from benchmarks.job import Job

QUEUE = "bench"


class Contestant(Adapter):
    """Tuned: 2 threads; results announced with `notify_result` when a client waits; SQLite without fsync."""

    blocking = True

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        if job.url.startswith("sqlite:///"):
            file = job.url.removeprefix("sqlite:///")
            self.huey = SqliteHuey(QUEUE, filename=file, results=job.results, fsync=False if job.tuned else None)
        else:
            notify = job.tuned and job.awaited
            self.huey = RedisHuey(QUEUE, url=job.url, results=job.results, notify_result=notify)
        self.task = self.huey.task()(self.body)

    async def enqueue(self, *args: Any) -> Any:
        return self.task(*args)

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        self.task.schedule(args, delay=seconds)

    async def wait(self, handle: Any) -> Any:
        return handle.get(blocking=True, timeout=10)

    def work(self) -> None:
        self.huey.create_consumer(workers=(self.job.concurrency or 2) if self.job.tuned else 1).run()

    def settled(self) -> list[tuple[list[str], int]]:
        if not self.job.results:
            return []
        if self.job.url.startswith("sqlite:///"):
            return [(["SELECT count(*) FROM kv"], self.job.tasks)]
        return [(["HLEN", f"huey.results.{QUEUE}"], self.job.tasks)]
