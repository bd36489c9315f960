"""One event loop's line to the store: enqueues that share round trips, and results that are pushed.

Its loops belong to one task group: one commits what is enqueued, one answers looks, one listens for events, and one
looks again at tasks that were waited for long, because a pushed message is a hint that can get lost.

**What is shared.** All code of one event loop shares one client: callers that enqueue and wait, workers, the permits of
locks. Nothing awaits between reading a collection and writing it, so there is no lock. Another event loop has a client
of its own and shares nothing but the store.

**Who waits.** `_waiters` has the futures of those who wait for a verdict, by task id, in the order in which the tasks
were last looked at; `_followers` has the queues of those who read progress. The listener and the looks resolve them; a
caller that gives up removes its own. `_to_look_at` names those of the waiters that must be looked at without delay.

**Which races there are.**

* A verdict comes before anyone waits for it. Most results are awaited right after the enqueue, and a look would be a
  second round trip. So `_recent` has the tasks that were enqueued here last, and the verdicts of those that have one:
  a task that is in there without a verdict will be announced. It takes in only what is enqueued while we listen.
* A verdict comes between a look and the wait. So a waiter is in `_waiters` before the look leaves: either the look or
  the announcement finds it, and the second of the two changes nothing.
* An announcement is lost, with its connection or because its result is too large for one. `Connected` empties `_recent`
  and has every waiter looked at, and so does time, the one that was not looked at for longest first.
* A verdict overtakes the last report of progress. So a follower looks once more when it has the verdict.
* A receiver unsubscribes another one, or itself, while an event is passed on: see ``subscribers``.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ..core.clock import span_ms
from ..core.ids import kind_key, new_token
from ..core.lifecycle import VERDICTS
from ..exceptions import QueueUnavailable, ResultNotFound, ResultTimeout
from ..storage.protocol import Connected, Progressed, Record, Settled
from .group_commit import GroupCommit
from .permits import Permits
from .subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from ..core.message import Delivery, Envelope, Node
    from ..storage.protocol import Event, Storage
    from .subscribers import E

SECOND_LOOK_SECONDS = 5.0
_MOST_LOOKED_AT = 1000
_MOST_RECENT = 1000


class Client:
    """Pushes for, and delivers results to, everyone in one event loop.

    `token` names it to the workers, `entered` counts the ``async with`` blocks that it is open for.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.token = new_token()
        self.entered = 0
        self._pushes: GroupCommit[Envelope, bool] = GroupCommit(storage.push)
        self._looks: GroupCommit[str, Record | None] = GroupCommit(storage.records)
        self._watches: GroupCommit[str, Record | None] = GroupCommit(self._watch)
        self._starts: GroupCommit[tuple[str, str], bool] = GroupCommit(self._ask_before_start)
        # In the order of their last look, so that every waiter has its turn however many there are.
        self._waiters: dict[str, list[asyncio.Future[Record]]] = {}
        self._followers: dict[str, list[asyncio.Queue[bytes | None]]] = {}
        self._to_look_at: set[str] = set()
        self._recent = Recent()
        self._look_now = asyncio.Event()
        self._listening_wanted = asyncio.Event()
        self._listening = asyncio.Event()
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
        """Stop the loops and disconnect. Whoever still waits gets ``QueueUnavailable``."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pushes.run())
                group.create_task(self._looks.run())
                group.create_task(self._watches.run())
                group.create_task(self._starts.run())
                group.create_task(self._listen())
                group.create_task(self._keep_looking())
                group.create_task(self.permits.run())
        finally:
            for task_id in list(self._waiters):
                self._fail(task_id, QueueUnavailable("the application was closed while a result was awaited"))
            # Here and not in `close`: a script that forgets to close ends with its loop, which cancels this task.
            await self.storage.close()

    # -- enqueueing

    @property
    def is_full(self) -> bool:
        """Whether so many envelopes wait that the next caller should ``wait_for_room`` before it makes another."""
        return self._pushes.is_full

    async def wait_for_room(self) -> None:
        """Wait until it is not full."""
        await self._pushes.wait_for_room()

    def push(self, envelope: Envelope) -> Awaitable[bool]:
        """Keep `envelope` in the store; gives False when its id was known."""
        if self._listening.is_set():
            self._recent.add(envelope.id)
        return self._pushes.submit(envelope)

    async def push_all(self, envelopes: Sequence[Envelope]) -> list[bool]:
        """Keep all `envelopes`, in as few steps as the store allows."""
        return await self.storage.push(envelopes)

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        """Keep all `nodes` or none; see ``Storage.push_workflow``."""
        return await self.storage.push_workflow(nodes)

    async def report(self, delivery: Delivery, progress: bytes, reply: str) -> bool:
        """Tell how far a running task is; see ``Storage.report``."""
        return await self.storage.report(delivery.receipt, delivery.id, progress, reply)

    async def must_not_start(self, task_id: str, task: str) -> bool:
        """Whether a task that is about to start was revoked, itself or every task of its name, or cancelled."""
        return await self._starts.submit((task_id, kind_key(task)))

    async def _ask_before_start(self, keys: list[tuple[str, str]]) -> list[bool]:
        return await self.storage.revoked(keys, True)

    # -- results

    async def look(self, task_id: str) -> Record | None:
        """What the store knows of a task now."""
        return await self._looks.submit(task_id)

    async def wait_all(self, task_ids: list[str], timeout: float | None, foreign: bool) -> list[Record]:
        """The verdicts of `task_ids`, once each has one; `foreign` when someone else may have enqueued the tasks.

        Raises:
            ResultTimeout: not every verdict was there within `timeout` seconds.
            ResultNotFound: the store does not know one of the tasks.
        """
        if timeout is not None and span_ms(timeout, "timeout") == 0:
            return await self._look_once(task_ids)
        waits: list[tuple[str, asyncio.Future[Record]]] = []
        try:
            async with asyncio.timeout(timeout):
                self.start_listening()
                await self._listening.wait()
                waits = [(task_id, self._wait(task_id)) for task_id in task_ids]
                await self._look_at(task_ids if foreign else self._untold(task_ids), foreign)
                return [await future for _, future in waits]
        except TimeoutError as error:
            if isinstance(error, ResultTimeout):
                raise
            what = f"result {task_ids[0]}" if len(task_ids) == 1 else f"all of {len(task_ids)} results"
            raise ResultTimeout(f"{what} did not arrive within {timeout} s") from None
        finally:
            for task_id, future in waits:
                self._stop_waiting(task_id, future)

    def _untold(self, task_ids: list[str]) -> list[str]:
        """Those of `task_ids` that must be looked at, because word of their verdicts may have passed us by."""
        untold = []
        for task_id in task_ids:
            if task_id not in self._recent:
                untold.append(task_id)
            elif (record := self._recent.pop(task_id)) is not None:
                self._learn(task_id, record)
        return untold

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
        """Each progress report of a task, the last one so far first, until its verdict."""
        self.start_listening()
        await self._listening.wait()
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._followers.setdefault(task_id, []).append(queue)
        verdict = self._wait(task_id)
        verdict.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            record = await (self._watches if foreign else self._looks).submit(task_id)
            if record is not None and record.progress:
                queue.put_nowait(record.progress)
            self._learn(task_id, record)
            told = b""
            while (progress := await queue.get()) is not None:
                told = progress
                yield progress
            verdict.result()
            # The verdict may have overtaken the last report.
            record = await self._looks.submit(task_id)
            if record is not None and record.progress not in {b"", told}:
                yield record.progress
        finally:
            self._stop_waiting(task_id, verdict)
            self._followers[task_id].remove(queue)
            if not self._followers[task_id]:
                del self._followers[task_id]

    # -- the loops

    def start_listening(self) -> None:
        """Most producers never wait for a result, so listening starts with the first who does."""
        self._listening_wanted.set()

    def subscribe(self, kind: type[E], receiver: Callable[[E], None]) -> Callable[[], None]:
        """Call `receiver` with each event of `kind` that the store tells everyone, until what this returns is called.

        `kind` is any but ``Settled`` and ``Progressed``, which are for the one who waits for a result. Nothing is heard
        before somebody has called ``start_listening``. A receiver that raises is logged.
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
        """Look where a message said so, at once; every few seconds, look at those who wait longest without a look."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECOND_LOOK_SECONDS):
                    await self._look_now.wait()
            self._look_now.clear()
            task_ids = [task_id for task_id in self._to_look_at if task_id in self._waiters]
            self._to_look_at.clear()
            # An outage: the next round comes by itself.
            with contextlib.suppress(QueueUnavailable):
                await self._look_at(task_ids or list(self._waiters)[:_MOST_LOOKED_AT])

    async def _look_at(self, task_ids: list[str], foreign: bool = False) -> None:
        """Learn what the store knows; of tasks that someone else enqueued, ask it to tell us too."""
        if len(task_ids) == 1:
            looks = self._watches if foreign else self._looks
            self._learn(task_ids[0], await looks.submit(task_ids[0]))
        elif task_ids:
            records = await (self._watch(task_ids) if foreign else self.storage.records(task_ids))
            for task_id, record in zip(task_ids, records, strict=True):
                self._learn(task_id, record)

    async def _watch(self, task_ids: list[str]) -> list[Record | None]:
        return await self.storage.records(task_ids, self.token)

    # -- who waits for what

    def _wait(self, task_id: str) -> asyncio.Future[Record]:
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
        """A look or a message told of a task: wake its waiters if that was a verdict, or if there will never be one."""
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
                # Its waiter may have gone meanwhile, which is no reason for a warning.
                future.exception()


class Recent:
    """The tasks that were enqueued here last, while we listened: word of their verdicts is kept here, or is to come.

    So whoever awaits one of them need not look. Most results are awaited at once, and a look would be a second round
    trip beside that of the enqueue.
    """

    def __init__(self) -> None:
        self._verdicts: dict[str, Record | None] = {}

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._verdicts

    def add(self, task_id: str) -> None:
        """It is about to be enqueued."""
        self._verdicts[task_id] = None
        if len(self._verdicts) > _MOST_RECENT:
            del self._verdicts[next(iter(self._verdicts))]

    def hear(self, task_id: str, verdict: Record | None) -> None:
        """It has its verdict; None where that was too large to be told."""
        if task_id in self._verdicts:
            if verdict is None:
                del self._verdicts[task_id]
            else:
                self._verdicts[task_id] = verdict

    def pop(self, task_id: str) -> Record | None:
        """Its verdict, if it was told; it is none of these any more."""
        return self._verdicts.pop(task_id)

    def clear(self) -> None:
        """Something may have been missed."""
        self._verdicts.clear()


def _unknown(task_id: str) -> ResultNotFound:
    return ResultNotFound(f"the store knows no task {task_id!r}: it was never enqueued here, or its result has expired")
