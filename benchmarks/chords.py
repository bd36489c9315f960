"""`python -m benchmarks.chords`: what a chord costs for each of its members, compared with independent tasks.

One process, in which a worker runs what it enqueues, on a server of its own, on a file, and in memory. Half a minute.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqueue import Huey, chord, group
from aqueue.core.clock import SystemClock
from benchmarks.server import Server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SIZES = (100, 1_000, 10_000)
ROUNDS = 3
COUNTED = ("pull", "settle", "push_workflow")


class Counting:
    """A storage, and how often some of its calls were made."""

    def __init__(self, storage: Any, calls: Counter[str]) -> None:
        self._storage = storage
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._storage, name)
        return partial(self._count, name, value) if name in COUNTED else value

    def _count(self, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        self._calls[name] += 1
        return call(*arguments)


async def measure(url: str) -> list[str]:
    """A line for each size: seconds to enqueue, microseconds a member from then on, and calls of the store."""
    huey = Huey("chords", url)
    calls: Counter[str] = Counter()
    storage = huey._make_storage()
    huey._parts.clients.switch(lambda: Counting(storage, calls), SystemClock())  # type: ignore[arg-type, return-value]
    logging.disable(logging.WARNING)

    @huey.task
    async def member(number: int) -> int:
        return number

    @huey.task
    async def callback(numbers: list[int]) -> int:
        return len(numbers)

    lines = []
    for size in SIZES:
        members = [member.s(number) for number in range(size)]
        plain = min([await timed(huey, group(members), calls) for _ in range(ROUNDS)])
        joined = min([await timed(huey, chord(members, callback), calls) for _ in range(ROUNDS)])
        settles = calls["settle"]
        lines.append(
            f"{size:>7,}  {plain[1] / size * 1e6:>10.1f}  {joined[1] / size * 1e6:>10.1f}  {joined[0] * 1e3:>12.1f}  "
            f"{settles:>8}  {(settles + calls['pull']) / size:>12.3f}"
        )
    return lines


async def timed(huey: Huey, workflow: Any, calls: Counter[str]) -> tuple[float, float]:
    """Seconds to enqueue `workflow`, and then from the start of a worker until all of it has its verdict."""
    async with huey:
        start = time.perf_counter()
        handle: Awaitable[Any] = await workflow.enqueue()
        enqueued = time.perf_counter()
        worker = huey.create_worker(concurrency=1000)
        calls.clear()
        work = asyncio.create_task(worker.run())
        await handle
        seconds = time.perf_counter() - enqueued
        await worker.stop()
        await work
    return enqueued - start, seconds


def main() -> None:
    """Measure on each store."""
    print("members  us a task:  us a member:  ms to keep it  settles  store calls")
    print("             alone     in a chord        as a whole           a member")
    with Server() as server, tempfile.TemporaryDirectory() as directory:
        for url in (server.url, f"sqlite:///{Path(directory) / 'chords.db'}", "memory://"):
            print(url.partition(":")[0])
            print(*asyncio.run(measure(url)), sep="\n")


if __name__ == "__main__":
    main()
