"""Dead letters: tasks that failed for good; read them, run them again, or drop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..client.results import Result
from ..core.ids import check_task_id
from ..exceptions import DecodeError, ResultNotFound
from ..storage.admin import Place
from ..tasks.context import TaskView
from ..tasks.task import Call
from ..tasks.workflow.inputs import read_ready, without_expiry
from .inspection import LIST_LIMIT, DeadLetter, dead_letter, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.loops import ClientPerLoop
    from ..core.codec import Codec
    from ..storage.admin import StorageAdmin, StoredTask
    from ..tasks.outbox import Outbox
    from ..tasks.registry import Registry


class DeadLetters:
    """``huey.dead``: the tasks that ended as ``failed`` or ``dead``.

    The store keeps a dead letter of each for ``dead_letter_ttl``, independently of its result, and at most the latest
    10,000. `what` is a dead letter, a result, or the id of a task.
    """

    def __init__(self, clients: ClientPerLoop, codec: Codec, registry: Registry, outbox: Outbox) -> None:
        self._clients = clients
        self._codec = codec
        self._registry = registry
        self._outbox = outbox

    async def list(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> Sequence[DeadLetter]:
        """At most `limit` dead letters (None: all), of `queue` or of all queues, the latest first."""
        found = await listed(await self._admin(), Place.DEAD, limit, queue)
        return [dead_letter(self._codec, kept) for kept in found]

    async def get(self, what: Result[Any] | DeadLetter | str) -> DeadLetter | None:
        """The dead letter of one task; None if there is none."""
        kept = await self._letter(_id(what))
        return kept and dead_letter(self._codec, kept)

    async def retry(self, what: Result[Any] | DeadLetter | str) -> Result[Any]:
        """Run a task that failed for good again: at once, under the same id, and with all its retries.

        This removes its dead letter and its verdict; of several concurrent callers, one succeeds. An ``expires`` that
        the task was enqueued with no longer applies. Awaiting the returned handle gives the new verdict.

        Raises:
            ResultNotFound: there is no dead letter of this task, or its id is in use for another task.
            QueueFull: the store has no room.
        """
        task_id = _id(what)
        kept = await self._letter(task_id)
        if kept is not None:
            [revived] = await (await self._admin()).retry([(task_id, self._payload(kept))])
            if revived:
                await self._announce(kept)
                await self._outbox.run_created([task_id])
                return Result(task_id, self._outbox.source, created=False)
        raise ResultNotFound(f"task {task_id!r} cannot be retried: there is no dead letter of it, or its id is in use")

    async def drop(self, what: Result[Any] | DeadLetter | str) -> bool:
        """Delete the dead letter of one task; False if there is none. The result of the task stays."""
        [dropped] = await (await self._admin()).drop([_id(what)])
        return dropped

    async def _admin(self) -> StorageAdmin:
        return (await self._clients.storage()).admin

    async def _letter(self, task_id: str) -> StoredTask | None:
        [kept] = await (await self._admin()).dead_letters([task_id])
        return kept

    def _payload(self, kept: StoredTask) -> bytes | None:
        """The payload to run again; None to use the stored one."""
        try:
            return without_expiry(self._codec, kept.id, kept.payload)
        except DecodeError:
            # The worker will report what is wrong with it.
            return None

    async def _announce(self, kept: StoredTask) -> None:
        """Notify the receivers, if the task is declared here and its message can be read."""
        try:
            message, _ = read_ready(self._codec, kept.id, kept.payload)
            task = self._registry.get(message.task)
            if task is None:
                return
            options = task.declared.changed(**(message.overrides or {}))
        except (DecodeError, TypeError, ValueError):
            return
        message.expires_ms = 0
        call = Call(task, message.args, message.kwargs, options, kept.id)
        await self._outbox.announce(TaskView(message, options), call)


def _id(what: Result[Any] | DeadLetter | str) -> str:
    if isinstance(what, (Result, DeadLetter)):
        return what.id
    if isinstance(what, str):
        return check_task_id(what)
    raise TypeError(f"a dead letter, a result or the id of a task is needed, not {what!r}")
