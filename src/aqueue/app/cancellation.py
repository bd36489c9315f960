"""What an application can do to tasks that are on their way: revoke, restore, cancel, reschedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..client.results import Result
from ..core.clock import instant_ms
from ..core.failures import attributed_to
from ..core.ids import check_task_id, kind_key
from ..core.lifecycle import TOMBSTONE_MS
from ..core.message import JOINED
from ..exceptions import ConfigurationError, DecodeError, ResultNotFound
from ..tasks.context import TaskRun
from ..tasks.task import Call, Task, due
from ..tasks.workflow.inputs import read_call, read_ready, terms_of
from .listed import TaskInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from ..client.client import Client
    from ..core.codec import Codec
    from ..core.message import Envelope, Message
    from ..tasks.registry import Registry

# How long a revocation waits for a task of an id that the store does not know.
_KEEP_MS = 30 * 24 * 3600 * 1000


class Control:
    """The part of ``Huey`` that stops tasks.

    `what` is a task, which stands for all calls of it, a result, a run, or the id of one call.
    """

    codec: Codec
    registry: Registry
    result_ttl_ms: int

    # -- revoking

    async def revoke(
        self,
        what: Task[..., Any] | Result[Any] | TaskRun | str,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
    ) -> None:
        """Keep `what` from running, before the datetime `revoke_until` (naive means local time) or until ``restore``.

        A call that is revoked gets the verdict ``cancelled`` when a worker is about to run it; no hook is called. What
        runs already is not disturbed; see ``cancel``. With `revoke_once` one call is stopped and the next one runs. A
        later revocation takes the place of an earlier one. One of an id that was never enqueued lasts for 30 days.

        Raises:
            TypeError, ValueError: `what` can be no task, or `revoke_until` is no datetime.
            QueueUnavailable: the store could not be reached in time.
        """
        until_ms = 0 if revoke_until is None else max(instant_ms(revoke_until, "revoke_until"), 1)
        keep_ms = 0 if isinstance(what, Task) else _KEEP_MS
        await (await self.client()).storage.revoke(_key(what), until_ms, bool(revoke_once), keep_ms)

    async def revoke_by_id(self, task_id: str, revoke_until: datetime | None = None, revoke_once: bool = False) -> None:
        """``revoke`` for the id of one call."""
        await self.revoke(check_task_id(task_id), revoke_until, revoke_once)

    async def revoke_all(
        self, task: Task[..., Any], revoke_until: datetime | None = None, revoke_once: bool = False
    ) -> None:
        """``revoke`` for all calls of `task`."""
        await self.revoke(_checked(task), revoke_until, revoke_once)

    async def restore(self, what: Task[..., Any] | Result[Any] | TaskRun | str) -> bool:
        """Take a revocation back; True when there was one in force."""
        return await (await self.client()).storage.restore(_key(what))

    async def restore_by_id(self, task_id: str) -> bool:
        """``restore`` for the id of one call."""
        return await self.restore(check_task_id(task_id))

    async def restore_all(self, task: Task[..., Any]) -> bool:
        """``restore`` for all calls of `task`."""
        return await self.restore(_checked(task))

    async def is_revoked(self, what: Task[..., Any] | Result[Any] | TaskRun | str) -> bool:
        """Whether `what` would not run now. By its id alone a call does not tell that all of its task are revoked."""
        storage = (await self.client()).storage
        if isinstance(what, Result):
            message = await self._message(what.id)
            pair = (what.id, "" if message is None else kind_key(message.task))
        elif isinstance(what, TaskRun):
            pair = (what.id, kind_key(what.name))
        else:
            pair = (_key(what), "")
        [answer] = await storage.revoked([pair], False)
        return answer

    # -- cancelling

    async def cancel(self, what: Result[Any] | TaskRun | TaskInfo | str) -> bool:
        """End one call, wherever it is; False when it has its verdict already, or is unknown.

        One that waits gets the verdict ``cancelled`` at once. One that runs is told: its coroutine is cancelled, its
        thread is abandoned, and then it gets that verdict, unless it returns something in spite of it. In a workflow it
        is for those after it as if it had cancelled itself; those before it go on.

        Raises:
            TypeError, ValueError: `what` can be no call.
            QueueUnavailable: the store could not be reached in time.
        """
        task_id = _id(what)
        return await self._cancel(task_id, await self._message(task_id), "cancelled before it started")

    async def reschedule(
        self,
        what: Result[Any] | TaskRun | TaskInfo | str,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        expires: float | timedelta | datetime | None = None,
        priority: int | None = None,
    ) -> Result[Any]:
        """Cancel one call and enqueue it anew, under a new id, in one step: due at `eta`, after `delay`, or now.

        The arguments and the options of the call stay. `expires` is that of its task, unless it is given.

        Raises:
            ResultNotFound: it has its verdict already, or is unknown: nothing is left to be run again.
            ConfigurationError: its task is not declared on this application.
            ValueError: in its workflow others wait for it, under its id, or it waits for others itself.
            TypeError, ValueError: an option is out of range, or both `eta` and `delay` are given.
        """
        task_id = _id(what)
        delay_ms, eta_ms = due(eta, delay)
        message = await self._message(task_id, _read_to_repeat)
        if message is not None:
            task = self.registry.get(message.task)
            if task is None:
                raise ConfigurationError(f"{message.task!r} is not declared here: import its module to reschedule it")
            changes = {**(message.overrides or {}), **_given(expires=expires, priority=priority)}
            options = task.declared.changed(**changes)
            call = Call(task, message.args, message.kwargs, options, None, delay_ms, eta_ms)
            copy = self._envelope(call, (await self.client()).token)
            if await self._cancel(task_id, message, f"rescheduled as {copy.id}", copy):
                await self._after_push([call], [copy], [True])
                result = self.result(copy.id)
                result.created = True
                return result
        raise ResultNotFound(f"task {task_id!r} cannot be rescheduled: it has ended, or was never enqueued here")

    async def _cancel(
        self, task_id: str, message: Message | None, why: str, instead: Envelope | None = None, *, if_lent: bool = True
    ) -> bool:
        reply = "" if message is None else message.reply
        metadata = {"type": "CancelExecution", "error": why, "traceback": "", "task_id": task_id}
        ttl_ms = max(self.result_ttl_ms, TOMBSTONE_MS)
        error = attributed_to(task_id, self.codec.encode_value(metadata, "error", task_id))
        storage = (await self.client()).storage
        return await storage.cancel(task_id, error, ttl_ms, reply, instead, if_lent=if_lent)

    async def _message(self, task_id: str, read: Callable[[Codec, str, bytes], Message] = read_call) -> Message | None:
        """The call of this id, unless it has its verdict, is unknown, or makes no sense."""
        [envelope] = await (await self.client()).storage.envelopes([task_id])
        try:
            return None if envelope is None else read(self.codec, task_id, envelope.payload)
        except DecodeError:
            return None

    # -- what the application brings

    async def client(self) -> Client:
        raise NotImplementedError

    def result(self, task_id: str) -> Result[Any]:
        raise NotImplementedError

    def _envelope(self, call: Call[Any], reply: str) -> Envelope:
        raise NotImplementedError

    async def _after_push(
        self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope], created: Sequence[bool]
    ) -> None:
        raise NotImplementedError


def _read_to_repeat(codec: Codec, task_id: str, payload: bytes) -> Message:
    """The call in `payload`, with what it got from others; refused where it cannot do without its id."""
    terms = terms_of(read_call(codec, task_id, payload))
    if terms.linked or (terms.after and not payload.startswith(JOINED)):
        why = "others wait for it under this id" if terms.linked else "it still waits for others"
        raise ValueError(
            f"task {task_id!r} cannot be rescheduled, because {why}: cancel it, and enqueue its workflow anew"
        )
    return read_ready(codec, task_id, payload)[0]


def _id(what: Result[Any] | TaskRun | TaskInfo | str) -> str:
    if isinstance(what, (Result, TaskRun, TaskInfo)):
        return what.id
    if isinstance(what, str):
        return check_task_id(what)
    raise TypeError(f"a result, a run or the id of a call is needed, not {what!r}")


def _key(what: Task[..., Any] | Result[Any] | TaskRun | str) -> str:
    """What `what` is revoked under."""
    return kind_key(what.name) if isinstance(what, Task) else _id(what)


def _checked(task: Task[..., Any]) -> Task[..., Any]:
    if not isinstance(task, Task):
        raise TypeError(f"a task is needed, not {task!r}")
    return task


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
