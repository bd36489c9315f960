"""Broken rules of looking and listening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.protocol import Due, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqueue.core.lifecycle import Settlement
    from aqueue.core.message import Receipt
    from aqueue.storage.memory.tables import Task
    from aqueue.storage.protocol import Event, Record


class RecordsComeInAnyOrder(MemoryStorage):
    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        return (await super().records(task_ids, watcher))[::-1]


class ReadingARecordDestroysIt(MemoryStorage):
    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        records = await super().records(task_ids, watcher)
        for task in filter(None, map(self._tasks.get, task_ids)):
            task.result = b""
        return records


class EveryoneIsTold(MemoryStorage):
    def _tell(self, client: str | None, event: Event) -> None:
        super()._tell(None, event)


class NobodyIsToldOfVerdicts(MemoryStorage):
    def _tell(self, client: str | None, event: Event) -> None:
        if not isinstance(event, Settled):
            super()._tell(client, event)


class NobodyIsToldWhatIsDue(MemoryStorage):
    def _tell(self, client: str | None, event: Event) -> None:
        if not isinstance(event, Due):
            super()._tell(client, event)


class ALateVerdictIsTold(MemoryStorage):
    def _settle(self, settlement: Settlement) -> bool:
        accepted = super()._settle(settlement)
        if not accepted:
            self._tell(settlement.reply, Settled(settlement.id, settlement.state, settlement.result))
        return accepted


class APutBackIsTold(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        super()._put_back(task, settlement)
        self._tell(settlement.reply, Settled(settlement.id, settlement.state, settlement.result))


class ProgressIsToldButNotKept(MemoryStorage):
    async def report(self, receipt: Receipt, task_id: str, progress: bytes, reply: str) -> bool:
        held = await super().report(receipt, task_id, progress, reply)
        for task in self._tasks.values():
            task.progress = b""
        return held


class ProgressIsKeptButNotTold(MemoryStorage):
    async def report(self, receipt: Receipt, task_id: str, progress: bytes, reply: str) -> bool:
        return await super().report(receipt, task_id, progress, "")
