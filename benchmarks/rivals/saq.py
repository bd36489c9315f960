"""SAQ: asyncio on lists, a job document per task, one blocking connection per concurrent job."""

from __future__ import annotations

import inspect
import math
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import orjson
import uvloop
from saq import Queue, Worker

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUEUE = "bench"


class Contestant(Adapter):
    """Tuned: 16 jobs at a time, orjson, no job timeout, results awaited by pub/sub (`Job.refresh`), not by `apply`."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        self.names = list(inspect.signature(self.body).parameters)
        self.queue = self._queue()
        await self.queue.connect()
        try:
            yield
        finally:
            await self.queue.disconnect()

    def _queue(self) -> Queue:
        tuning: dict[str, Any] = {"dump": orjson.dumps, "load": orjson.loads} if self.job.tuned else {}
        return Queue.from_url(self.job.url, name=QUEUE, **tuning)

    def _options(self, args: tuple[Any, ...]) -> dict[str, Any]:
        options = dict(zip(self.names, args, strict=True))
        if not self.job.results:
            options["ttl"] = -1
        if self.job.tuned:
            options["timeout"] = 0
        return options

    async def enqueue(self, *args: Any) -> Any:
        if self.job.awaited and not self.job.tuned:
            return self.queue.apply("task", timeout=10, **self._options(args))
        return await self.queue.enqueue("task", **self._options(args))

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        await self.queue.enqueue("task", scheduled=math.ceil(time.time() + seconds), **self._options(args))

    async def wait(self, handle: Any) -> Any:
        if not self.job.tuned:
            return await handle
        while not handle.completed:  # a completion between its look and its subscription is missed: look again
            with suppress(TimeoutError):
                await handle.refresh(until_complete=1)
        return handle.result

    async def run(self, ctx: dict[str, Any], **arguments: Any) -> Any:
        """SAQ hands every function a context first, and arguments by name."""
        return await self.body(**arguments)

    def work(self) -> None:
        tuning = {"concurrency": self.job.concurrency or 16} if self.job.tuned else {}

        async def main() -> None:
            await Worker(self._queue(), [("task", self.run)], **tuning).start()

        uvloop.run(main())

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["ZCARD", f"saq:{QUEUE}:incomplete"], 0)]
