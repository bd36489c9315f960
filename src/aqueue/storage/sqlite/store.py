"""The embedded storage: one file, used by any number of processes of one machine at the same time."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from typing import TYPE_CHECKING, TypeVar

from ...core.clock import SystemClock
from ...core.patience import RELISTEN_SECONDS
from ...exceptions import QueueUnavailable
from ..protocol import Borrower, Connected, Description, Due
from .admin import SqliteAdmin
from .connection import Link
from .intake import SqliteIntake
from .location import Location
from .session import Session
from .shared import SqliteSharedState
from .steps import events, leases, lines, revocations, schedules, tasks, workflows
from .wakeup import CANCEL, DUE, FREED, SCHEDULE, client_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...core.clock import Clock
    from ...core.lifecycle import Settlement
    from ...core.message import Envelope, Node, Receipt
    from ..protocol import Advance, Event, Promotion, QueueDepth, Record, WorkerInfo
    from .thread import WriterThread

_T = TypeVar("_T")

# A transaction of this many takes a tenth of a second, in which no other process can write.
_LARGEST_TRANSACTION = 20_000
_DURABILITY = {
    "normal": "survives a crash of the process; a power cut may lose the last commits",
    "full": "every commit is on disk",
}
_RESET_FIXED = (3, 51, 3)


class SqliteStorage:
    """Implements ``storage.protocol.Storage``.

    `url` is ``sqlite:///relative.db`` or ``sqlite:////absolute.db``, with ``?synchronous=full`` if every commit is to
    survive a power cut.

    Raises:
        ConfigurationError: `url` names no file.
    """

    def __init__(self, url: str, namespace: str, clock: Clock | None = None) -> None:
        self._location = Location.parse(url)
        self._namespace = namespace
        self._clock = clock or SystemClock()
        self._present: Session | None = None
        self.shared = SqliteSharedState(self._writer)
        self.admin = SqliteAdmin(self._writer)

    # -- lifetime

    async def open(self) -> None:
        if self._present is not None and self._present.pid == os.getpid():
            return
        session = self._begin_session(create=True)
        try:
            await session.writer.look(events.latest)
        except BaseException:
            await session.close()
            raise
        self._present = session

    async def close(self) -> None:
        session, self._present = self._present, None
        if session is None:
            return
        if session.pid == os.getpid():
            await session.close()
        else:
            session.peers.abandon()

    async def describe(self) -> Description:
        warnings = []
        if sqlite3.sqlite_version_info < _RESET_FIXED:
            warnings.append(
                f"SQLite {sqlite3.sqlite_version} has a rare bug in its write-ahead log that 3.51.3 fixes "
                "(https://sqlite.org/wal.html#walresetbug); your distribution may have fixed it, too"
            )
        if self._present is not None and not self._present.peers.can_be_heard:
            warnings.append("no unix sockets: what another process does is noticed within a second, not at once")
        return Description(
            kind="SQLite",
            location=os.fspath(self._location.path),
            version=f"SQLite {sqlite3.sqlite_version}",
            durability=_DURABILITY[self._location.synchronous],
            warnings=tuple(warnings),
        )

    def _begin_session(self, *, create: bool) -> Session:
        if self._present is not None:
            # Inherited in a fork: its thread is not here, and its sockets are the parent's.
            self._present.peers.abandon()
        return Session(self._location, self._namespace, self._clock, create=create)

    def _session(self) -> Session:
        """The present session; in a forked process, a new one."""
        if self._present is None:
            raise QueueUnavailable(f"{self._location.path} is not open")
        if self._present.pid != os.getpid():
            self._present = self._begin_session(create=False)
        return self._present

    def _writer(self) -> WriterThread:
        return self._session().writer

    # -- the way in

    async def push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        """See ``Storage.push``. A batch of more than 20 000 that meets ``QueueFull`` may be kept in part."""
        new: list[bool] = []
        for part in _parts(envelopes):
            new += await self._writer().submit(lines.enter, part)
        return new

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        return await self._writer().submit(workflows.push, nodes)

    # -- the way out

    def open_intake(self, consumer: str, queues: Sequence[str], lease_ms: int) -> SqliteIntake:
        borrower = Borrower(consumer, tuple(queues), lease_ms)
        return SqliteIntake(self._session, self._location, self._namespace, self._clock, borrower)

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        accepted: list[bool] = []
        for part in _parts(settlements):
            linked = any(settlement.linked for settlement in part)
            accepted += await self._writer().change(workflows.settle if linked else tasks.settle, part)
        return accepted

    async def report(self, receipt: Receipt, task_id: str, progress: bytes, reply: str) -> bool:
        return await self._writer().change(tasks.report, receipt, progress, reply)

    # -- schedules

    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await self._writer().submit(schedules.advance, name, seen, state, envelopes)

    async def schedules(self) -> dict[str, bytes]:
        return await self._writer().look(schedules.states)

    # -- revoking and cancelling

    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        await self._writer().change(revocations.revoke, key, until_ms, once, keep_ms)

    async def restore(self, key: str) -> bool:
        return await self._writer().change(revocations.restore, key)

    async def revoked(self, keys: Sequence[tuple[str, str]], consume: bool) -> list[bool]:
        return await self._writer().change(revocations.revoked, keys, consume)

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
        arguments = (task_id, result, ttl_ms, reply, instead, if_lent)
        if instead is None:
            return await self._writer().change(workflows.cancel, *arguments)
        return await self._writer().submit(workflows.cancel, *arguments)

    async def envelopes(self, task_ids: Sequence[str]) -> list[Envelope | None]:
        return await self._writer().look(tasks.envelopes, task_ids)

    # -- upkeep

    async def promote(self, limit: int) -> Promotion:
        return await self._writer().change(tasks.promote, limit)

    async def retire(self, consumer: str) -> None:
        await self._writer().change(leases.retire, consumer)

    # -- looking

    async def now_ms(self) -> int:
        return self._clock.now_ms()

    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        found: list[Record | None] = []
        while len(found) < len(task_ids):
            part = task_ids[len(found) : len(found) + _LARGEST_TRANSACTION]
            if watcher:
                found += await self._writer().change(tasks.watch, part, watcher)
            else:
                found += await self._writer().look(tasks.records, part)
        return found

    async def depths(self) -> list[QueueDepth]:
        self._session()
        return await asyncio.to_thread(self._count)

    def _count(self) -> list[QueueDepth]:
        """Counting reads every entry of every line, so it is done beside the writer thread and holds no caller up."""
        link = Link(self._location, self._namespace, create=False)
        try:
            with link.transaction(self._clock, writes=False) as transaction:
                return tasks.depths(transaction)
        finally:
            link.close()

    async def workers(self) -> list[WorkerInfo]:
        return await self._writer().look(leases.workers)

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        while True:
            session = self._session()
            try:
                await self._listen(session, client, handle)
            except QueueUnavailable:
                if session.is_closed:
                    raise
                await self._clock.wait(asyncio.Event(), RELISTEN_SECONDS)

    async def _listen(self, session: Session, client: str, handle: Callable[[Event], None]) -> None:
        topics = (client_topic(client), DUE, FREED, CANCEL, SCHEDULE)
        with session.waiters.waiting(*topics) as called:
            for topic in topics:
                session.peers.listen_for(topic)
            seen = await self._writer().look(events.latest)
            handle(Connected())
            while True:
                await called.wait()
                if session.is_closed:
                    raise QueueUnavailable(f"{self._location.path} was closed")
                called.clear()
                news = await self._writer().look(events.since, client, seen.last)
                if news.connection != seen.connection:
                    # The file may be another one, in which the numbers mean nothing.
                    return
                for event in news.events:
                    handle(event)
                if news.next_due_ms is not None and news.next_due_ms != seen.next_due_ms:
                    handle(Due(max(news.next_due_ms - self._clock.now_ms(), 0)))
                if news.is_partial:
                    called.set()
                seen = news


def _parts(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _LARGEST_TRANSACTION):
        yield items[start : start + _LARGEST_TRANSACTION]
