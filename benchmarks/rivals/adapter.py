"""The interface that every contestant is fitted to: each overrides `enqueue`, `work`, and what it can do besides."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.rivals import bodies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from benchmarks.job import Job


class Unsupported(Exception):
    """The contestant cannot do this; the scenarios in which it takes part do not ask for it."""


class Adapter(ABC):
    """One contestant, set up for one job."""

    blocking = False
    """Whether `enqueue` and `wait` block the thread (a library without asyncio)."""

    def __init__(self, job: Job) -> None:
        self.job = job
        name = f"{job.task}_sync" if self.blocking and not job.task.endswith("_sync") else job.task
        self.body: Callable[..., Any] = getattr(bodies, name)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        """Connect, for as long as the block runs."""
        yield

    @abstractmethod
    async def enqueue(self, *args: Any) -> Any:
        """Enqueue one task; returns what `wait` wants."""

    async def enqueue_many(self, calls: list[tuple[Any, ...]]) -> None:
        """Enqueue many tasks in the contestant's own way; without one, as fast as single calls can."""
        if self.blocking:
            for args in calls:
                await self.enqueue(*args)
        else:
            await asyncio.gather(*[self.enqueue(*args) for args in calls])

    async def enqueue_in(self, seconds: float, *args: Any) -> None:
        """Enqueue one task that is due in `seconds` seconds."""
        raise Unsupported("enqueue a task that is due later")

    async def wait(self, handle: Any) -> Any:
        """The result of a task, within ten seconds."""
        raise Unsupported("wait for a result")

    @abstractmethod
    def work(self) -> None:
        """Run a worker in this process until it is killed."""

    def settled(self) -> list[tuple[list[str], int]]:
        """Redis commands or SQL statements, with the numbers that they give when all of `job.tasks` are finished.

        Zero stands for a backlog, any other number for a minimum of results.  An empty list says that a task is
        finished when its body is: nothing is stored, and nothing acknowledged after it ran.
        """
        return []
