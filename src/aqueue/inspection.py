"""What an application can tell of its tasks: which wait, which run, what came of those that have ended."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .causes import read_error
from .exceptions import DecodeError
from .ids import check_name
from .lifecycle import State
from .storage.oversight import Place
from .workflow.inputs import read_ready

if TYPE_CHECKING:
    from .client import Client
    from .codec import Codec
    from .storage.oversight import Kept
    from .storage.protocol import QueueDepth, WorkerInfo

# A list that nobody limited is no longer than this: it is for people, and a queue may hold millions.
LIST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task that has no verdict yet, as it was when somebody looked.

    `name`, `args` and `kwargs` are those of the call, whether or not the task is declared here; where the message
    cannot be read they are empty, and `problem` says why. Of the instants (UTC) one is set: `since` when it has been in
    line, `due` when it gets in line, `lease_until` when others take it over from its `worker` unless that gives a sign
    of life. `attempt` is 1 for the first run.
    """

    id: str
    state: State
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    queue: str
    priority: int
    attempt: int
    worker: str = ""
    since: datetime | None = None
    due: datetime | None = None
    lease_until: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ResultInfo:
    """The verdict on one task, while it is kept: its `value` if it is done, else the `metadata` of its failure.

    Where they cannot be read `problem` says why.
    """

    id: str
    state: State
    value: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


class Inspection:
    """The part of ``Huey`` that looks.

    Lists hold at most `limit` entries (None: all there are), of `queue` or of all queues. They are read page by page,
    so that no step keeps the store from its work, and what moves meanwhile may be missing. Tasks that are not declared
    here are listed like any other.
    """

    codec: Codec

    async def pending(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks in line: queue by queue, and within each in the order of their turns."""
        return [self._info(kept, "since") for kept in await self._list(Place.READY, limit, queue)]

    async def scheduled(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that are due later, retries among them: in each queue the first that is due first."""
        return [self._info(kept, "due") for kept in await self._list(Place.SCHEDULED, limit, queue)]

    async def running(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[TaskInfo]:
        """The tasks that workers hold."""
        return [self._info(kept, "lease_until") for kept in await self._list(Place.LENT, limit, queue)]

    async def all_results(self, limit: int | None = LIST_LIMIT) -> list[ResultInfo]:
        """The verdicts that are kept, in no order."""
        return [self._result_info(kept) for kept in await self._list(Place.ENDED, limit, None)]

    async def pending_count(self, *, queue: str | None = None) -> int:
        """How many tasks are in line."""
        return sum(depth.ready for depth in await self._depths(queue))

    async def scheduled_count(self, *, queue: str | None = None) -> int:
        """How many tasks are due later."""
        return sum(depth.scheduled for depth in await self._depths(queue))

    async def running_count(self, *, queue: str | None = None) -> int:
        """How many tasks workers hold."""
        return sum(depth.running for depth in await self._depths(queue))

    async def result_count(self) -> int:
        """How many verdicts are kept. They are counted one by one, page by page."""
        return len(await self._list(Place.ENDED, None, None))

    async def depths(self) -> list[QueueDepth]:
        """How full each queue is."""
        return await (await self.client()).storage.depths()

    async def workers(self) -> list[WorkerInfo]:
        """The workers that gave a sign of life lately."""
        return await (await self.client()).storage.workers()

    async def _depths(self, queue: str | None) -> list[QueueDepth]:
        name = _checked(queue)
        return [depth for depth in await self.depths() if name in {"", depth.queue}]

    async def _list(self, place: Place, limit: int | None, queue: str | None) -> list[Kept]:
        """What is in `place`, each task once, as it was last seen."""
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
            raise ValueError(f"limit must be a number of tasks, or None for all, not {limit!r}")
        found: dict[str, Kept] = {}
        if limit == 0:
            return []
        async with aclosing((await self.client()).storage.oversight.walk(place, _checked(queue))) as pages:
            async for page in pages:
                found.update((kept.id, kept) for kept in page)
                if limit is not None and len(found) >= limit:
                    break
        return list(found.values())[:limit]

    def _info(self, kept: Kept, instant: str) -> TaskInfo:
        name, problem = "", ""
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        try:
            message, _ = read_ready(self.codec, kept.id, kept.payload)
            name, args, kwargs = message.task, message.args, message.kwargs
        except DecodeError as error:
            problem = str(error)
        where = (kept.queue, kept.priority, kept.failures + 1, kept.consumer)
        when: dict[str, Any] = {instant: datetime.fromtimestamp(kept.at_ms / 1000, UTC)}
        return TaskInfo(kept.id, kept.state, name, args, kwargs, *where, problem=problem, **when)

    def _result_info(self, kept: Kept) -> ResultInfo:
        if not kept.result:
            return ResultInfo(kept.id, kept.state)
        try:
            if kept.state is State.DONE:
                return ResultInfo(kept.id, kept.state, self.codec.decode_value(kept.result, "result", kept.id))
            return ResultInfo(kept.id, kept.state, metadata=read_error(self.codec, kept.id, kept.result))
        except DecodeError as error:
            return ResultInfo(kept.id, kept.state, problem=str(error))

    # -- what the application brings

    async def client(self) -> Client:
        raise NotImplementedError


def _checked(queue: str | None) -> str:
    """The name of a queue as a store is asked for it: '' for all of them."""
    return "" if queue is None else check_name(queue, "the name of a queue")
