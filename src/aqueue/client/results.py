"""What the caller of a task holds: a handle on a result that may not exist yet.

Reading a result does not destroy it. All waiters of an event loop share one subscription to the store.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar, cast, overload

from ..core.clock import span_ms
from ..core.failures import read_error
from ..core.lifecycle import VERDICTS, State
from ..core.message import Error
from ..exceptions import DecodeError, ResultTimeout, TaskException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Iterator
    from datetime import datetime, timedelta

    from ..core.codec import Codec
    from ..storage.protocol import Record
    from .loops import ClientPerLoop
    from .portal import Portal

R_co = TypeVar("R_co", covariant=True)


class Progress(NamedTuple):
    """How far a running task is, as it reported; `total` is None if it is not known."""

    done: float
    total: float | None = None
    message: str = ""


def read_progress(codec: Codec, task_id: str, data: bytes) -> Progress:
    """A stored progress report.

    Raises:
        DecodeError: `data` is not one.
    """
    fields = codec.decode_value(data, "progress", task_id)
    if not isinstance(fields, (list, tuple)) or len(fields) != len(Progress._fields):
        raise DecodeError(f"a progress report of task {task_id} is malformed")
    return Progress(*fields)


class Sendable(Protocol[R_co]):
    """What can be enqueued: a call or a workflow. `R_co` is the type of the handle that ``enqueue`` returns."""

    def enqueue(self) -> Coroutine[Any, Any, R_co]: ...


class Owner(Protocol):
    """The methods that handles call on the application that made them, which is ``Huey``."""

    def result(self, task_id: str) -> Result[Any]: ...

    async def enqueue_many(self, calls: Iterable[Any]) -> ResultGroup[Any]: ...

    async def revoke(self, what: Any, revoke_until: datetime | None = None, revoke_once: bool = False) -> None: ...

    async def restore(self, what: Any) -> bool: ...

    async def is_revoked(self, what: Any) -> bool: ...

    async def cancel(self, what: Result[Any]) -> bool: ...

    async def reschedule(
        self,
        what: Result[Any],
        eta: datetime | None,
        delay: float | timedelta | None,
        expires: float | timedelta | datetime | None,
        priority: int | None,
    ) -> Result[Any]: ...

    async def close(self) -> None: ...


class ResultSource(NamedTuple):
    """What the results of one application share: access to the store, the codec, and a way to wait in a thread."""

    clients: ClientPerLoop
    codec: Codec
    portal: Portal
    owner: Owner


class Result(Generic[R_co]):
    """A handle on one task. Awaiting it gives the task's return value.

    `created` is False if this handle did not create the task: the id was known already, or was only looked up.
    """

    __slots__ = ("_source", "_verdict", "created", "id")

    def __init__(self, task_id: str, source: ResultSource, created: bool = True) -> None:
        self.id = task_id
        self.created = created
        self._source = source
        self._verdict: Record | None = None

    def __repr__(self) -> str:
        return f"<Result {self.id}{'' if self._verdict is None else ' ' + self._verdict.state}>"

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.get().__await__()

    @overload
    async def get(
        self, *, timeout: float | None = None, blocking: Literal[True] = True, revoke_on_timeout: bool = False
    ) -> R_co: ...

    @overload
    async def get(
        self, *, timeout: float | None = None, blocking: bool, revoke_on_timeout: bool = False
    ) -> R_co | None: ...

    async def get(
        self, *, timeout: float | None = None, blocking: bool = True, revoke_on_timeout: bool = False
    ) -> R_co | None:
        """The task's return value. Waits for it, at most `timeout` seconds (None: without limit; 0: not at all).

        With ``blocking=False``, returns None at once if the task has no verdict yet. With `revoke_on_timeout`, a
        timeout also revokes the task.

        Raises:
            TaskException: the task failed, was cancelled, expired or is dead.
            ResultTimeout: there was no verdict in time. It is also a ``TimeoutError``.
            ResultNotFound: the store does not know the task, or no longer does.
            DecodeError: the serializer here cannot read the stored bytes.
        """
        record = self._verdict
        if record is None:
            if blocking:
                try:
                    client = await self._source.clients.open()
                    (record,) = await client.wait_all([self.id], timeout, not self.created)
                except ResultTimeout:
                    if revoke_on_timeout:
                        await self.revoke()
                    raise
            else:
                found = await self._look()
                if found is None or found.state not in VERDICTS:
                    return None
                record = found
            self._verdict = record
        return self._value(record)

    async def get_raw_result(
        self, *, timeout: float | None = None, blocking: bool = True, revoke_on_timeout: bool = False
    ) -> R_co | Error | None:
        """Like ``get``, but return an ``Error`` where ``get`` would raise ``TaskException``."""
        try:
            return await self.get(timeout=timeout, blocking=blocking, revoke_on_timeout=revoke_on_timeout)
        except TaskException as error:
            return Error(error.metadata)

    def reset(self) -> None:
        """Forget the verdict that this handle has read: the task may have run again since, or its result expired."""
        self._verdict = None

    async def status(self) -> State:
        """Where the task is now: ``queued``, ``scheduled``, ``waiting``, ``running``, ``retrying``, ``done``,
        ``failed``, ``cancelled``, ``expired``, ``dead``, or ``unknown`` to the store."""
        if self._verdict is not None:
            return self._verdict.state
        record = await self._look()
        return State.UNKNOWN if record is None else record.state

    async def is_ready(self) -> bool:
        """Whether there is a verdict; if so, ``get`` does not wait."""
        return await self.status() in VERDICTS

    async def progress(self) -> AsyncIterator[Progress]:
        """The progress reports of the task: its last one so far, and each further one until its verdict."""
        client = await self._source.clients.open()
        async for report in client.follow(self.id, not self.created):
            yield read_progress(self._source.codec, self.id, report)

    async def revoke(self, revoke_once: bool = True) -> None:
        """Keep the task from running, unless it runs already; see ``Huey.revoke``."""
        await self._source.owner.revoke(self, None, revoke_once)

    async def restore(self) -> bool:
        """Undo a revocation of this task; True if one was in force."""
        return await self._source.owner.restore(self)

    async def is_revoked(self) -> bool:
        """Whether the task would not run now, because this call or the whole task is revoked."""
        return await self._source.owner.is_revoked(self)

    async def cancel(self) -> bool:
        """End the task, wherever it is; False if it has its verdict already. See ``Huey.cancel``."""
        return await self._source.owner.cancel(self)

    async def reschedule(
        self,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        expires: float | timedelta | datetime | None = None,
        priority: int | None = None,
    ) -> Result[R_co]:
        """Cancel the task and enqueue it again under a new id; see ``Huey.reschedule``."""
        return await self._source.owner.reschedule(self, eta, delay, expires, priority)

    async def _look(self) -> Record | None:
        return await (await self._source.clients.open()).look(self.id)

    def _value(self, record: Record) -> R_co:
        if record.state == State.DONE:
            # For a task declared with results=False the store keeps the verdict, but no value.
            return cast("R_co", self._decoded(record.result, "result") if record.result else None)
        metadata = read_error(self._source.codec, self.id, record.result)
        raise TaskException({**metadata, "state": str(record.state)})

    def _decoded(self, data: bytes, what: str) -> Any:
        return self._source.codec.decode_value(data, what, self.id)


class ResultGroup(Generic[R_co]):
    """Handles of tasks that were enqueued together, in order. Awaiting it gives the list of their return values."""

    def __init__(self, results: Iterable[Result[R_co]]) -> None:
        self._results = list(results)

    def __repr__(self) -> str:
        return f"<ResultGroup of {len(self)}>"

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result[R_co]]:
        return iter(self._results)

    def __getitem__(self, index: int) -> Result[R_co]:
        return self._results[index]

    def __await__(self) -> Generator[Any, None, list[R_co]]:
        return self.get().__await__()

    async def get(self, *, timeout: float | None = None) -> list[R_co]:
        """The return values of the tasks, in order; `timeout` in seconds is one deadline for all of them.

        Raises:
            TaskException: a task has no return value; the exception is that of the first such task in order.
            ResultTimeout: a verdict did not arrive in time.
        """
        if not self._results:
            return []
        missing = [result for result in self._results if result._verdict is None]
        if missing:
            foreign = not all(result.created for result in missing)
            client = await missing[0]._source.clients.open()
            records = await client.wait_all([result.id for result in missing], timeout, foreign)
            for result, record in zip(missing, records, strict=True):
                result._verdict = record
        return [await result for result in self._results]

    async def as_completed(self, *, timeout: float | None = None) -> AsyncIterator[Result[R_co]]:
        """The handles, each as soon as its task has a verdict; awaiting one gives its value without waiting.

        Raises:
            ResultTimeout: a verdict did not arrive within `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + span_ms(timeout, "timeout") / 1000
        waits = [loop.create_task(_verdict_of(result)) for result in self._results]
        # asyncio.wait() in a loop would visit every task again each time that one is done.
        ended: asyncio.Queue[asyncio.Task[Result[R_co]]] = asyncio.Queue()
        for wait in waits:
            wait.add_done_callback(ended.put_nowait)
        try:
            for left in range(len(waits), 0, -1):
                try:
                    async with asyncio.timeout_at(deadline):
                        wait = await ended.get()
                except TimeoutError:
                    raise ResultTimeout(f"{left} of {len(self)} results did not arrive within {timeout} s") from None
                yield wait.result()
        finally:
            for wait in waits:
                wait.cancel()
            # Retrieves the errors of waits that the caller did not consume, so that asyncio does not warn.
            await asyncio.gather(*waits, return_exceptions=True)


class ChordResult(Generic[R_co]):
    """Handles of a chord: `results` of its members, and `callback`. Awaiting it gives the callback's return value.

    `pipeline_results` has the callback and the tasks that follow it, if any.
    """

    def __init__(self, results: ResultGroup[Any], pipeline_results: ResultGroup[Any]) -> None:
        self.results = results
        self.pipeline_results = pipeline_results

    def __repr__(self) -> str:
        return f"<ChordResult of {len(self.results)}>"

    @property
    def callback(self) -> Result[R_co]:
        return self.pipeline_results[0]

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.callback.__await__()

    async def get(self, *, timeout: float | None = None) -> R_co:
        """The callback's return value; raises like ``Result.get``."""
        return await self.callback.get(timeout=timeout)


async def _verdict_of(result: Result[R_co]) -> Result[R_co]:
    # A result with an error is yielded too: the caller gets the error when it awaits it.
    with contextlib.suppress(TaskException, DecodeError):
        await result.get()
    return result
