"""RQ: one job at a time per worker; no asyncio."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from redis import Redis
from rq import Queue, SimpleWorker, Worker

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from benchmarks.job import Job

QUEUE = "bench"


class Contestant(Adapter):
    """Tuned: `SimpleWorker`, which runs jobs in its own process; the default forks a process for every job."""

    blocking = True

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.connection = Redis.from_url(job.url)
        self.queue = Queue(QUEUE, connection=self.connection)
        self.options = {"result_ttl": 3600 if job.results else 0}

    async def enqueue(self, *args: Any) -> Any:
        return self.queue.enqueue(self.body, args=args, **self.options)

    async def enqueue_many(self, calls: list[tuple[Any, ...]]) -> None:
        self.queue.enqueue_many([Queue.prepare_data(self.body, args=args, **self.options) for args in calls])

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        self.queue.enqueue_in(timedelta(seconds=seconds), self.body, *args, **self.options)

    async def wait(self, handle: Any) -> Any:
        return handle.latest_result(timeout=10).return_value

    def work(self) -> None:
        kind = SimpleWorker if self.job.tuned else Worker
        kind([self.queue], connection=self.connection).work(logging_level="ERROR", with_scheduler=True)

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["LLEN", f"rq:queue:{QUEUE}"], 0), (["ZCARD", f"rq:wip:{QUEUE}"], 0)]
