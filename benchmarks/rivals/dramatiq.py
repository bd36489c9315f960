"""Dramatiq: threads, one task each, every command one Lua script; no asyncio in this benchmark."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from benchmarks.job import Job


class Contestant(Adapter):
    """Tuned: 2 threads and a prefetch of 100; 8 threads and a prefetch of 16 are the defaults."""

    blocking = True

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.broker = RedisBroker(url=job.url)
        if job.results:
            self.broker.add_middleware(Results(backend=RedisBackend(url=job.url)))
        dramatiq.set_broker(self.broker)
        options: dict[str, Any] = {"store_results": True, "result_ttl": 3_600_000} if job.results else {}
        self.actor = dramatiq.actor(self.body, actor_name="task", queue_name="bench", **options)

    async def enqueue(self, *args: Any) -> Any:
        return self.actor.send(*args)

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        self.actor.send_with_options(args=args, delay=int(seconds * 1000))

    async def wait(self, handle: Any) -> Any:
        return handle.get_result(block=True, timeout=10_000)

    def work(self) -> None:
        worker = dramatiq.Worker(self.broker, worker_threads=(self.job.concurrency or 2) if self.job.tuned else 8)
        if self.job.tuned:
            worker.queue_prefetch = 100
        worker.start()
        threading.Event().wait()

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["HLEN", "dramatiq:bench.msgs"], 0)]
