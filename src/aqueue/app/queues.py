"""What an application can do to whole queues: pause them, empty them, forget everything."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ..core.ids import check_name
from ..exceptions import DecodeError
from ..storage.admin import EVERYTHING, Place
from ..tasks.workflow.inputs import read_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.client import Client
    from ..core.codec import Codec
    from ..core.message import Envelope, Message
    from ..storage.admin import StorageAdmin, StoredTask
    from ..storage.protocol import QueueDepth
    from ..tasks.task import Call


class Upkeep:
    """The part of ``Huey`` that deals with whole queues."""

    codec: Codec

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
        # In immediate mode, run what has waited.
        await self._after_push([], [], [])
        return resumed

    async def paused(self) -> set[str]:
        """The queues that are paused, with ``"*"`` for everything."""
        return await (await self._admin()).paused()

    async def purge(self, queue: str | None) -> int:
        """Cancel what waits in `queue`, or in all of them (None), in line and for its time; how many tasks that were.

        Each gets the verdict ``cancelled``, so whoever awaits one is told. What runs goes on. Tasks that are enqueued
        while this is under way may be spared.
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
                    cancelled += sum(await asyncio.gather(*map(self._cancel_waiting, page)))
        return cancelled

    async def _cancel_waiting(self, kept: StoredTask) -> bool:
        try:
            message = read_call(self.codec, kept.id, kept.payload)
        except DecodeError:
            message = None
        return await self._cancel(kept.id, message, "purged with its queue", if_lent=False)

    async def flush(self) -> int:
        """Forget everything of the application: tasks, results, dead letters, revocations, values, locks and limits.

        Returns how many tasks and results that were. Nobody is told: awaiting one of them raises ``ResultNotFound``.
        What runs goes on, and its result is not kept. Pauses and schedules stay.
        """
        forgotten = 0
        async with aclosing((await self._admin()).flush()) as steps:
            async for step in steps:
                forgotten += step
        return forgotten

    # -- what the application brings

    async def _admin(self) -> StorageAdmin:
        return (await self.client()).storage.admin

    async def client(self) -> Client:
        raise NotImplementedError

    async def depths(self) -> list[QueueDepth]:
        raise NotImplementedError

    async def _cancel(
        self, task_id: str, message: Message | None, why: str, instead: Envelope | None = None, *, if_lent: bool = True
    ) -> bool:
        raise NotImplementedError

    async def _after_push(
        self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope], created: Sequence[bool]
    ) -> None:
        raise NotImplementedError


def _named(queue: str | None) -> str:
    """The name of a queue as a store is told it."""
    return EVERYTHING if queue is None else check_name(queue, "the name of a queue")
