"""Repid: asyncio on streams, a message framework without results, delays or, unless asked for, crash recovery."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import uvloop
from repid import RedisServer, Repid, Router

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.job import Job

CHANNEL = "bench"


class Contestant(Adapter):
    """Tuned: reads of 100 messages instead of 10, 50 tasks at a time, no timeout and no keep-alive, orjson."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.names = list(inspect.signature(self.body).parameters)
        self.app = Repid(default_serializer=orjson.dumps if job.tuned else None)
        server = RedisServer(job.url, batch_size=100) if job.tuned else RedisServer(job.url)
        self.app.servers.register_server("default", server, is_default=True)
        router = Router(channel=CHANNEL)
        options: dict[str, Any] = {"timeout": float("inf"), "keep_alive": False} if job.tuned else {}
        router.actor(self.body, name="task", **options)
        self.app.include_router(router)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        async with self.app.servers.default.connection():
            yield

    async def enqueue(self, *args: Any) -> None:
        payload = dict(zip(self.names, args, strict=True))
        await self.app.send_message_json(channel=CHANNEL, payload=payload, headers={"topic": "task"})

    def work(self) -> None:
        tuning = {"tasks_limit": self.job.concurrency or 50} if self.job.tuned else {}

        async def main() -> None:
            async with self.client():
                await self.app.run_worker(**tuning)

        uvloop.run(main())

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["XPENDING", f"repid:{CHANNEL}", f"repid:{CHANNEL}:group"], 0)]
