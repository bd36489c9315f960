"""What a client process can be asked to do: the same loops for every contestant, each returns its numbers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks.rivals.bodies import arguments

if TYPE_CHECKING:
    from benchmarks.rivals.adapter import Adapter

CHUNK = 500
"""Tasks per call when the queue is filled."""


async def fill(adapter: Adapter) -> dict[str, float]:
    """Put `tasks` tasks into the queue, as fast as the contestant can, within `seconds`."""
    job = adapter.job
    deadline = time.monotonic() + job.seconds
    filled = 0
    async with adapter.client():
        while filled < job.tasks and time.monotonic() < deadline:
            chunk = range(filled, min(filled + CHUNK, job.tasks))
            await adapter.enqueue_many([arguments(job.task, number) for number in chunk])
            filled += len(chunk)
    return {"tasks": filled}


async def enqueue(adapter: Adapter) -> dict[str, float]:
    """Calls per second: one after the other, `width` at a time, or through the bulk API (width 0)."""
    job = adapter.job
    async with adapter.client():
        await adapter.enqueue(*arguments(job.task, 0))  # scripts loaded, connections open
        clock, cpu = time.perf_counter(), time.process_time()
        deadline = clock + job.seconds
        done = 0
        if job.width == 1:
            while done < job.tasks and time.perf_counter() < deadline:
                await adapter.enqueue(*arguments(job.task, done))
                done += 1
        else:
            while done < job.tasks and time.perf_counter() < deadline:
                chunk = [arguments(job.task, number) for number in range(done, done + (job.width or CHUNK))]
                if job.width:
                    await asyncio.gather(*[adapter.enqueue(*args) for args in chunk])
                else:
                    await adapter.enqueue_many(chunk)
                done += len(chunk)
        elapsed = time.perf_counter() - clock
        return {"per_second": done / elapsed, "cpu_us": (time.process_time() - cpu) / done * 1e6}


async def latency(adapter: Adapter) -> dict[str, float]:
    """From the call of enqueue to the awaited result, one task at a time, in milliseconds."""
    job = adapter.job
    taken: list[float] = []
    async with adapter.client():
        for number in range(10):
            await adapter.wait(await adapter.enqueue(number, 1))
        deadline = time.perf_counter() + job.seconds
        while len(taken) < job.tasks and time.perf_counter() < deadline:
            start = time.perf_counter()
            result = await adapter.wait(await adapter.enqueue(len(taken), 1))
            taken.append(time.perf_counter() - start)
            if result != len(taken):
                raise SystemExit(f"expected {len(taken)}, got {result!r}")
    taken.sort()
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
    enough = {name: share for name, share in shares.items() if len(taken) * (1 - share) >= 1}
    return {name: taken[int(len(taken) * share)] * 1e3 for name, share in enough.items()} | {"samples": len(taken)}


async def load(adapter: Adapter) -> dict[str, float]:
    """Enqueue `rate` tasks a second for `seconds` seconds, in slices of 10 ms, without waiting for them."""
    job = adapter.job
    sent = 0
    async with adapter.client():
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < job.seconds:
            wanted = int(elapsed * job.rate) - sent
            if wanted > 0:
                wanted = min(wanted, CHUNK)
                await adapter.enqueue_many([(number, 1) for number in range(wanted)])
                sent += wanted
            else:
                await asyncio.sleep(0.01)
    return {"per_second": sent / job.seconds}


async def schedule(adapter: Adapter) -> dict[str, float]:
    """Enqueue tasks that are due at moments spread over the `seconds` after the next two."""
    job = adapter.job
    async with adapter.client():
        for number in range(job.tasks):
            delay = 2 + job.seconds * number / job.tasks
            await adapter.enqueue_in(delay, time.time() + delay)
    return {"tasks": job.tasks}


ACTIONS = {action.__name__: action for action in (fill, enqueue, latency, load, schedule)}
