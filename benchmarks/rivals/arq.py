"""arq: asyncio on a sorted set of job ids; both the worker and a waiter poll."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvloop
from arq.connections import RedisSettings, create_pool
from arq.worker import Worker, func

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL = 0.01
"""Seconds between two looks at the queue or at a result, tuned."""


class Contestant(Adapter):
    """Tuned: 200 jobs at a time, polls every 10 ms instead of every 500."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        self.pool = await create_pool(RedisSettings.from_dsn(self.job.url))
        try:
            yield
        finally:
            await self.pool.aclose()

    async def enqueue(self, *args: Any) -> Any:
        return await self.pool.enqueue_job("task", *args)

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        await self.pool.enqueue_job("task", *args, _defer_by=seconds)

    async def wait(self, handle: Any) -> Any:
        return await handle.result(timeout=10, poll_delay=POLL if self.job.tuned else 0.5)

    async def run(self, ctx: dict[str, Any], *args: Any) -> Any:
        """arq hands every function a context first."""
        return await self.body(*args)

    def work(self) -> None:
        tuning: dict[str, Any] = {"max_jobs": self.job.concurrency or 200, "poll_delay": POLL} if self.job.tuned else {}

        async def main() -> None:
            task = func(self.run, name="task", keep_result=3600 if self.job.results else 0)
            await Worker([task], redis_settings=RedisSettings.from_dsn(self.job.url), **tuning).async_run()

        uvloop.run(main())

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["ZCARD", "arq:queue"], 0)]
