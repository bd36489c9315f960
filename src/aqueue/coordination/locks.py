"""Locks and semaphores across processes: of the blocks and tasks under one name, a limited number runs at a time.

Each holder of a permit has a token of its own, and renews the permit as long as it holds it. If the holder dies, its
permit lapses.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson

from ..core.clock import span_ms
from ..core.ids import check_key, new_task_id
from ..exceptions import HueyException
from .guard import Guard

if TYPE_CHECKING:
    from datetime import timedelta

    from ..client.loops import ClientPerLoop
    from ..client.permits import Permit
    from ..client.portal import Portal
    from ..storage.protocol import WorkerInfo

logger = logging.getLogger("aqueue.locks")

_TTL_SECONDS = 60
_SHORTEST_TTL_MS = 100
_MOST_PERMITS = 1_000_000


class TaskLock(Guard["Permit"]):
    """A lock, or a semaphore of several permits; made by ``huey.lock_task`` and ``huey.semaphore``.

    In ``async with lock as permit:``, ``permit.is_held`` says whether the permit is still held, and the later of two
    holders has the higher ``permit.fence``. A lock is not reentrant.
    """

    def __init__(
        self, clients: ClientPerLoop, portal: Portal, name: str, permits: int, ttl_ms: int, wait_ms: int
    ) -> None:
        super().__init__(clients, portal)
        self.name = name
        self._permits = permits
        self._ttl_ms = ttl_ms
        self._wait_ms = wait_ms

    def __repr__(self) -> str:
        return f"<TaskLock {self.name}>"

    async def acquire(self) -> Permit:
        """Take a permit; give it back with ``release``.

        Raises:
            TaskLockedException: no permit was free in time.
            QueueUnavailable: the store could not be reached.
        """
        return await self.__aenter__()

    async def release(self) -> bool:
        """Give back the caller's last permit, or the last one of any caller; False if it was lost, or there is none."""
        return bool(self._entered) and await self._give_back(self._pop())

    async def is_locked(self) -> bool:
        """Whether no permit is free."""
        holders = await (await self._clients.storage()).shared.holders(self.name)
        return len(holders) >= self._permits

    async def _enter(self) -> Permit:
        # Imported on use, here and below: a module that only declares tasks has less to load.
        from ..client.permits import Permit

        permit = Permit(self.name, _new_token(), self._permits, self._ttl_ms)
        await (await self._clients.open()).permits.take(permit, self._wait_ms)
        return permit

    async def _leave(self, permit: Permit) -> None:
        try:
            await self._give_back(permit)
        except HueyException as error:
            # The guarded code has ended, so its result counts; the permit lapses by itself.
            logger.warning("Lock %s will be free within %g s: %s", self.name, self._ttl_ms / 1000, error)

    async def _give_back(self, permit: Permit) -> bool:
        return await (await self._clients.open()).permits.give_back(permit)


class Locks:
    """The locks and semaphores of one application."""

    def __init__(self, clients: ClientPerLoop, portal: Portal) -> None:
        self._clients = clients
        self._portal = portal

    def lock(self, name: str, ttl: float | timedelta | None, wait: float | timedelta, value: int = 1) -> TaskLock:
        """A lock with room for `value` holders; see ``Huey.lock_task`` and ``Huey.semaphore``."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"the value of a semaphore must be an int, not {value!r}")
        if not 1 <= value <= _MOST_PERMITS:
            raise ValueError(f"the value of a semaphore must be between 1 and {_MOST_PERMITS}, not {value!r}")
        ttl_ms = span_ms(_TTL_SECONDS if ttl is None else ttl, "ttl")
        if ttl_ms < _SHORTEST_TTL_MS:
            raise ValueError(f"ttl must be at least {_SHORTEST_TTL_MS / 1000:g} seconds, not {ttl!r}")
        key, wait_ms = check_key(name, "the name of a lock"), span_ms(wait, "wait")
        return TaskLock(self._clients, self._portal, key, value, ttl_ms, wait_ms)

    async def is_locked(self, name: str) -> bool:
        """Whether the lock of this name has a holder."""
        storage = await self._clients.storage()
        return bool(await storage.shared.holders(check_key(name, "the name of a lock")))

    async def flush(self, *names: str, force: bool) -> set[str]:
        """Free the locks that dead workers hold; see ``Huey.flush_locks``."""
        storage = await self._clients.storage()
        alive = {worker.consumer for worker in await storage.workers() if _is_alive(worker)}
        flushed = set()
        for holder in await storage.shared.holders(*(check_key(name, "the name of a lock") for name in names)):
            consumer = _consumer_of(holder.token)
            dead = bool(consumer) and consumer not in alive
            if (dead or force) and await storage.shared.release(holder.name, holder.token):
                flushed.add(holder.name)
        return flushed


def _new_token() -> str:
    """A token for one holder: the worker in which it runs, if any, and an id."""
    from ..tasks.context import current_task

    run = current_task()
    consumer = run.delivery.receipt.consumer if run is not None else ""
    return f"{consumer}/{new_task_id()}"


def _consumer_of(token: str) -> str:
    return token.rpartition("/")[0]


def _is_alive(worker: WorkerInfo) -> bool:
    """Whether the worker's last heartbeat is within its lease, or the length of its lease is unknown."""
    try:
        return worker.seen_ms <= int(orjson.loads(worker.description)["lease_ms"])
    except (ValueError, TypeError, LookupError):
        return True
