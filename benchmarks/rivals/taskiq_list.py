"""taskiq with the list broker of taskiq-redis: BRPOP, at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskiq_redis import ListQueueBroker

from benchmarks.rivals import taskiq

if TYPE_CHECKING:
    from taskiq import AsyncBroker


class Contestant(taskiq.Contestant):
    """Tuned as the stream broker is."""

    def make_broker(self) -> AsyncBroker:
        return ListQueueBroker(self.job.url, queue_name=taskiq.QUEUE)

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["DBSIZE"], self.job.tasks)] if self.job.results else []
