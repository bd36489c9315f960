"""taskiq with taskiq-redis: its stream broker; `taskiq_list.py` is its list broker."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvloop
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from taskiq import AsyncBroker

    from benchmarks.job import Job

QUEUE = "bench"


class Contestant(Adapter):
    """Tuned: 200 tasks at a time, arguments not validated, orjson for results, results polled every ms, not 200."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.broker = self.make_broker()
        if job.results:
            tuning = {"serializer": ORJSONSerializer()} if job.tuned else {}
            self.broker.with_result_backend(RedisAsyncResultBackend(job.url, result_ex_time=3600, **tuning))
        self.task = self.broker.task(task_name="task")(self.body)

    def make_broker(self) -> AsyncBroker:
        """The broker; its group starts at the beginning, so that tasks sent before the worker came are seen."""
        return RedisStreamBroker(self.job.url, queue_name=QUEUE, consumer_id="0")

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        await self.broker.startup()
        try:
            yield
        finally:
            await self.broker.shutdown()

    async def enqueue(self, *args: Any) -> Any:
        return await self.task.kiq(*args)

    async def wait(self, handle: Any) -> Any:
        interval = 0.001 if self.job.tuned else 0.2
        return (await handle.wait_result(check_interval=interval, timeout=10)).return_value

    def work(self) -> None:
        tuning: dict[str, Any] = {}
        if self.job.tuned:
            tuning = {"max_async_tasks": self.job.concurrency or 200, "validate_params": False}
        uvloop.run(run_receiver_task(self.broker, run_startup=True, **tuning))

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["XPENDING", QUEUE, "taskiq"], 0)]
