"""Lists and counts of the tasks of an application, read from its store."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.failures import read_error
from ..core.ids import check_name
from ..core.lifecycle import State
from ..exceptions import DecodeError
from ..storage.admin import Place
from ..tasks.workflow.inputs import read_call, read_ready

if TYPE_CHECKING:
    from ..client.loops import ClientPerLoop
    from ..core.codec import Codec
    from ..core.message import Message
    from ..storage.admin import StorageAdmin, StoredTask
    from ..storage.protocol import QueueDepth

# The default length of a list: people read it, and a queue may hold millions of tasks.
LIST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task that has no verdict yet, as it was when the store was read.

    `name`, `args` and `kwargs` are those of the call, whether or not the task is declared here; if the message cannot
    be read they are empty, and `problem` says why. At most one of the instants (UTC) is set: `since` is when the task
    became ready, `due` is when it becomes ready, and at `lease_until` other workers take it over, unless its `worker`
    has renewed the lease. `attempt` is 1 for the first run.
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
    """The stored verdict on one task: its `value` if it is done, else the `metadata` of its failure.

    If they cannot be read, `problem` says why.
    """

    id: str
    state: State
    value: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One task that is ``failed`` or ``dead``, with everything needed to run it again.

    `name`, `args` and `kwargs` are those of the call. `metadata` is that of the ``TaskException`` that awaiting its
    result raises. What cannot be read is empty, and `problem` says why. `died` is the instant (UTC) of the failure, and
    `attempt` the number of the run that failed.
    """

    id: str
    state: State
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    queue: str
    priority: int
    attempt: int
    died: datetime
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


class Inspection:
    """Lists and counts the tasks of an application; see ``Huey.pending``.

    A list is read page by page, so that the store is never blocked for long; it may miss tasks that move meanwhile.
    Tasks that are not declared here are listed like any other.
    """

    def __init__(self, clients: ClientPerLoop, codec: Codec) -> None:
        self._clients = clients
        self._codec = codec

    async def pending(self, limit: int | None, queue: str | None) -> list[TaskInfo]:
        """The tasks that are ready to run."""
        return [task_info(self._codec, kept, "since") for kept in await self._listed(Place.READY, limit, queue)]

    async def scheduled(self, limit: int | None, queue: str | None) -> list[TaskInfo]:
        """The tasks that are due later."""
        return [task_info(self._codec, kept, "due") for kept in await self._listed(Place.SCHEDULED, limit, queue)]

    async def waiting(self, limit: int | None, queue: str | None) -> list[TaskInfo]:
        """The tasks that wait for others of their workflow."""
        return [task_info(self._codec, kept) for kept in await self._listed(Place.WAITING, limit, queue)]

    async def running(self, limit: int | None, queue: str | None) -> list[TaskInfo]:
        """The tasks that workers hold."""
        return [task_info(self._codec, kept, "lease_until") for kept in await self._listed(Place.LENT, limit, queue)]

    async def all_results(self, limit: int | None) -> list[ResultInfo]:
        """The stored verdicts."""
        return [result_info(self._codec, kept) for kept in await self._listed(Place.ENDED, limit, None)]

    async def pending_count(self, queue: str | None) -> int:
        """How many tasks are ready to run."""
        return sum(depth.ready for depth in await self._depths(queue))

    async def scheduled_count(self, queue: str | None) -> int:
        """How many tasks are due later."""
        return sum(depth.scheduled for depth in await self._depths(queue))

    async def result_count(self) -> int:
        """How many verdicts are stored, counted one by one."""
        return len(await self._listed(Place.ENDED, None, None))

    async def _listed(self, place: Place, limit: int | None, queue: str | None) -> list[StoredTask]:
        return await listed((await self._clients.storage()).admin, place, limit, queue)

    async def _depths(self, queue: str | None) -> list[QueueDepth]:
        name = queue_as_asked(queue)
        return [depth for depth in await (await self._clients.storage()).depths() if name in {"", depth.queue}]


class _Call(NamedTuple):
    name: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}  # noqa: RUF012  # never written to
    problem: str = ""


async def listed(admin: StorageAdmin, place: Place, limit: int | None, queue: str | None) -> list[StoredTask]:
    """At most `limit` of the tasks in `place`, each once and as it was last seen.

    Raises:
        TypeError, ValueError: `limit` is not a non-negative int, or `queue` is not a valid name.
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise ValueError(f"limit must be a number of tasks, or None for all, not {limit!r}")
    found: dict[str, StoredTask] = {}
    async with aclosing(admin.walk(place, queue_as_asked(queue))) as pages:
        async for page in pages:
            found.update((kept.id, kept) for kept in page)
            if limit is not None and len(found) >= limit:
                break
    return list(found.values())[:limit]


def queue_as_asked(queue: str | None) -> str:
    """The name of a queue as a store expects it: '' for all queues.

    Raises:
        TypeError, ValueError: it is not a valid name.
    """
    return "" if queue is None else check_name(queue, "the name of a queue")


def task_info(codec: Codec, kept: StoredTask, instant: str = "") -> TaskInfo:
    """A task that waits or runs; `instant` names the field for its instant, if it has one."""
    name, args, kwargs, problem = _call(codec, kept)
    where = (kept.queue, kept.priority, kept.failures + 1, kept.consumer)
    when: dict[str, Any] = {instant: _instant(kept)} if instant else {}
    return TaskInfo(kept.id, kept.state, name, args, kwargs, *where, problem=problem, **when)


def result_info(codec: Codec, kept: StoredTask) -> ResultInfo:
    """A verdict."""
    if not kept.result:
        return ResultInfo(kept.id, kept.state)
    try:
        if kept.state is State.DONE:
            return ResultInfo(kept.id, kept.state, codec.decode_value(kept.result, "result", kept.id))
        return ResultInfo(kept.id, kept.state, metadata=read_error(codec, kept.id, kept.result))
    except DecodeError as error:
        return ResultInfo(kept.id, kept.state, problem=str(error))


def dead_letter(codec: Codec, kept: StoredTask) -> DeadLetter:
    """A task that failed or died."""
    name, args, kwargs, problem = _call(codec, kept)
    failure = result_info(codec, kept)
    where = (kept.queue, kept.priority, kept.failures + 1, _instant(kept))
    return DeadLetter(kept.id, kept.state, name, args, kwargs, *where, failure.metadata, problem or failure.problem)


def _call(codec: Codec, kept: StoredTask) -> _Call:
    # A task that waits for others has only its own arguments so far.
    read = read_call if kept.state is State.WAITING else _read_with_inputs
    try:
        message = read(codec, kept.id, kept.payload)
    except DecodeError as error:
        return _Call(problem=str(error))
    return _Call(message.task, message.args, message.kwargs)


def _read_with_inputs(codec: Codec, task_id: str, payload: bytes) -> Message:
    message, _ = read_ready(codec, task_id, payload)
    return message


def _instant(kept: StoredTask) -> datetime:
    return datetime.fromtimestamp(kept.at_ms / 1000, UTC)
