"""A request starts a job and answers 202 with its id; another request asks for its outcome."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from tasks import build_report, huey

from aqueue import Result, ResultNotFound, ResultTimeout, TaskException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with huey:  # the connections of this process: opened once, shared by all requests
        yield


app = FastAPI(title="Reports", lifespan=lifespan)


class Order(BaseModel):
    rows: int = 10


class Job(BaseModel):
    id: str
    state: str
    value: Any = None
    error: str | None = None


@app.post("/reports", status_code=202)
async def order_report(order: Order) -> Job:
    result = await build_report.enqueue(order.rows)
    return Job(id=result.id, state="queued")


@app.get("/jobs/{job_id}")
async def job(job_id: str, wait: Annotated[float, Query(gt=0, le=60)] = 1) -> Job:
    """The outcome of a job. If it is not done, the answer takes up to `wait` seconds."""
    result = _find(job_id)
    try:
        value = await result.get(timeout=wait)
    except ResultTimeout:
        return Job(id=job_id, state=await result.status())
    except ResultNotFound:
        raise HTTPException(404, f"no job {job_id}") from None
    except TaskException as error:
        return Job(id=job_id, state=error.state, error=str(error))
    return Job(id=job_id, state="done", value=value)


@app.get("/jobs/{job_id}/progress")
async def progress(job_id: str) -> StreamingResponse:
    """Server-sent events, one for each step of the job."""
    result = _find(job_id)

    async def events() -> AsyncIterator[str]:
        async for step in result.progress():
            yield f"data: {step.done:g} of {step.total:g}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


def _find(job_id: str) -> Result[Any]:
    try:
        return huey.result(job_id)
    except ValueError as error:
        raise HTTPException(404, str(error)) from None
