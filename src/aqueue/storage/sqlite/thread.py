"""The one thread of a process that touches the file.

It owns the connection and runs whatever has been asked of it since the last commit in one transaction: a group commit.
So a call costs one transaction when it is alone, and a fraction of one when there are many. The connection is a local
variable of the thread: a forked child, in which the thread does not exist, can neither use nor close it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from ...core.patience import FILE_LOOK_SECONDS, LOCK_WAIT_MS, TURN_SECONDS
from ...exceptions import QueueFull, QueueUnavailable
from .connection import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ...core.clock import Clock
    from .connection import Transaction
    from .location import Location
    from .wakeup import LocalWaiters, PeerProcesses

_T = TypeVar("_T")
_P = ParamSpec("_P")

_LARGEST_BATCH = 500


class _Job(NamedTuple):
    step: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    writes: bool


class _Stop(NamedTuple):
    future: asyncio.Future[Any] | None


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None


class WriterThread:
    """Runs steps, functions of a transaction. Its methods are called in an event loop.

    The thread is a daemon, because a storage that was never closed must not keep the interpreter from exiting: what is
    committed by then is safe, and nothing else was promised.
    """

    def __init__(
        self,
        location: Location,
        namespace: str,
        clock: Clock,
        waiters: LocalWaiters,
        peers: PeerProcesses,
        *,
        create: bool,
    ) -> None:
        self._location = location
        self._namespace = namespace
        self._clock = clock
        self._waiters = waiters
        self._peers = peers
        self._create = create
        self._asked: SimpleQueue[_Job | _Stop] = SimpleQueue()
        threading.Thread(target=self._run, name="aqueue-sqlite", daemon=True).start()

    def submit(
        self, step: Callable[Concatenate[Transaction, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[_T]:
        """Run `step` in the next transaction; the future is done once that is committed.

        A caller that stops waiting for the future disturbs no other. A step may run more than once, each time in a new
        transaction: it must change nothing but the file. The future raises ``QueueFull`` where there is no room, and
        ``QueueUnavailable``.
        """
        return self._ask(lambda transaction: step(transaction, *args, **kwargs), writes=True)

    async def change(self, step: Callable[Concatenate[Transaction, _P], _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """As ``submit``, for a step that brings nothing new: without room for it, the store is unavailable."""
        try:
            return await self.submit(step, *args, **kwargs)
        except QueueFull as error:
            raise QueueUnavailable(str(error)) from error

    def look(
        self, step: Callable[Concatenate[Transaction, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[_T]:
        """Run `step`, which writes nothing and so waits for no lock."""
        return self._ask(lambda transaction: step(transaction, *args, **kwargs), writes=False)

    def _ask(self, step: Callable[[Transaction], _T], *, writes: bool) -> asyncio.Future[_T]:
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._asked.put(_Job(step, future, writes))
        return future

    def stop(self) -> asyncio.Future[None]:
        """End the thread and its connection, after what was submitted so far."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.put(_Stop(future))
        return future

    def stop_unheard(self) -> None:
        """End the thread when no event loop is left that could wait for that."""
        self._asked.put(_Stop(None))

    def _run(self) -> None:
        link: Link | None = None
        stop: _Stop | None = None
        while stop is None:
            jobs, stop = self._next_jobs(link)
            while jobs:
                link, jobs = self._work(link, jobs)
                if jobs:
                    # Other processes ask for the lock at least this often.
                    time.sleep(LOCK_WAIT_MS / 1000)
        if link is not None:
            link.close()
        if stop.future is not None:
            self._deliver([_Outcome(stop.future)], ())

    def _next_jobs(self, link: Link | None) -> tuple[list[_Job], _Stop | None]:
        """What was asked meanwhile; waits for it, and looks at the file now and then while a caller waits for news."""
        jobs: list[_Job] = []
        while len(jobs) < _LARGEST_BATCH:
            try:
                if jobs:
                    asked = self._asked.get_nowait()
                else:
                    asked = self._asked.get(timeout=FILE_LOOK_SECONDS if self._waiters.anyone_waits else None)
            except Empty:
                if jobs:
                    break
                if link is None or link.has_changed():
                    self._waiters.wake_all()
                continue
            if isinstance(asked, _Stop):
                return jobs, asked
            if not asked.future.cancelled():
                jobs.append(asked)
        return jobs, None

    def _work(self, link: Link | None, jobs: list[_Job]) -> tuple[Link | None, list[_Job]]:
        """Do the first of `jobs` and wake the waiters.

        Returns the connection for the next jobs, or None when they need a new one, and the jobs that are left.
        """
        news: set[str] = set()
        try:
            if link is None:
                link = Link(self._location, self._namespace, create=self._create)
                self._create = False
            outcomes = self._commit(link, jobs, news)
        except Exception as error:
            if link is not None:
                link.close()
            link = None
            outcomes = [_Outcome(job.future, error=error) for job in jobs]
        self._peers.announce(news)
        self._deliver(outcomes, news)
        return link, jobs[len(outcomes) :]

    def _commit(self, link: Link, jobs: list[_Job], news: set[str]) -> list[_Outcome]:
        """Do the first of `jobs` in one transaction, as many as have their turn in its time.

        If one of them fails, each is done in a transaction of its own, so that it spoils nothing for the rest.

        Raises:
            QueueUnavailable: none of them can be done now.
        """
        try:
            with link.transaction(self._clock, writes=any(job.writes for job in jobs)) as transaction:
                values = self._take_turns(transaction, jobs)
        except QueueUnavailable:
            raise
        except Exception as error:
            if len(jobs) == 1:
                return [_Outcome(jobs[0].future, error=error)]
            return self._commit_one_by_one(link, jobs, news)
        news |= transaction.news
        return [_Outcome(job.future, value) for job, value in zip(jobs, values, strict=False)]

    def _commit_one_by_one(self, link: Link, jobs: list[_Job], news: set[str]) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        until = time.monotonic() + TURN_SECONDS
        for job in jobs:
            try:
                outcomes += self._commit(link, [job], news)
            except QueueUnavailable:
                if not outcomes:
                    raise
                # The file has what is done so far. The next round finds out about the rest.
                break
            if time.monotonic() > until:
                break
        return outcomes

    def _take_turns(self, transaction: Transaction, jobs: list[_Job]) -> list[Any]:
        values: list[Any] = []
        until = time.monotonic() + TURN_SECONDS
        for job in jobs:
            values.append(job.step(transaction))
            if time.monotonic() > until:
                break
        return values

    def _deliver(self, outcomes: list[_Outcome], news: Collection[str]) -> None:
        for loop in {outcome.future.get_loop() for outcome in outcomes}:
            # Nobody waits in a loop that was closed.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._resolve, loop, outcomes, news)

    def _resolve(self, loop: asyncio.AbstractEventLoop, outcomes: list[_Outcome], news: Collection[str]) -> None:
        self._waiters.wake(news)
        for future, value, error in outcomes:
            if future.get_loop() is not loop or future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
