"""The application from code that cannot await: Flask and Django views, scripts, threads, plain functions as tasks.

There are no twin implementations. One daemon thread runs one event loop, and each call here runs its async counterpart
there.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, overload

from .results import ChordResult, ResultGroup

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from concurrent.futures import Future
    from datetime import datetime, timedelta

    from ..core.lifecycle import State
    from .results import Result, Sendable

R = TypeVar("R")
T = TypeVar("T")


class Application(Protocol):
    """What the facade needs of the application behind it."""

    async def enqueue_many(self, calls: Iterable[Any]) -> ResultGroup[Any]: ...
    def result(self, task_id: str) -> Result[Any]: ...
    async def close(self) -> None: ...


class SyncResult(Generic[R]):
    """A handle on one task, for code that cannot await; see ``Result``."""

    def __init__(self, result: Result[R], portal: Portal) -> None:
        self._result = result
        self._portal = portal

    def __repr__(self) -> str:
        return f"<SyncResult {self.id}>"

    @property
    def id(self) -> str:
        return self._result.id

    @property
    def created(self) -> bool:
        return self._result.created

    @overload
    def get(
        self, *, timeout: float | None = None, blocking: Literal[True] = True, revoke_on_timeout: bool = False
    ) -> R: ...

    @overload
    def get(self, *, timeout: float | None = None, blocking: bool, revoke_on_timeout: bool = False) -> R | None: ...

    def get(self, *, timeout: float | None = None, blocking: bool = True, revoke_on_timeout: bool = False) -> R | None:
        """What the task returned; raises like ``Result.get``."""
        got = self._result.get(timeout=timeout, blocking=blocking, revoke_on_timeout=revoke_on_timeout)
        return self._portal.call(got)

    def status(self) -> State:
        """Where the task is now; see ``Result.status``."""
        return self._portal.call(self._result.status())

    def is_ready(self) -> bool:
        """Whether there is a verdict; see ``Result.is_ready``."""
        return self._portal.call(self._result.is_ready())

    def revoke(self, revoke_once: bool = True) -> None:
        """Keep the task from running; see ``Result.revoke``."""
        self._portal.call(self._result.revoke(revoke_once))

    def restore(self) -> bool:
        """Take a revocation back; see ``Result.restore``."""
        return self._portal.call(self._result.restore())

    def is_revoked(self) -> bool:
        """Whether the task would not run now; see ``Result.is_revoked``."""
        return self._portal.call(self._result.is_revoked())

    def reschedule(
        self,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        expires: float | timedelta | datetime | None = None,
        priority: int | None = None,
    ) -> SyncResult[R]:
        """Cancel the task and enqueue it anew; see ``Result.reschedule``."""
        again = self._portal.call(self._result.reschedule(eta, delay, expires, priority))
        return SyncResult(again, self._portal)

    def cancel(self) -> bool:
        """End the task, wherever it is; see ``Result.cancel``."""
        return self._portal.call(self._result.cancel())


class SyncChordResult(Generic[R]):
    """Handles of a chord, for code that cannot await; see ``ChordResult``."""

    def __init__(self, result: ChordResult[R], portal: Portal) -> None:
        self.results = [SyncResult(each, portal) for each in result.results]
        self.pipeline_results = [SyncResult(each, portal) for each in result.pipeline_results]
        self.callback: SyncResult[R] = SyncResult(result.callback, portal)

    def get(self, *, timeout: float | None = None) -> R:
        """What the callback returned; raises like ``Result.get``."""
        return self.callback.get(timeout=timeout)


class SyncHuey:
    """``huey.sync``: the application's calls, each of which waits for its end."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._portal = Portal()

    @overload
    def enqueue(self, item: Sendable[Result[R]]) -> SyncResult[R]: ...

    @overload
    def enqueue(self, item: Sendable[ResultGroup[R]]) -> list[SyncResult[R]]: ...

    @overload
    def enqueue(self, item: Sendable[ChordResult[R]]) -> SyncChordResult[R]: ...

    def enqueue(self, item: Sendable[Any]) -> Any:
        """Send a call, made with ``task.s(...)``, or a workflow; raises like their own ``enqueue``."""
        handle = self._portal.call(item.enqueue())
        if isinstance(handle, ChordResult):
            return SyncChordResult(handle, self._portal)
        if isinstance(handle, ResultGroup):
            return [SyncResult(result, self._portal) for result in handle]
        return SyncResult(handle, self._portal)

    def enqueue_many(self, calls: Iterable[Sendable[Result[R]]]) -> list[SyncResult[R]]:
        """Send many calls in as few round trips as the store allows."""
        group = self._portal.call(self._application.enqueue_many(list(calls)))
        return [SyncResult(result, self._portal) for result in group]

    def result(self, task_id: str) -> SyncResult[Any]:
        """A handle on the task of this id, whoever enqueued it."""
        return SyncResult(self._application.result(task_id), self._portal)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await any other call of the application, ``huey.put("key", 1)`` say, and return what it gives."""
        return self._portal.call(coroutine)

    def close(self) -> None:
        """Close the connections. The next call opens them again."""
        self._portal.close(self._application.close())


class Portal:
    """One event loop in one daemon thread, started by the first call. A forked child starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` in the loop and return its result.

        Raises:
            RuntimeError: called from an event loop, which it would block; await the async call there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._result(asyncio.run_coroutine_threadsafe(coroutine, self._running_loop()))
        coroutine.close()
        raise RuntimeError("huey.sync would block this event loop: await the async call instead")

    def _result(self, future: Future[T]) -> T:
        try:
            return future.result()
        finally:
            # Whoever is interrupted waits no longer: it must not get a lock, say, that nobody will release.
            future.cancel()

    def close(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run `coroutine` if the loop was ever used, and end the loop."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None or self._pid != os.getpid():
            coroutine.close()
            return
        asyncio.run_coroutine_threadsafe(coroutine, loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                loop = self._loop = asyncio.new_event_loop()
                self._pid = os.getpid()
                # A daemon: a script that never closes still ends.
                threading.Thread(target=_run_until_stopped, args=(loop,), name="aqueue-sync", daemon=True).start()
            return self._loop


def _run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
