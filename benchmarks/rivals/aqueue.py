"""aqueue, through its public interface.  With `sqlite:///` its embedded store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvloop

from aqueue import RedisHuey, SqliteHuey
from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.job import Job

NAME = "bench"


class Contestant(Adapter):
    """The settings it comes with."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        if job.url.startswith("sqlite:///"):
            self.huey = SqliteHuey(NAME, filename=job.url.removeprefix("sqlite:///"))
        else:
            self.huey = RedisHuey(NAME, url=job.url)
        self.task = self.huey.task(results=job.results)(self.body)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        async with self.huey:
            yield

    async def enqueue(self, *args: Any) -> Any:
        return await self.task.enqueue(*args)

    async def enqueue_many(self, calls: list[tuple[Any, ...]]) -> None:
        await self.task.map(calls)

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        await self.task.options(delay=seconds).enqueue(*args)

    async def wait(self, handle: Any) -> Any:
        return await handle.get(timeout=10)

    def work(self) -> None:
        options = {"concurrency": self.job.concurrency} if self.job.concurrency else {}

        async def main() -> None:
            await self.huey.create_worker(**options).run()

        uvloop.run(main())

    def settled(self) -> list[tuple[list[str], int]]:
        if self.job.url.startswith("sqlite:///"):
            return [(["SELECT count(*) FROM task WHERE place <> 'settled'"], 0)]
        return [(["XLEN", f"{{aq:{NAME}}}:stream:default:0"], 0)]
