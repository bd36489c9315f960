"""The part of an application that sends: from calls and workflows to what a store keeps, and who is told of it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ..client.results import Result, ResultGroup
from ..core.clock import instant_ms, span_ms
from ..core.ids import new_task_id
from ..core.message import Envelope, Message
from ..signals import SIGNAL_ENQUEUED, SIGNAL_SCHEDULED
from ..tasks.context import TaskView
from ..tasks.task import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from ..client.client import Client
    from ..client.loops import Clients
    from ..client.results import Sendable
    from ..core.clock import Clock
    from ..core.codec import Codec
    from ..tasks.hooks import Hooks
    from ..tasks.workflow.graph import Workflow
    from ..worker.immediate import Immediate

R = TypeVar("R")
T = TypeVar("T")


class Enqueueing:
    """The part of ``Huey`` that sends tasks."""

    codec: Codec
    hooks: Hooks
    _clients: Clients
    _clock: Clock
    _immediate: Immediate | None

    async def enqueue(self, item: Sendable[T]) -> T:
        """Send a call, made with ``task.s(...)``, or a workflow: what its own ``enqueue`` does."""
        return await item.enqueue()

    async def send(self, call: Call[R]) -> Result[R]:
        """Send one call; see ``Task.enqueue``."""
        client = self._clients.get(asyncio.get_running_loop()) or await self.client()
        if client.is_full:
            await client.wait_for_room()
        envelope = self._envelope(call, client.token)
        if self.hooks.pre_enqueue:
            await self._before_push([call], [envelope])
        created = await client.push(envelope)
        if self.hooks.signals.receivers or self._immediate is not None:
            await self._after_push([call], [envelope], [created])
        return Result(envelope.id, self, created)  # type: ignore[arg-type]  # an application is all of its parts

    async def enqueue_many(self, calls: Iterable[Call[R]]) -> ResultGroup[R]:
        """Send many calls in as few round trips as the store allows, whatever their number.

        Raises like ``Task.enqueue``; when a call cannot be encoded nothing was enqueued.
        """
        client = await self.client()
        calls = list(calls)
        for call in calls:
            if not isinstance(call, Call):
                raise TypeError(f"enqueue_many() takes calls, as task.s(...) gives them, not {call!r}: use group()")
        envelopes = [self._envelope(call, client.token) for call in calls]
        if self.hooks.pre_enqueue:
            await self._before_push(calls, envelopes)
        created = await client.push_all(envelopes) if envelopes else []
        if self.hooks.signals.receivers or self._immediate is not None:
            await self._after_push(calls, envelopes, created)
        results: list[Result[R]] = [
            Result(envelope.id, self, new)  # type: ignore[arg-type]
            for envelope, new in zip(envelopes, created, strict=True)
        ]
        return ResultGroup(results)

    async def enqueue_workflow(self, workflow: Workflow[T]) -> T:
        """Send a workflow as a whole, or not at all; see ``Step.enqueue``."""
        from ..tasks.workflow.graph import plan_of  # most applications have no use for it

        plan = plan_of(workflow)
        client = await self.client()
        nodes = plan.nodes
        envelopes = [self._envelope(node.call, client.token, node.as_node()) for node in nodes]
        if self.hooks.pre_enqueue:
            await self._before_push([node.call for node in nodes], envelopes)
        new = await client.push_workflow(
            [node.on(envelope, client.token) for node, envelope in zip(nodes, envelopes, strict=True)]
        )
        created = plan.is_new(new)
        if self.hooks.signals.receivers:
            entered = [created and not node.join.before for node in nodes]
            await self._announce([node.call for node in nodes], envelopes, entered)
        if self._immediate is not None and created:
            await self._immediate.run_ready([node.id for node in nodes])
        return plan.handle(lambda task_id: Result(task_id, self, created))  # type: ignore[arg-type]

    # -- who is told

    async def _before_push(self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope]) -> None:
        """Ask the pre-enqueue handlers; one that raises ``CancelExecution`` keeps all of `calls` from being sent."""
        for call, envelope in zip(calls, envelopes, strict=True):
            await self.hooks.run_pre_enqueue(self._view(call, envelope))

    async def _after_push(
        self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope], created: Sequence[bool]
    ) -> None:
        """Tell of each task that is new, now that the store has it. In immediate mode, run them."""
        await self._announce(calls, envelopes, created)
        if self._immediate is not None:
            new = [envelope.id for envelope, is_new in zip(envelopes, created, strict=True) if is_new]
            await self._immediate.run_ready(new)

    async def _announce(
        self, calls: Sequence[Call[Any]], envelopes: Sequence[Envelope], entered: Sequence[bool]
    ) -> None:
        for call, envelope, has_entered in zip(calls, envelopes, entered, strict=True):
            if has_entered:
                task = self._view(call, envelope)
                await self.hooks.signals.send(SIGNAL_ENQUEUED, task)
                if envelope.delay_ms or envelope.eta_ms > self._clock.now_ms():
                    await self.hooks.signals.send(SIGNAL_SCHEDULED, task)

    def _view(self, call: Call[Any], envelope: Envelope) -> TaskView:
        """What was made of `call`, with its arguments as the worker will get them."""
        return TaskView(self.codec.decode_message(envelope.id, envelope.payload), call.options)

    # -- what travels

    def _envelope(self, call: Call[Any], reply: str, node: list[Any] | None = None) -> Envelope:
        """`call` as a store keeps it; `node` is what makes it a part of a workflow."""
        options = call.options
        message = Message(call.id or new_task_id(), call.task.name, call.args, call.kwargs, reply)
        if options.expires is not None:
            message.expires_ms = self._expires_ms(options.expires, call)
        if options is not call.task.declared:
            message.overrides = options.travelling(call.task.declared)
        message.node = node
        payload = self.codec.encode_message(message)
        return Envelope(message.id, payload, options.queue, options.priority, call.delay_ms, call.eta_ms)

    def _expires_ms(self, expires: float | timedelta | datetime, call: Call[Any]) -> int:
        """The instant after which the call must not start: a span counts from when it is due."""
        due_ms = call.eta_ms or self._clock.now_ms() + call.delay_ms
        if not isinstance(expires, datetime):
            return due_ms + span_ms(expires, "expires")
        expires_ms = instant_ms(expires, "expires")
        if (call.delay_ms or call.eta_ms) and expires_ms < due_ms:
            raise ValueError(f"expires ({expires!r}) is before the task is due")
        return max(expires_ms, 1)

    # -- what the application brings

    async def client(self) -> Client:
        raise NotImplementedError
