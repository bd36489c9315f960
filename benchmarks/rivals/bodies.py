"""What the tasks do: next to nothing, so that what is measured is the queue.

Every body has a plain twin (`_sync`) for libraries that have no asyncio and for the scenario with sync tasks.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.scoreboard import begin, late, tick

LINE = "The quick brown fox jumps over the lazy dog. " * 23
"""1,035 characters: the argument of `echo`."""


async def add(a: int, b: int) -> int:
    """The no-op."""
    tick()
    return a + b


def add_sync(a: int, b: int) -> int:
    """The no-op, plain."""
    tick()
    return a + b


async def echo(text: str) -> int:
    """An argument of 1 KB."""
    tick()
    return len(text)


def echo_sync(text: str) -> int:
    """An argument of 1 KB, plain."""
    tick()
    return len(text)


async def nap(seconds: float) -> None:
    """I/O: 10 ms of it."""
    begin()
    await asyncio.sleep(seconds)
    tick()


async def due(at: float) -> None:
    """A task with a due time (`time.time()`) tells how late it is."""
    late(time.time() - at)
    tick()


def due_sync(at: float) -> None:
    """A task with a due time, plain."""
    late(time.time() - at)
    tick()


def arguments(task: str, number: int) -> tuple[object, ...]:
    """The arguments of the task with this number."""
    match task.removesuffix("_sync"):
        case "echo":
            return (LINE,)
        case "nap":
            return (0.01,)
        case _:
            return (number, 1)
