"""The application for code that cannot await: Flask and Django views, scripts, threads, plain functions as tasks.

Each call here runs its async counterpart in the event loop of the ``Portal``; there is no second implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from .results import ChordResult, ResultGroup

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from datetime import datetime, timedelta

    from ..core.lifecycle import State
    from .portal import Portal
    from .results import Owner, Result, Sendable

R = TypeVar("R")
T = TypeVar("T")


class SyncResult(Generic[R]):
    """A handle on one task, for code that cannot await; see ``Result``."""

    def __init__(self, result: Result[R]) -> None:
        self._result = result
        self._portal = result._source.portal

    def __repr__(self) -> str:
        return f"<SyncResult {self.id}>"

    @property
    def id(self) -> str:
        """The id of the task."""
        return self._result.id

    @property
    def created(self) -> bool:
        """Whether this handle created the task; see ``Result``."""
        return self._result.created

    @overload
    def get(
        self, *, timeout: float | None = None, blocking: Literal[True] = True, revoke_on_timeout: bool = False
    ) -> R: ...

    @overload
    def get(self, *, timeout: float | None = None, blocking: bool, revoke_on_timeout: bool = False) -> R | None: ...

    def get(self, *, timeout: float | None = None, blocking: bool = True, revoke_on_timeout: bool = False) -> R | None:
        """The task's return value; raises like ``Result.get``."""
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
        """Undo a revocation; see ``Result.restore``."""
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
        """Cancel the task and enqueue it again; see ``Result.reschedule``."""
        again = self._portal.call(self._result.reschedule(eta, delay, expires, priority))
        return SyncResult(again)

    def cancel(self) -> bool:
        """End the task, wherever it is; see ``Result.cancel``."""
        return self._portal.call(self._result.cancel())


class SyncChordResult(Generic[R]):
    """Handles of a chord, for code that cannot await; see ``ChordResult``."""

    def __init__(self, result: ChordResult[R]) -> None:
        self.results = [SyncResult(each) for each in result.results]
        self.pipeline_results = [SyncResult(each) for each in result.pipeline_results]
        self.callback: SyncResult[R] = SyncResult(result.callback)

    def get(self, *, timeout: float | None = None) -> R:
        """The callback's return value; raises like ``Result.get``."""
        return self.callback.get(timeout=timeout)


class SyncHuey:
    """``huey.sync``: calls of the application that block until they are done."""

    def __init__(self, owner: Owner, portal: Portal) -> None:
        self._owner = owner
        self._portal = portal

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
            return SyncChordResult(handle)
        if isinstance(handle, ResultGroup):
            return [SyncResult(result) for result in handle]
        return SyncResult(handle)

    def enqueue_many(self, calls: Iterable[Sendable[Result[R]]]) -> list[SyncResult[R]]:
        """Send many calls in as few round trips as the store allows."""
        group = self._portal.call(self._owner.enqueue_many(list(calls)))
        return [SyncResult(result) for result in group]

    def result(self, task_id: str) -> SyncResult[Any]:
        """A handle on the task with this id, no matter which process enqueued it."""
        return SyncResult(self._owner.result(task_id))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run any other call of the application, for example ``huey.put("key", 1)``, and return its result."""
        return self._portal.call(coroutine)

    def close(self) -> None:
        """Close the connections. The next call opens them again."""
        self._portal.close(self._owner.close())
