"""The tasks of ``aqueue demo``, declared as in any application."""

from __future__ import annotations

import asyncio
import hashlib

from aqueue import Huey, current_task

huey = Huey("aqueue-demo", result_ttl=600)

# Seconds. An interrupted demo leaves tasks behind, which must not run much later.
FRESH = 600


@huey.task(expires=FRESH)
async def add(a: int, b: int) -> int:
    return a + b


@huey.task(expires=FRESH)
async def fetch(page: int, seconds: float) -> str:
    """Waits, as for a network. A worker does that for a hundred tasks at once, in one thread."""
    await asyncio.sleep(seconds)
    return f"page {page}"


@huey.task(expires=FRESH)
def digest(text: str) -> str:
    """A plain function. The worker runs it in a thread, so it does not block other tasks."""
    return hashlib.sha256(text.encode()).hexdigest()


@huey.task(expires=FRESH, retries=3, retry_delay=0.2, retry_backoff=2, retry_jitter=0.5)
async def order(number: int, failures: int) -> int:
    """Fails at first, as services do. Returns the attempt that succeeded."""
    run = current_task()
    attempt = run.attempt if run is not None else failures + 1
    if attempt <= failures:
        raise ConnectionError(f"order {number}: the shop does not answer")
    return attempt


@huey.task(expires=FRESH, retries=2, retry_delay=0.2, retry_on=LookupError)
async def bill(number: int) -> None:
    """Fails every time, so its retries do not help."""
    raise LookupError(f"order {number} has no price")


@huey.task(expires=FRESH, timeout=60)
async def report(pages: int) -> str:
    """Reports its progress."""
    run = current_task()
    for page in range(1, pages + 1):
        await asyncio.sleep(0.05)
        if run is not None:
            await run.progress(page, pages, f"page {page}")
    return f"a report of {pages} pages"
