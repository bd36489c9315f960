"""The storage of one process: what every storage promises, in plain dicts, deques and heaps.

Read it as the specification you can run. A task without a verdict is in exactly one of four places: `_ready` (in line,
in its lane), `_lent` (the lease table, by receipt), `_scheduled` (by due instant) or `_nodes` (with what it waits for).
A move from one to the next happens between two awaits, which makes it atomic.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from ...core.clock import SystemClock
from ...core.lifecycle import VERDICTS, State
from ...core.message import Envelope, joined
from ..protocol import (
    Advance,
    Borrower,
    CancelAsked,
    Description,
    Due,
    Progressed,
    Promotion,
    QueueDepth,
    Record,
    ScheduleChanged,
    Settled,
    WorkerInfo,
)
from .admin import MemoryAdmin
from .events import Listeners, WaitingPulls
from .intake import MemoryIntake
from .shared import MemorySharedState
from .tables import Lane, Tables, Task
from .workflows import Ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...core.clock import Clock
    from ...core.lifecycle import Settlement
    from ...core.message import Node, Receipt
    from ..protocol import Event
    from .workflows import Refused


class MemoryStorage:
    """Implements ``storage.protocol.Storage``.

    The tasks live as long as the object: they outlast `close`, and the event loop. Two objects of one namespace share
    nothing.
    """

    def __init__(self, namespace: str, clock: Clock | None = None) -> None:
        self._namespace = namespace
        self._clock = clock or SystemClock()
        self._listeners = Listeners()
        self.shared = MemorySharedState(self._clock, self._listeners.tell_everyone)
        self._serial = count(1)
        self._tables = tables = Tables()
        self._tasks, self._ready, self._lent = tables.tasks, tables.ready, tables.lent
        self._scheduled, self._nodes = tables.scheduled, tables.nodes
        self._expiring, self._revocations, self._schedules = tables.expiring, tables.revocations, tables.schedules
        self.admin = MemoryAdmin(tables, self.shared, self._clock, self._enter, self._wake)
        self._waiting = WaitingPulls()
        self._users = 0

    async def open(self) -> None:
        self._users += 1
        self._waiting.is_closed = False

    async def close(self) -> None:
        # Each event loop that uses it opens and closes it.
        self._users = max(self._users - 1, 0)
        self._waiting.is_closed = self._users == 0
        self._wake()
        self._listeners.close()

    async def describe(self) -> Description:
        return Description(
            kind="memory",
            location=f"{self._namespace} in this process",
            version="",
            durability="none: tasks live as long as this process",
            warnings=("no other process sees these tasks, and they end with this one",),
        )

    # -- the way in

    async def push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        self._forget_expired()
        return [self._push(envelope) for envelope in envelopes]

    def _push(self, envelope: Envelope) -> bool:
        if envelope.id in self._tasks:
            return False
        self._enter(self._add(envelope), envelope.delay_ms, envelope.eta_ms)
        return True

    def _add(self, envelope: Envelope) -> Task:
        task = Task(envelope.id, envelope.payload, Lane(envelope.queue, envelope.priority))
        self._tasks[task.id] = task
        return task

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        self._forget_expired()
        new = [node.envelope.id not in self._tasks for node in nodes]
        if all(new):
            self._nodes.add(nodes)
            for node in nodes:
                if node.after:
                    self._add(node.envelope).state = State.WAITING
                else:
                    self._push(node.envelope)
        return new

    def _enter(self, task: Task, delay_ms: int, eta_ms: int) -> None:
        """Put `task` in line, or in the schedule when it is due later: the one way in, for new and for known tasks.

        A task that failed is retrying in either place.
        """
        now_ms = self._clock.now_ms()
        due_ms = eta_ms or now_ms + delay_ms
        if task.state is not State.RETRYING:
            task.state = State.SCHEDULED if due_ms > now_ms else State.QUEUED
        if due_ms > now_ms:
            self._schedule(task, due_ms)
        else:
            self._line_up(task)

    def _line_up(self, task: Task) -> None:
        task.entry = str(next(self._serial))
        task.in_line_since_ms = self._clock.now_ms()
        self._ready[task.lane].append(task)
        self._wake()

    def _schedule(self, task: Task, due_ms: int) -> None:
        first = not self._scheduled or due_ms < self._scheduled[0][0]
        heappush(self._scheduled, (due_ms, next(self._serial), task))
        if first:
            self._tell(None, Due(due_ms - self._clock.now_ms()))

    # -- the way out

    def open_intake(self, consumer: str, queues: Sequence[str], lease_ms: int) -> MemoryIntake:
        borrower = Borrower(consumer, tuple(queues), lease_ms)
        return MemoryIntake(self._tables, self.admin, self._waiting, self._clock, borrower)

    def _wake(self) -> None:
        self._waiting.wake()

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        return [self._settle(settlement) for settlement in settlements]

    def _settle(self, settlement: Settlement) -> bool:
        task = self._tables.owned(settlement.receipt)
        if task is None or task.receipt is None:
            return False
        del self._lent[task.receipt]
        task.receipt = None
        task.state = settlement.state
        if settlement.dead_ttl_ms:
            self.admin.bury(task, settlement.state, settlement.result, settlement.dead_ttl_ms)
        if settlement.state in VERDICTS:
            self._end(task, settlement.result, settlement.ttl_ms, settlement.reply)
            if settlement.linked:
                self._follow(task, settlement.ttl_ms)
        elif task.id in self._revocations.to_cancel:
            self._put_back(task, settlement._replace(delay_ms=0, eta_ms=0))
        else:
            self._put_back(task, settlement)
        return True

    def _end(self, task: Task, result: bytes, ttl_ms: int, reply: str) -> None:
        task.payload = b""
        task.result = result
        self._revocations.forget(task.id)
        heappush(self._expiring, (self._clock.now_ms() + ttl_ms, task.id))
        self._tell({reply, *task.watchers}, Settled(task.id, task.state, task.result))

    def _follow(self, task: Task, ttl_ms: int) -> None:
        """`task` has its verdict: move the nodes on that wait for it."""
        for moved in self._nodes.follow(task.id, Record(task.state, task.result)):
            self._move_on(moved, ttl_ms)

    def _move_on(self, moved: Ready | Refused, ttl_ms: int) -> None:
        """Put a node that no longer waits in line, or end it."""
        envelope = moved.node.envelope
        task = self._tasks[envelope.id]
        if isinstance(moved, Ready):
            due_ms = envelope.eta_ms or self._clock.now_ms() + envelope.delay_ms
            task.payload = joined(task.payload, due_ms, moved.inputs)
            self._enter(task, 0, due_ms)
        else:
            task.state = State.CANCELLED
            self._end(task, moved.cause.result, ttl_ms, moved.node.reply)

    def _put_back(self, task: Task, settlement: Settlement) -> None:
        task.failures = settlement.failures
        task.earlier += task.count
        task.count = 0
        self._enter(task, settlement.delay_ms, settlement.eta_ms)

    async def report(self, receipt: Receipt, task_id: str, progress: bytes, reply: str) -> bool:
        task = self._tables.owned(receipt)
        if task is None:
            return False
        task.progress = progress
        self._tell({reply, *task.watchers}, Progressed(task_id, progress))
        return True

    # -- schedules

    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        self._forget_expired()
        kept = self._schedules.get(name, b"")
        if kept == state:
            return Advance.KNOWN
        if kept != seen:
            return Advance.REFUSED
        if state:
            self._schedules[name] = state
        else:
            del self._schedules[name]
        for envelope in envelopes:
            self._push(envelope)
        if not envelopes:
            self._tell(None, ScheduleChanged(name))
        return Advance.MADE

    async def schedules(self) -> dict[str, bytes]:
        return self._schedules.copy()

    # -- revoking and cancelling

    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        self._forget_expired()
        self._revocations.remove(key)
        task = self._tasks.get(key)
        if task is None or task.state not in VERDICTS:
            now_ms = self._clock.now_ms()
            forgotten_ms = now_ms + keep_ms if keep_ms and task is None else 0
            self._revocations.put(key, until_ms or forgotten_ms, once)
            self._revocations.forget_ended(now_ms)

    async def restore(self, key: str) -> bool:
        self._revocations.forget_ended(self._clock.now_ms())
        return self._revocations.remove(key)

    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        self._revocations.forget_ended(self._clock.now_ms())
        return [self._revocations.holds(task_id, group, consume) for task_id, group in keys]

    async def cancel(
        self,
        task_id: str,
        result: bytes,
        ttl_ms: int,
        reply: str,
        instead: Envelope | None = None,
        *,
        if_lent: bool = True,
    ) -> bool:
        self._forget_expired()
        task = self._tasks.get(task_id)
        if task is None or task.state in VERDICTS or (task.receipt is not None and not if_lent):
            return False
        if task.receipt is not None:
            self._revocations.to_cancel.add(task_id)
            self._tell(None, CancelAsked(task_id))
        else:
            self._withdraw(task)
            task.state = State.CANCELLED
            self._end(task, result, ttl_ms, reply)
            self._follow(task, ttl_ms)
        if instead is not None:
            self._push(instead)
        return True

    def _withdraw(self, task: Task) -> None:
        """Take `task` out of its line, out of the schedule, or away from what it waits for."""
        if task.state is State.WAITING:
            self._nodes.remove(task.id)
            return
        line = self._ready[task.lane]
        if task in line:
            line.remove(task)
        else:
            self._scheduled[:] = [entry for entry in self._scheduled if entry[2] is not task]
            heapify(self._scheduled)
        if not line:
            del self._ready[task.lane]

    async def envelopes(self, task_ids: Sequence[str]) -> list[Envelope | None]:
        tasks = [self._tasks.get(task_id) for task_id in task_ids]
        return [Envelope(t.id, t.payload, *t.lane) if t and t.state not in VERDICTS else None for t in tasks]

    # -- upkeep

    async def promote(self, limit: int) -> Promotion:
        now_ms = self._clock.now_ms()
        moved = 0
        while moved < limit and self._scheduled and self._scheduled[0][0] <= now_ms:
            _, _, task = heappop(self._scheduled)
            self._promote(task)
            moved += 1
        return Promotion(moved, max(self._scheduled[0][0] - now_ms, 0) if self._scheduled else None)

    def _promote(self, task: Task) -> None:
        self._enter(task, 0, 0)

    async def retire(self, consumer: str) -> None:
        self._tables.workers.pop(consumer, None)

    # -- looking

    async def now_ms(self) -> int:
        return self._clock.now_ms()

    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        self._forget_expired()
        tasks = [self._tasks.get(task_id) for task_id in task_ids]
        for task in tasks:
            if watcher and task is not None and task.state not in VERDICTS:
                task.watchers.add(watcher)
        return [Record(task.state, task.result, task.progress) if task else None for task in tasks]

    async def depths(self) -> list[QueueDepth]:
        return self._tables.depths(self._clock.now_ms())

    async def workers(self) -> list[WorkerInfo]:
        now_ms = self._clock.now_ms()
        # A copy: a keeper may write to the original from its own thread.
        seen = self._tables.workers.copy()
        return [WorkerInfo(consumer, description, now_ms - at_ms) for consumer, (description, at_ms) in seen.items()]

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        await self._listeners.listen(client, handle)

    def _tell(self, clients: set[str] | None, event: Event) -> None:
        self._listeners.tell(clients, event)

    def _forget_expired(self) -> None:
        now_ms = self._clock.now_ms()
        while self._expiring and self._expiring[0][0] <= now_ms:
            _, task_id = heappop(self._expiring)
            del self._tasks[task_id]
