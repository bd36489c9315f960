"""A bridge for code that cannot await: one event loop in one daemon thread."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

T = TypeVar("T")


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
            QueueUnavailable: the portal was closed before the call was done.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # Submitted under the lock: `close` ends what was submitted before it.
            with self._lock:
                loop = self._running_loop()
                future = asyncio.run_coroutine_threadsafe(coroutine, loop)
            return self._result(future, loop)
        coroutine.close()
        raise RuntimeError("a synchronous call would block this event loop: use await (or async with) here")

    def _result(self, future: Future[T], loop: asyncio.AbstractEventLoop) -> T:
        try:
            return future.result()
        except CancelledError:
            if self._loop is loop:
                raise
            raise QueueUnavailable("huey.sync was closed while a call was under way") from None
        finally:
            # An interrupted caller no longer waits. It must not acquire a lock, for example, that it will not release.
            future.cancel()

    def close(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run `coroutine` if the loop was ever used, and end the loop with every call that is still under way."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None or self._pid != os.getpid():
            coroutine.close()
            return
        asyncio.run_coroutine_threadsafe(coroutine, loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._pid != os.getpid():
            loop = self._loop = asyncio.new_event_loop()
            self._pid = os.getpid()
            # A daemon, so that a script that never calls `close` still ends.
            threading.Thread(target=_run_until_stopped, args=(loop,), name="aqueue-sync", daemon=True).start()
        return self._loop


def _run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # Other threads wait for these.
        while tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
