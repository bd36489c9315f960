"""Whole queues: what is in them and who reads them; pause them, empty them, forget everything."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..core.ids import check_name
from ..storage.admin import EVERYTHING, Place
from .inspection import LIST_LIMIT

if TYPE_CHECKING:
    from ..client.loops import ClientPerLoop
    from ..storage.admin import StorageAdmin, StoredTask
    from ..storage.protocol import QueueDepth, WorkerInfo
    from ..tasks.outbox import Outbox
    from .cancellation import Cancellation
    from .inspection import Inspection, TaskInfo


class Queues:
    """``huey.queues``: how full the queues are, who works on them, and what can be done to each as a whole.

    Lists are those of ``huey.pending``: at most `limit` entries (None: all), of `queue` or of all queues.
    """

    def __init__(
        self, clients: ClientPerLoop, inspection: Inspection, cancellation: Cancellation, outbox: Outbox
    ) -> None:
        self._clients = clients
        self._inspection = inspection
        self._cancellation = cancellation
        self._outbox = outbox

    # -- looking

    async def depths(self) -> list[QueueDepth]:
        """How many tasks of each queue are in line, due later, and running."""
        return await (await self._clients.storage()).depths()

    async def workers(self) -> list[WorkerInfo]:
        """The workers that gave a sign of life lately, and what each says about itself."""
        return await (await self._clients.storage()).workers()

    async def running(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that workers hold."""
        return await self._inspection.running(limit, queue)

    async def waiting(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks of workflows that wait for others, in no order. They are not in line yet."""
        return await self._inspection.waiting(limit, queue)

    async def paused(self) -> set[str]:
        """The queues that are paused, with ``"*"`` for everything."""
        return await (await self._admin()).paused()

    # -- acting

    async def pause(self, queue: str | None = None) -> bool:
        """Let no worker start another task of `queue`, or any task, until ``resume``; False when it is so already.

        What runs goes on, and tasks may be enqueued as ever. It holds at once and in every process, and outlasts them.

        Raises:
            TypeError, ValueError: `queue` can be no name.
        """
        return await (await self._admin()).pause(_named(queue))

    async def resume(self, queue: str | None = None) -> bool:
        """End the pause of `queue`, or the one of everything; False when there is none.

        A queue that was paused by name stays so when the pause of everything ends, and the other way round.
        """
        resumed = await (await self._admin()).resume(_named(queue))
        # In immediate mode, what has waited runs now.
        await self._outbox.run_created([])
        return resumed

    async def purge(self, queue: str | None) -> int:
        """Cancel what waits in `queue`, or in all of them (None), in line and for its time; how many tasks that were.

        Each gets the verdict ``cancelled``, which whoever awaits it gets at once. What runs goes on. Tasks that are
        enqueued while this is under way may be spared.
        """
        name = "" if queue is None else _named(queue)
        left = sum(depth.ready + depth.scheduled for depth in await self.depths() if name in {"", depth.queue})
        cancelled = 0
        while left > 0 and (passed := await self._purge(name)):
            cancelled += passed
            left -= passed
        return cancelled

    async def _purge(self, name: str) -> int:
        """One pass over all that waits; there may be more, for what is cancelled makes lists shorter."""
        cancelled = 0
        for place in (Place.SCHEDULED, Place.READY):
            async with aclosing((await self._admin()).walk(place, name)) as pages:
                async for page in pages:
                    cancelled += sum(await asyncio.gather(*map(self._cancel, page)))
        return cancelled

    async def _cancel(self, kept: StoredTask) -> bool:
        return await self._cancellation.cancel_waiting(kept, "purged with its queue")

    async def _admin(self) -> StorageAdmin:
        return (await self._clients.storage()).admin


async def flush(clients: ClientPerLoop) -> int:
    """Forget everything of an application; see ``Huey.flush``."""
    forgotten = 0
    async with aclosing((await clients.storage()).admin.flush()) as steps:
        async for step in steps:
            forgotten += step
    return forgotten


def _named(queue: str | None) -> str:
    """The name of a queue as the store takes it."""
    return EVERYTHING if queue is None else check_name(queue, "the name of a queue")
