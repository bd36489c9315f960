"""Lists and counts of the tasks of an application, read from its store."""

from __future__ import annotations

import contextlib
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..client.results import read_progress
from ..core.failures import read_error
from ..core.ids import check_name
from ..core.lifecycle import State
from ..exceptions import DecodeError
from ..storage.admin import Place
from ..tasks.workflow.inputs import read_call, read_ready
from .signs import Runs

if TYPE_CHECKING:
    from ..client.loops import ClientPerLoop
    from ..client.results import Progress
    from ..core.codec import Codec
    from ..core.message import Message
    from ..storage.admin import StorageAdmin, StoredTask
    from ..storage.protocol import QueueDepth, Record
    from .signs import Begun

# The default length of a list: people read it, and a queue may hold millions of tasks.
LIST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task that has no verdict yet, as it was when the store was read.

    `name`, `args` and `kwargs` are those of the call, whether or not the task is declared here; if the message cannot
    be read they are empty, and `problem` says why. `attempt` is 1 for the first run.

    The instants are UTC; those that do not apply are None. `since` is when the task became ready, and `due` is when it
    becomes ready. A task that runs was `started` by its `worker`, has perhaps reported `progress`, and other workers
    take it over at `lease_until`, unless its own renews the lease. `note` says that the run blocks the event
    loop, if it does.
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
    started: datetime | None = None
    progress: Progress | None = None
    note: str = ""


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

    async def running(self, limit: int | None, queue: str | None, older_than_ms: int) -> list[TaskInfo]:
        """The tasks that workers hold, those first that have run longest."""
        _check_limit(limit)
        storage = await self._clients.storage()
        runs = Runs(await storage.workers())
        kept_and_begun = [(kept, runs.of(kept)) for kept in await listed(storage.admin, Place.LENT, None, queue)]
        newest_ms = self._clients.clock.now_ms() - older_than_ms
        wanted = [(kept, begun) for kept, begun in kept_and_begun if not older_than_ms or 0 < begun.at_ms <= newest_ms]
        # The ones whose worker says nothing, perhaps because it is dead, have run for longer than anybody knows.
        wanted.sort(key=lambda pair: pair[1].at_ms)
        del wanted[limit:]
        records = await storage.records([kept.id for kept, _ in wanted])
        return [self._run_info(*each, record) for each, record in zip(wanted, records, strict=True)]

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

    def _run_info(self, kept: StoredTask, begun: Begun, record: Record | None) -> TaskInfo:
        progress = None
        if record is not None and record.progress:
            with contextlib.suppress(DecodeError):
                progress = read_progress(self._codec, kept.id, record.progress)
        return replace(
            task_info(self._codec, kept, "lease_until"),
            started=_at(begun.at_ms) if begun.at_ms else None,
            progress=progress,
            note=begun.note,
        )

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
    _check_limit(limit)
    found: dict[str, StoredTask] = {}
    async with aclosing(admin.walk(place, queue_as_asked(queue))) as pages:
        async for page in pages:
            found.update((kept.id, kept) for kept in page)
            if limit is not None and len(found) >= limit:
                break
    return list(found.values())[:limit]


def _check_limit(limit: int | None) -> None:
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise ValueError(f"limit must be a number of tasks, or None for all, not {limit!r}")


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
    return _at(kept.at_ms)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
