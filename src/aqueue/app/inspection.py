"""What an application can tell of its tasks: which wait, which run, what came of those that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..storage.admin import Place
from .listed import LIST_LIMIT, ResultInfo, TaskInfo, listed, queue_as_asked, result_info, task_info

if TYPE_CHECKING:
    from ..client.client import Client
    from ..core.codec import Codec
    from ..storage.admin import StorageAdmin
    from ..storage.protocol import QueueDepth, WorkerInfo


class Inspection:
    """The part of ``Huey`` that looks.

    Lists hold at most `limit` entries (None: all there are), of `queue` or of all queues. They are read page by page,
    so that no step keeps the store from its work, and what moves meanwhile may be missing. Tasks that are not declared
    here are listed like any other.
    """

    codec: Codec

    async def pending(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks in line: queue by queue, and within each in the order of their turns."""
        found = await listed(await self._admin(), Place.READY, limit, queue)
        return [task_info(self.codec, kept, "since") for kept in found]

    async def scheduled(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that are due later, retries among them: in each queue the first that is due first."""
        found = await listed(await self._admin(), Place.SCHEDULED, limit, queue)
        return [task_info(self.codec, kept, "due") for kept in found]

    async def waiting(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks of workflows that wait for others, in no order. They are not in line yet."""
        found = await listed(await self._admin(), Place.WAITING, limit, queue)
        return [task_info(self.codec, kept) for kept in found]

    async def running(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that workers hold."""
        found = await listed(await self._admin(), Place.LENT, limit, queue)
        return [task_info(self.codec, kept, "lease_until") for kept in found]

    async def all_results(self, limit: int | None = LIST_LIMIT) -> list[ResultInfo]:
        """The verdicts that are kept, in no order."""
        found = await listed(await self._admin(), Place.ENDED, limit, None)
        return [result_info(self.codec, kept) for kept in found]

    # -- numbers

    async def pending_count(self, *, queue: str | None = None) -> int:
        """How many tasks are in line."""
        return sum(depth.ready for depth in await self._depths(queue))

    async def scheduled_count(self, *, queue: str | None = None) -> int:
        """How many tasks are due later."""
        return sum(depth.scheduled for depth in await self._depths(queue))

    async def waiting_count(self, *, queue: str | None = None) -> int:
        """How many tasks wait for others. They are counted one by one, page by page."""
        return len(await listed(await self._admin(), Place.WAITING, None, queue))

    async def running_count(self, *, queue: str | None = None) -> int:
        """How many tasks workers hold."""
        return sum(depth.running for depth in await self._depths(queue))

    async def result_count(self) -> int:
        """How many verdicts are kept. They are counted one by one, page by page."""
        return len(await listed(await self._admin(), Place.ENDED, None, None))

    async def depths(self) -> list[QueueDepth]:
        """How full each queue is."""
        return await (await self.client()).storage.depths()

    async def workers(self) -> list[WorkerInfo]:
        """The workers that gave a sign of life lately."""
        return await (await self.client()).storage.workers()

    async def _depths(self, queue: str | None) -> list[QueueDepth]:
        name = queue_as_asked(queue)
        return [depth for depth in await self.depths() if name in {"", depth.queue}]

    async def _admin(self) -> StorageAdmin:
        return (await self.client()).storage.admin

    # -- what the application brings

    async def client(self) -> Client:
        raise NotImplementedError
