"""Workers that die between any two calls of their store, one after the other, until the last one lives."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from aqueue import QueueUnavailable
from aqueue.client.loops import ClientPerLoop
from aqueue.core.lifecycle import VERDICTS
from aqueue.storage.protocol import Renewal
from aqueue.worker.worker import Worker

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Collection, Iterable, Sequence

    from aqueue import Huey
    from aqueue.core.clock import Clock
    from aqueue.core.lifecycle import Settlement
    from aqueue.core.message import Receipt
    from aqueue.storage.protocol import Intake, Storage
    from aqueue.worker.options import WorkerOptions

# However much time a test lets pass, its results are there at the end.
KEEP_MS = 365 * 24 * 3_600_000


class Mishap(Enum):
    """What happens at a call of the store."""

    DEATH_BEFORE = "dies before it"
    DEATH_AFTER = "dies before its reply arrives"
    LOST_REPLY = "its reply is lost"


class Fate(NamedTuple):
    """The number of a call, and what happens at it."""

    call: int
    mishap: Mishap


class MortalStorage:
    """A storage as one worker sees it. Once the worker is `dead` none of its calls returns.

    `verdicts` counts, by id, the verdicts that the store has accepted; those whose reply was lost count, too.
    """

    def __init__(self, storage: Storage, fates: Iterable[Fate], verdicts: Counter[str]) -> None:
        self._storage = storage
        self._mishaps = dict(fates)
        self._calls = 0
        self._verdicts = verdicts
        self._settling: list[asyncio.Task[list[bool]]] = []
        self.dead = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return self.mortal(getattr(self._storage, name), name)

    def mortal(self, value: Any, name: str) -> Any:
        """`value`, which is called `name`; if it is a call of the store, one that can go wrong."""
        if name in {"listen", "describe"} or not asyncio.iscoroutinefunction(value):
            return value

        async def call(*arguments: Any) -> Any:
            return await self._call(value, *arguments)

        return call

    async def open(self) -> None:
        """The storage is open, and outlives its worker."""

    async def close(self) -> None: ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        async def settle_and_count() -> list[bool]:
            accepted = await self._storage.settle(settlements)
            pairs = zip(settlements, accepted, strict=True)
            self._verdicts.update(each.id for each, was_accepted in pairs if was_accepted and each.state in VERDICTS)
            return accepted

        async def settle_to_the_end() -> list[bool]:
            settling = asyncio.create_task(settle_and_count())
            self._settling.append(settling)
            return await asyncio.shield(settling)

        accepted: list[bool] = await self._call(settle_to_the_end)
        return accepted

    async def last_words(self) -> None:
        """Wait for what the worker had sent when it died: the store takes it all the same."""
        await asyncio.gather(*self._settling, return_exceptions=True)

    def open_intake(self, consumer: str, queues: Sequence[str], lease_ms: int) -> MortalIntake:
        return MortalIntake(self, self._storage.open_intake(consumer, queues, lease_ms))

    async def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self._calls += 1
        mishap = self._mishaps.get(self._calls)
        if mishap is Mishap.DEATH_BEFORE:
            self.dead.set()
        await self._stop_the_dead()
        reply = await call(*arguments)
        if mishap is Mishap.DEATH_AFTER:
            self.dead.set()
        await self._stop_the_dead()
        if mishap is Mishap.LOST_REPLY:
            raise QueueUnavailable("the reply was lost")
        return reply

    async def _stop_the_dead(self) -> None:
        if self.dead.is_set():
            await asyncio.Event().wait()


class MortalIntake:
    """The intake of one worker. Its calls are those of the storage."""

    def __init__(self, storage: MortalStorage, intake: Intake) -> None:
        self._storage = storage
        self._intake = intake

    def __getattr__(self, name: str) -> Any:
        return self._storage.mortal(getattr(self._intake, name), name)

    def lease_keeper(self) -> MortalLeaseKeeper:
        return MortalLeaseKeeper(self._intake.lease_keeper(), self._storage.dead)

    async def close(self) -> None:
        await self._intake.close()


class MortalLeaseKeeper:
    """The sign of life of a worker, which ends with it."""

    def __init__(self, keeper: Any, dead: asyncio.Event) -> None:
        self._lease_keeper = keeper
        self._dead = dead

    def renew(self, receipts: Collection[Receipt], description: bytes) -> Renewal:
        return Renewal([], []) if self._dead.is_set() else self._lease_keeper.renew(receipts, description)

    def close(self) -> None:
        self._lease_keeper.close()


async def live_and_die(huey: Huey, storage: MortalStorage, clock: Clock, options: WorkerOptions) -> None:
    """Run a worker until it is dead; cancelled, it ends like one that was killed, too."""
    clients = ClientPerLoop(lambda: storage, clock)  # type: ignore[arg-type, return-value]  # all that is asked of one
    parts = replace(huey._parts, clients=clients, result_ttl_ms=KEEP_MS, dead_ttl_ms=0)
    await clients.open()
    work = asyncio.create_task(Worker(parts, options, clock).run())
    dies = asyncio.create_task(storage.dead.wait())
    try:
        await asyncio.wait([work, dies], return_when=asyncio.FIRST_COMPLETED)
        if not storage.dead.is_set():
            raise AssertionError("a worker ended by itself") from work.exception()
    finally:
        storage.dead.set()
        dies.cancel()
        work.cancel()
        await asyncio.wait([work])
        await clients.close()
