"""Celery on its Redis transport: no asyncio; a message is acknowledged before its task runs, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Celery

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from benchmarks.job import Job


class Contestant(Adapter):
    """Tuned: the `solo` pool, the fastest for one process; prefetch of 100; no gossip, mingle or heartbeat."""

    blocking = True

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.app = Celery("bench", broker=job.url, backend=job.url if job.results else None)
        self.app.conf.update(ignore_result=not job.results, broker_connection_retry_on_startup=True)
        if job.tuned:
            self.app.conf.update(worker_prefetch_multiplier=100)
        self.task = self.app.task(name="task")(self.body)

    async def enqueue(self, *args: Any) -> Any:
        return self.task.delay(*args)

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        self.task.apply_async(args, countdown=seconds)

    async def wait(self, handle: Any) -> Any:
        return handle.get(timeout=10)

    def work(self) -> None:
        quiet = ["--quiet", "worker", "--loglevel=ERROR"]
        tuning = ["--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.app.worker_main(quiet + tuning if self.job.tuned else quiet)

    def settled(self) -> list[tuple[list[str], int]]:
        if self.job.results:
            return [(["DBSIZE"], self.job.tasks)]
        return [(["LLEN", "celery"], 0), (["HLEN", "unacked"], 0)]
