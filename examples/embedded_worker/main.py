"""One process that serves requests and runs their tasks: the worker lives in the lifespan of the application."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from aqueue import Huey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

huey = Huey("greetings")


@huey.task
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    worker = huey.create_worker(concurrency=20, shutdown_timeout=10)
    async with huey, asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await worker.ready.wait()
        yield
        await worker.stop()  # leaving the group waits for the tasks that still run


app = FastAPI(lifespan=lifespan)


@app.get("/greetings/{name}")
async def greeting(name: str) -> dict[str, str]:
    result = await greet.enqueue(name)
    return {"greeting": await result.get(timeout=10)}
