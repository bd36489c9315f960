"""One event loop's line to the store: enqueues share round trips, and the store pushes results.

Its loops belong to one task group: one sends what is enqueued, some answer look-ups, one listens for events, and one
looks again at tasks with long waits, because a pushed message is a hint that can get lost.

**What is shared.** All code of one event loop shares one client: callers that enqueue and wait, workers, the permits of
locks. Nothing awaits between reading a collection and writing it, so there is no lock. Another event loop has a client
of its own and shares nothing but the store.

**What guards what.** `_waiters` has the futures of callers that wait for a verdict, by task id, the least recently
looked-up task first; `_followers` has the queues of callers that read progress. The listener and the look-ups resolve
them; a caller that gives up removes its own. `_to_look_at` has the ids of waiters that need a look-up without delay,
`_looked_at` those whose look-up is under way.

**Which races there are.**

* A verdict comes before anyone waits for it. Callers await most results right after the enqueue, and a look-up would be
  a second round trip. So `_recent` has the tasks that this client enqueued last, with their verdicts so far. A task
  without a verdict in there will still be announced, because the client adds a task only while it listens.
* A verdict comes between a look-up and the wait. So a waiter is in `_waiters` before the look-up starts: either the
  look-up or the announcement resolves it, and the second of the two changes nothing.
* An announcement is lost with its connection, or comes without its result because that is too large. `Connected`
  clears `_recent` and makes the client look at every waiter; a timer does the same, in the order of `_waiters`.
* A verdict overtakes the last progress report. So a follower looks once more when it has the verdict.
* A receiver unsubscribes itself, or another receiver, while an event is passed on: see ``subscribers``.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from ..core.clock import span_ms
from ..core.ids import kind_key, new_token
from ..core.lifecycle import VERDICTS
from ..core.patience import FREIGHT_BYTES, next_flight
from ..exceptions import QueueFull, QueueUnavailable, ResultNotFound, ResultTimeout
from ..storage.protocol import Connected, Progressed, Record, Settled
from .group_commit import GroupCommit
from .permits import Permits
from .recent import Recent
from .subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from ..core.message import Delivery, Envelope, Node
    from ..storage.protocol import Event, Storage
    from .subscribers import E

    Lender: TypeAlias = Callable[[Sequence[str]], AbstractAsyncContextManager[None]]

SECOND_LOOK_SECONDS = 5.0
_MOST_LOOKED_AT = 1000
_CLOSED = "the application was closed while a result was awaited"
_LARGEST_FLIGHT = 5000

_payload_of: Callable[[Envelope], bytes] = attrgetter("payload")


class Client:
    """Enqueues tasks and delivers results for all code of one event loop.

    `token` is its address for workers that announce a verdict. `entered` counts the open ``async with`` blocks, and
    `held` the workers that need it; `is_given_up` is set when it was to be closed while it was held. Callers wait for
    results inside the contexts that `lenders` make for the ids of their tasks.
    """

    def __init__(self, storage: Storage, lenders: Sequence[Lender] = ()) -> None:
        self.storage = storage
        self.token = new_token()
        self.entered = 0
        self.held = 0
        self.is_given_up = False
        self._lenders = lenders
        self._pushes: GroupCommit[Envelope, bool] = GroupCommit(storage.push, content=_payload_of)
        # Large ones travel apart, one by one: whatever happens to one of them, and for however long, delays no other.
        self._freight: GroupCommit[Envelope, bool] = GroupCommit(storage.push, largest_batch=1)
        self._looks: GroupCommit[str, Record | None] = GroupCommit(storage.records)
        self._watches: GroupCommit[str, Record | None] = GroupCommit(self._watch)
        self._starts: GroupCommit[tuple[str, str], bool] = GroupCommit(self._ask_before_start)
        # In the order of their last look-up, so that each waiter has its turn even when there are many.
        self._waiters: dict[str, list[asyncio.Future[Record]]] = {}
        self._followers: dict[str, list[asyncio.Queue[bytes | None]]] = {}
        self._to_look_at: set[str] = set()
        self._looked_at: set[str] = set()
        self._recent = Recent()
        self._look_now = asyncio.Event()
        self._listening_wanted = asyncio.Event()
        self._listening = asyncio.Event()
        self._is_closed = False
        self._running: asyncio.Task[None] | None = None
        self._subscribers = Subscribers()
        self.permits = Permits(storage, self._subscribers, self.start_listening)

    # -- lifetime

    async def open(self) -> None:
        """Connect, and start the loops."""
        await self.storage.open()
        self._running = asyncio.create_task(self._run(), name="aqueue-client")
        # A task that is cancelled before its first step never gets to its `finally`, and would not close the store.
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop the loops and disconnect. Callers that still wait get ``QueueUnavailable``."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    async def wait_until_closed(self) -> None:
        """Wait until it is closed, or has failed."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pushes.run())
                group.create_task(self._freight.run())
                group.create_task(self._looks.run())
                group.create_task(self._watches.run())
                group.create_task(self._starts.run())
                group.create_task(self._listen())
                group.create_task(self._keep_looking())
                group.create_task(self.permits.run())
        finally:
            self._is_closed = True
            # Callers that wait for the first connection go on, and find that it is closed.
            self._listening.set()
            for task_id in list(self._waiters):
                self._fail(task_id, QueueUnavailable(_CLOSED))
            # Here and not in `close`: if a script forgets to close, the end of its loop cancels this task.
            await self.storage.close()

    # -- enqueueing

    @property
    def is_full(self) -> bool:
        """Whether the send buffer is full; if so, await ``wait_for_room()`` before creating another envelope."""
        return self._pushes.is_full or self._freight.is_full

    async def wait_for_room(self) -> None:
        """Wait until the send buffer is not full."""
        await self._pushes.wait_for_room()
        await self._freight.wait_for_room()

    def push(self, envelope: Envelope) -> Awaitable[bool]:
        """Add `envelope` to the store; the result is False if its id was known."""
        if self._listening.is_set():
            self._recent.add(envelope.id)
        pushes = self._pushes if len(envelope.payload) <= FREIGHT_BYTES else self._freight
        return pushes.submit(envelope)

    async def push_all(self, envelopes: Sequence[Envelope]) -> list[bool]:
        """Add all `envelopes` to the store, flight after flight.

        An error of the store has all ids, and those that are in the store: see ``QueueUnavailable``.
        """
        created: list[bool] = []
        while len(created) < len(envelopes):
            flight = next_flight(envelopes, len(created), _LARGEST_FLIGHT, _payload_of)
            try:
                created += await self.storage.push(flight)
            except (QueueUnavailable, QueueFull) as error:
                error.ids = [envelope.id for envelope in envelopes]
                error.kept = error.ids[: len(created)]
                raise
        return created

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        """Add all `nodes` to the store, or none; see ``Storage.push_workflow``."""
        return await self.storage.push_workflow(nodes)

    async def report(self, delivery: Delivery, progress: bytes, reply: str) -> bool:
        """Publish the progress of a running task; see ``Storage.report``. May be awaited in any event loop.

        Raises:
            QueueUnavailable: the store could not be reached in time, or the client was closed.
        """
        if self._running is None or self._running.done():
            raise QueueUnavailable("the application was closed")
        loop = self._running.get_loop()
        reporting = self.storage.report(delivery.receipt, delivery.id, progress, reply)
        if loop is asyncio.get_running_loop():
            return await reporting
        # A plain function has a loop of its own in its thread, and the connections belong to ours.
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(reporting, loop))

    async def must_not_start(self, task_id: str, task: str) -> bool:
        """Whether a task that is about to start was cancelled, or revoked by its id or by its name."""
        return await self._starts.submit((task_id, kind_key(task)))

    async def _ask_before_start(self, keys: Sequence[tuple[str, str]]) -> list[bool]:
        return await self.storage.revoked(keys, True)

    # -- results

    async def look(self, task_id: str) -> Record | None:
        """The store's record of a task now; None if it has none."""
        return await self._looks.submit(task_id)

    async def wait_all(self, task_ids: list[str], timeout: float | None, foreign: bool) -> list[Record]:
        """Wait for the verdicts of `task_ids`; `foreign` if another client may have enqueued the tasks.

        Raises:
            ResultTimeout: a verdict did not arrive within `timeout` seconds.
            ResultNotFound: the store does not know one of the tasks.
        """
        if timeout is not None and span_ms(timeout, "timeout") == 0:
            return await self._look_once(task_ids)
        waits: list[tuple[str, asyncio.Future[Record]]] = []
        try:
            async with asyncio.timeout(timeout) as scope:
                self.start_listening()
                await self._listening.wait()
                waits = [(task_id, self._wait(task_id)) for task_id in task_ids]
                await self._look_at(task_ids if foreign else self._missed(task_ids), foreign)
                if not self._lenders or all(future.done() for _, future in waits):
                    return [await future for _, future in waits]
                async with self._lent(task_ids):
                    records = [await future for _, future in waits]
                    # The results are here; the wait for a slot to go on with is not the caller's.
                    scope.reschedule(None)
                return records
        except TimeoutError as error:
            if isinstance(error, ResultTimeout):
                raise
            what = f"result {task_ids[0]}" if len(task_ids) == 1 else f"all of {len(task_ids)} results"
            raise ResultTimeout(f"{what} did not arrive within {timeout} s") from None
        finally:
            for task_id, future in waits:
                self._stop_waiting(task_id, future)

    @contextlib.asynccontextmanager
    async def _lent(self, task_ids: Sequence[str]) -> AsyncIterator[None]:
        """A context in which the caller waits for `task_ids`, and a worker may use what the caller holds."""
        async with contextlib.AsyncExitStack() as stack:
            for lender in tuple(self._lenders):
                await stack.enter_async_context(lender(task_ids))
            yield

    def _missed(self, task_ids: list[str]) -> list[str]:
        """Those of `task_ids` that need a look-up, because this client may have missed their announcements."""
        missed = []
        for task_id in task_ids:
            if task_id not in self._recent:
                missed.append(task_id)
            elif (record := self._recent.pop(task_id)) is not None:
                self._learn(task_id, record)
        return missed

    async def _look_once(self, task_ids: list[str]) -> list[Record]:
        records = []
        for task_id, record in zip(task_ids, await self.storage.records(task_ids), strict=True):
            if record is None:
                raise _unknown(task_id)
            if record.state not in VERDICTS:
                raise ResultTimeout(f"result {task_id} is not there yet: the task is {record.state}")
            records.append(record)
        return records

    async def follow(self, task_id: str, foreign: bool) -> AsyncIterator[bytes]:
        """The progress reports of a task: the last one so far, and each further one until its verdict."""
        self.start_listening()
        await self._listening.wait()
        verdict = self._wait(task_id)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._followers.setdefault(task_id, []).append(queue)
        verdict.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            record = await (self._watches if foreign else self._looks).submit(task_id)
            if record is not None and record.progress:
                queue.put_nowait(record.progress)
            self._learn(task_id, record)
            last = b""
            while (progress := await self._next(queue, task_id)) is not None:
                last = progress
                yield progress
            verdict.result()
            # The verdict may have overtaken the last report.
            record = await self._looks.submit(task_id)
            if record is not None and record.progress not in {b"", last}:
                yield record.progress
        finally:
            self._stop_waiting(task_id, verdict)
            self._followers[task_id].remove(queue)
            if not self._followers[task_id]:
                del self._followers[task_id]

    async def _next(self, queue: asyncio.Queue[bytes | None], task_id: str) -> bytes | None:
        if not self._lenders or not queue.empty():
            return await queue.get()
        async with self._lent([task_id]):
            return await queue.get()

    # -- the loops

    def start_listening(self) -> None:
        """Start to listen for events, if that has not started yet: most producers never wait for a result."""
        self._listening_wanted.set()

    def subscribe(self, kind: type[E], receiver: Callable[[E], None]) -> Callable[[], None]:
        """Call `receiver` with each event of `kind`; returns a function that ends the subscription.

        `kind` is any event but ``Settled`` and ``Progressed``, which go to the callers that wait for a result. Events
        arrive only after a call of ``start_listening``. An exception of a receiver is logged.
        """
        return self._subscribers.add(kind, receiver)

    async def _listen(self) -> None:
        await self._listening_wanted.wait()
        await self.storage.listen(self.token, self._handle)

    def _handle(self, event: Event) -> None:
        match event:
            case Settled(task_id, state, result):
                self._recent.hear(task_id, None if result is None else Record(state, result))
                if result is None:
                    self._look_soon({task_id})
                else:
                    self._learn(task_id, Record(state, result))
            case Progressed(task_id, progress):
                for queue in self._followers.get(task_id, ()):
                    queue.put_nowait(progress)
            case Connected():
                self._listening.set()
                self._recent.clear()
                self._look_soon(self._waiters)
                self._subscribers.tell(event)
            case _:
                self._subscribers.tell(event)

    def _look_soon(self, task_ids: Iterable[str]) -> None:
        waited_for = self._waiters.keys() & task_ids
        if waited_for:
            self._to_look_at |= waited_for
            self._look_now.set()

    async def _keep_looking(self) -> None:
        """Look up tasks at once when a message asks for it, and every few seconds those with the oldest look-up."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECOND_LOOK_SECONDS):
                    await self._look_now.wait()
            self._look_now.clear()
            task_ids = [task_id for task_id in self._to_look_at if task_id in self._waiters]
            self._to_look_at.clear()
            # During an outage the next round tries again.
            with contextlib.suppress(QueueUnavailable):
                await self._look_at(task_ids or self._next_in_turn())

    def _next_in_turn(self) -> list[str]:
        """The waiters with the oldest look-up; none whose result is on its way, however large and slowly."""
        return list(islice((task_id for task_id in self._waiters if task_id not in self._looked_at), _MOST_LOOKED_AT))

    async def _look_at(self, task_ids: list[str], foreign: bool = False) -> None:
        """Read the records of tasks; `foreign` also asks the store to announce their verdicts to this client."""
        if not task_ids:
            return
        self._looked_at.update(task_ids)
        try:
            if len(task_ids) == 1:
                looks = self._watches if foreign else self._looks
                records: Sequence[Record | None] = [await looks.submit(task_ids[0])]
            else:
                records = await (self._watch(task_ids) if foreign else self.storage.records(task_ids))
        finally:
            self._looked_at.difference_update(task_ids)
        for task_id, record in zip(task_ids, records, strict=True):
            self._learn(task_id, record)

    async def _watch(self, task_ids: Sequence[str]) -> list[Record | None]:
        return await self.storage.records(task_ids, self.token)

    # -- waiters

    def _wait(self, task_id: str) -> asyncio.Future[Record]:
        if self._is_closed:
            raise QueueUnavailable(_CLOSED)
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task_id, []).append(future)
        return future

    def _stop_waiting(self, task_id: str, future: asyncio.Future[Record]) -> None:
        future.cancel()
        futures = self._waiters.get(task_id)
        if futures is not None and future in futures:
            futures.remove(future)
            if not futures:
                del self._waiters[task_id]

    def _learn(self, task_id: str, record: Record | None) -> None:
        """Take in the record of a task: wake its waiters if it has a verdict, or if it is unknown and never will."""
        if record is None:
            self._fail(task_id, _unknown(task_id))
        elif record.state in VERDICTS:
            for future in self._waiters.pop(task_id, ()):
                if not future.done():
                    future.set_result(record)
        elif task_id in self._waiters:
            self._waiters[task_id] = self._waiters.pop(task_id)

    def _fail(self, task_id: str, error: Exception) -> None:
        for future in self._waiters.pop(task_id, ()):
            if not future.done():
                future.set_exception(error)
                # Marks the exception as retrieved: asyncio must not warn if the waiter has gone meanwhile.
                future.exception()


def _unknown(task_id: str) -> ResultNotFound:
    return ResultNotFound(f"task {task_id!r} is unknown to the store: never enqueued there, or its result has expired")
