"""What an application can do to tasks that have not ended: revoke, restore, cancel, reschedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ..client.results import Result
from ..core.clock import instant_ms
from ..core.failures import attributed_to
from ..core.ids import check_task_id, kind_key
from ..core.lifecycle import TOMBSTONE_MS
from ..core.message import JOINED
from ..exceptions import ConfigurationError, DecodeError, ResultNotFound
from ..tasks.context import TaskRun, TaskView
from ..tasks.task import Call, Task, due
from ..tasks.workflow.inputs import read_call, read_ready, terms_of
from .inspection import TaskInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from ..client.loops import ClientPerLoop
    from ..core.codec import Codec
    from ..core.message import Envelope, Message
    from ..storage.admin import StoredTask
    from ..tasks.outbox import Outbox
    from ..tasks.registry import Registry

# A task stands for all its calls, each of the others for one call.
Revocable: TypeAlias = Task[..., Any] | Result[Any] | TaskRun | str
Cancellable: TypeAlias = Result[Any] | TaskRun | TaskInfo | str

# How long the store keeps a revocation of an id that it does not know.
_KEEP_MS = 30 * 24 * 3600 * 1000


class Cancellation:
    """Revokes, restores, cancels and reschedules tasks; see the methods of ``Huey`` of the same names."""

    def __init__(
        self, clients: ClientPerLoop, codec: Codec, registry: Registry, outbox: Outbox, result_ttl_ms: int
    ) -> None:
        self._clients = clients
        self._codec = codec
        self._registry = registry
        self._outbox = outbox
        self._verdict_ttl_ms = max(result_ttl_ms, TOMBSTONE_MS)

    async def revoke(self, what: Revocable, revoke_until: datetime | None, revoke_once: bool) -> None:
        """Keep `what` from running."""
        until_ms = 0 if revoke_until is None else max(instant_ms(revoke_until, "revoke_until"), 1)
        keep_ms = 0 if isinstance(what, Task) else _KEEP_MS
        await (await self._clients.storage()).revoke(_key(what), until_ms, bool(revoke_once), keep_ms)

    async def restore(self, what: Revocable) -> bool:
        """Undo a revocation; True if one was in force."""
        return await (await self._clients.storage()).restore(_key(what))

    async def is_revoked(self, what: Revocable) -> bool:
        """Whether `what` would not run now."""
        if isinstance(what, Result):
            message = await self._message(what.id)
            pair = (what.id, "" if message is None else kind_key(message.task))
        elif isinstance(what, TaskRun):
            pair = (what.id, kind_key(what.name))
        else:
            pair = (_key(what), "")
        [answer] = await (await self._clients.storage()).revoked([pair], False)
        return answer

    async def cancel(self, what: Cancellable) -> bool:
        """End one call, wherever it is."""
        task_id = _id(what)
        return await self._end(task_id, await self._message(task_id), "cancelled before it started")

    async def cancel_waiting(self, kept: StoredTask, why: str) -> bool:
        """End a task that was found in a list, unless a worker has taken it since; `why` is the text of its verdict."""
        try:
            message = read_call(self._codec, kept.id, kept.payload)
        except DecodeError:
            message = None
        return await self._end(kept.id, message, why, if_lent=False)

    async def reschedule(
        self,
        what: Cancellable,
        eta: datetime | None,
        delay: float | timedelta | None,
        expires: float | timedelta | datetime | None,
        priority: int | None,
    ) -> Result[Any]:
        """Cancel one call and enqueue it again, in one step."""
        task_id = _id(what)
        delay_ms, eta_ms = due(eta, delay)
        message = await self._message(task_id, _read_to_repeat)
        if message is not None:
            task = self._registry.get(message.task)
            if task is None:
                raise ConfigurationError(f"{message.task!r} is not declared here: import its module to reschedule it")
            changes = {**(message.overrides or {}), **_given(expires=expires, priority=priority)}
            options = task.declared.changed(**changes)
            call = Call(task, message.args, message.kwargs, options, None, delay_ms, eta_ms)
            anew, envelope = self._outbox.write(call, (await self._clients.open()).token)
            if await self._end(task_id, message, f"rescheduled as {envelope.id}", envelope):
                await self._outbox.announce(TaskView(anew, options), call)
                await self._outbox.run_created([envelope.id])
                return Result(envelope.id, self._outbox.source)
        raise ResultNotFound(f"task {task_id!r} cannot be rescheduled: it has ended, or was never enqueued here")

    async def _end(
        self, task_id: str, message: Message | None, why: str, instead: Envelope | None = None, *, if_lent: bool = True
    ) -> bool:
        reply = "" if message is None else message.reply
        metadata = {"type": "CancelExecution", "error": why, "traceback": "", "task_id": task_id}
        error = attributed_to(task_id, self._codec.encode_value(metadata, "error", task_id))
        storage = await self._clients.storage()
        return await storage.cancel(task_id, error, self._verdict_ttl_ms, reply, instead, if_lent=if_lent)

    async def _message(self, task_id: str, read: Callable[[Codec, str, bytes], Message] = read_call) -> Message | None:
        """The call with this id; None if it has its verdict, is unknown, or cannot be read."""
        [envelope] = await (await self._clients.storage()).envelopes([task_id])
        try:
            return None if envelope is None else read(self._codec, task_id, envelope.payload)
        except DecodeError:
            return None


def _read_to_repeat(codec: Codec, task_id: str, payload: bytes) -> Message:
    """The call in `payload`, with its inputs from other tasks.

    Raises:
        ValueError: its workflow refers to it by its id, or it still waits for other tasks.
    """
    terms = terms_of(read_call(codec, task_id, payload))
    if terms.linked or (terms.after and not payload.startswith(JOINED)):
        why = "others wait for it under this id" if terms.linked else "it still waits for others"
        raise ValueError(
            f"task {task_id!r} cannot be rescheduled, because {why}: cancel it, and enqueue its workflow anew"
        )
    return read_ready(codec, task_id, payload)[0]


def _id(what: Cancellable) -> str:
    if isinstance(what, (Result, TaskRun, TaskInfo)):
        return what.id
    if isinstance(what, str):
        return check_task_id(what)
    raise TypeError(f"a result, a run or the id of a call is needed, not {what!r}")


def _key(what: Revocable) -> str:
    """The key under which `what` is revoked."""
    return kind_key(what.name) if isinstance(what, Task) else _id(what)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
