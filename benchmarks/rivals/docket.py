"""Docket (pydocket): asyncio on streams, every transition a Lua script, generations as fences."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import uvloop
from docket import Docket, Worker

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "bench"


class Contestant(Adapter):
    """Tuned: 100 tasks at a time on an unbounded pool, a check every 5 ms instead of every 250 while slots are full."""

    def _docket(self) -> Docket:
        url = f"{self.job.url}?max_connections=100000" if self.job.tuned else self.job.url
        keep = timedelta(minutes=15) if self.job.results else timedelta(0)
        return Docket(NAME, url, execution_ttl=keep)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        async with self._docket() as self.docket:
            self.docket.register(self.body)
            yield

    async def enqueue(self, *args: Any) -> Any:
        return await self.docket.add(self.body)(*args)

    async def enqueue_many(self, calls: list[tuple[Any, ...]]) -> None:
        await self.docket.add_many([self.docket.call(self.body)(*args) for args in calls])

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        await self.docket.add(self.body, when=datetime.now(UTC) + timedelta(seconds=seconds))(*args)

    async def wait(self, handle: Any) -> Any:
        return await handle.get_result(timeout=timedelta(seconds=10))

    def work(self) -> None:
        tuning: dict[str, Any] = {}
        if self.job.tuned:
            tuning = {
                "concurrency": self.job.concurrency or 100,
                "minimum_check_interval": timedelta(milliseconds=5),
            }

        async def main() -> None:
            async with self._docket() as docket:
                docket.register(self.body)
                async with Worker(docket, **tuning) as worker:
                    await worker.run_forever()

        uvloop.run(main())

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["XLEN", f"{NAME}:stream"], 0)]
