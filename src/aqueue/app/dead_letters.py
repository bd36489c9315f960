"""What an application can do about what has failed for good: see it, run it again, or let it go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..client.results import Result
from ..core.ids import check_task_id
from ..exceptions import DecodeError, ResultNotFound
from ..storage.admin import Place
from ..tasks.task import Call
from ..tasks.workflow.inputs import read_ready, without_expiry
from .listed import LIST_LIMIT, DeadLetter, dead_letter, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.client import Client
    from ..core.codec import Codec
    from ..core.message import Envelope
    from ..storage.admin import StoredTask
    from ..tasks.registry import Registry


class DeadLetters:
    """The part of ``Huey`` that deals with dead letters.

    There is one of each task that ended as ``failed`` or ``dead``, for ``dead_letter_ttl`` after that, whatever becomes
    of its result; of the latest 10,000 at most. `what` is a dead letter, a result, or the id of a task.
    """

    registry: Registry
    codec: Codec

    async def dead_letters(self, limit: int | None = LIST_LIMIT, *, queue: str | None = None) -> list[DeadLetter]:
        """At most `limit` (None: all) of what failed for good, of `queue` or of all queues, the latest first."""
        found = await listed((await self.client()).storage.admin, Place.DEAD, limit, queue)
        return [dead_letter(self.codec, kept) for kept in found]

    async def dead_letter(self, what: Result[Any] | DeadLetter | str) -> DeadLetter | None:
        """What is kept of one task; None where there is nothing."""
        kept = await self._letter(_id(what))
        return kept and dead_letter(self.codec, kept)

    async def retry(self, what: Result[Any] | DeadLetter | str) -> Result[Any]:
        """Run a task that failed for good again: at once, under its id, and with all its retries.

        Its dead letter and its verdict are gone with that; of several who try, one gets it. An ``expires`` that it was
        enqueued with does not hold any more. Whoever awaits the handle that this returns gets the new verdict.

        Raises:
            ResultNotFound: there is no dead letter of it, or its id is in use for another task meanwhile.
            QueueFull: the store has no room.
        """
        task_id = _id(what)
        kept = await self._letter(task_id)
        if kept is not None:
            call, payload = self._call(kept)
            [revived] = await (await self.client()).storage.admin.retry([(task_id, payload)])
            if revived:
                calls = [] if call is None else [call]
                await self._after_push(calls, [self._envelope(call, "") for call in calls], [True] * len(calls))
                return self.result(task_id)
        raise ResultNotFound(f"task {task_id!r} cannot be retried: there is no dead letter of it, or its id is in use")

    async def drop_dead_letter(self, what: Result[Any] | DeadLetter | str) -> bool:
        """Let a task that failed for good go; False where there is no dead letter of it. Its result stays."""
        [dropped] = await (await self.client()).storage.admin.drop([_id(what)])
        return dropped

    async def _letter(self, task_id: str) -> StoredTask | None:
        [kept] = await (await self.client()).storage.admin.dead_letters([task_id])
        return kept

    def _call(self, kept: StoredTask) -> tuple[Call[Any] | None, bytes | None]:
        """The call that is to run again, if its task is declared here, and its payload where that has to be another."""
        payload = None
        try:
            payload = without_expiry(self.codec, kept.id, kept.payload)
            message, _ = read_ready(self.codec, kept.id, kept.payload)
            task = self.registry.get(message.task)
            if task is not None:
                options = task.declared.changed(**(message.overrides or {}))
                return Call(task, message.args, message.kwargs, options, kept.id), payload
        except (DecodeError, TypeError, ValueError):
            # Whatever is wrong with it, the worker will say so.
            pass
        return None, payload

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


def _id(what: Result[Any] | DeadLetter | str) -> str:
    if isinstance(what, (Result, DeadLetter)):
        return what.id
    if isinstance(what, str):
        return check_task_id(what)
    raise TypeError(f"a dead letter, a result or the id of a task is needed, not {what!r}")
