"""Whole queues: what is in them and which workers read them; pause them, empty them, delete everything."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..core.clock import span_ms
from ..core.ids import check_name
from ..storage.admin import EVERYTHING, Place
from .inspection import LIST_LIMIT

if TYPE_CHECKING:
    from datetime import timedelta

    from ..client.loops import ClientPerLoop
    from ..storage.admin import StorageAdmin, StoredTask
    from ..storage.protocol import QueueDepth, WorkerInfo
    from ..tasks.outbox import Outbox
    from .cancellation import Cancellation
    from .inspection import Inspection, TaskInfo


class Queues:
    """``huey.queues``: how full the queues are, which workers serve them, and what can be done to each as a whole.

    Like ``huey.pending``, a list has at most `limit` entries (None: all), of `queue` or of all queues.
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
        """How many tasks of each queue are ready, due later, and running."""
        return await (await self._clients.storage()).depths()

    async def workers(self) -> list[WorkerInfo]:
        """The workers that have not stopped in good order, with what each says about itself.

        One that was killed stays in this list for an hour or more.
        """
        return await (await self._clients.storage()).workers()

    async def running(
        self, limit: int | None = LIST_LIMIT, *, queue: str | None = None, older_than: float | timedelta = 0
    ) -> list[TaskInfo]:
        """The tasks that workers hold, those first that have run longest.

        With `older_than` (seconds or a timedelta) only those that have run for that long.
        """
        return await self._inspection.running(limit, queue, span_ms(older_than, "older_than"))

    async def waiting(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that wait for others of their workflow, in no particular order. They are not ready to run yet."""
        return await self._inspection.waiting(limit, queue)

    async def paused(self) -> set[str]:
        """The queues that are paused, with ``"*"`` for everything."""
        return await (await self._admin()).paused()

    # -- acting

    async def pause(self, queue: str | None = None) -> bool:
        """Stop handing out tasks of `queue`, or of every queue, until ``resume``; False if it was paused already.

        Running tasks go on, and tasks can still be enqueued. The pause takes effect at once in every process, and stays
        when they end.

        Raises:
            TypeError, ValueError: `queue` is not a valid name.
        """
        return await (await self._admin()).pause(_named(queue))

    async def resume(self, queue: str | None = None) -> bool:
        """End the pause of `queue`, or the pause of everything; False if there is none.

        The two are independent: ending the pause of everything does not resume a queue that was paused by name.
        """
        resumed = await (await self._admin()).resume(_named(queue))
        # In immediate mode, the tasks that waited for the resume run now.
        await self._outbox.run_created([])
        return resumed

    async def purge(self, queue: str | None) -> int:
        """Cancel the tasks in `queue`, or in every queue (None), that are ready or due later; return their number.

        Each gets the verdict ``cancelled``, and callers that await it get that at once. Running tasks go on. Tasks that
        are enqueued during the purge may remain.
        """
        name = "" if queue is None else _named(queue)
        left = sum(depth.ready + depth.scheduled for depth in await self.depths() if name in {"", depth.queue})
        cancelled = 0
        while left > 0 and (passed := await self._purge(name)):
            cancelled += passed
            left -= passed
        return cancelled

    async def _purge(self, name: str) -> int:
        """One pass over all waiting tasks. It may miss some, because cancelling shortens the lists that it reads."""
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
    """Delete everything of an application; see ``Huey.flush``."""
    forgotten = 0
    async with aclosing((await clients.storage()).admin.flush()) as steps:
        async for step in steps:
            forgotten += step
    return forgotten


def _named(queue: str | None) -> str:
    """The name of a queue as the store expects it."""
    return EVERYTHING if queue is None else check_name(queue, "the name of a queue")
