"""How an application sends: it turns calls and workflows into envelopes in the store, and into handles for the caller.

A message is encoded once and never decoded here: hooks and receivers see a view of the message itself.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ..client.results import Result, ResultGroup
from ..core.clock import instant_ms, span_ms
from ..core.ids import new_task_id
from ..core.message import Envelope, Message
from ..signals import SIGNAL_ENQUEUED, SIGNAL_SCHEDULED
from .context import TaskView
from .task import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import timedelta

    from ..client.results import ResultSource
    from .hooks import Hooks
    from .workflow.graph import Workflow

R = TypeVar("R")
T = TypeVar("T")

_WRITTEN_AT_ONCE = 1000


class Outbox:
    """Sends calls and workflows; the results that it returns share `source`.

    If `on_created` is set, it is awaited with the ids of the tasks that were just added to the store. Immediate mode
    uses it to run them before the enqueue returns.
    """

    def __init__(self, source: ResultSource, hooks: Hooks) -> None:
        self.source = source
        self.on_created: Callable[[Sequence[str]], Awaitable[None]] | None = None
        self._clients = source.clients
        self._codec = source.codec
        self._hooks = hooks

    # -- sending

    async def send(self, call: Call[R]) -> Result[R]:
        """Send one call; see ``Task.enqueue``."""
        client = self._clients.get(asyncio.get_running_loop()) or await self._clients.open()
        if client.is_full:
            await client.wait_for_room()
        message, envelope = self.write(call, client.token)
        hooks = self._hooks
        task = TaskView(message, call.options) if hooks.pre_enqueue or hooks.signals.receivers else None
        if task is not None:
            await hooks.run_pre_enqueue(task)
        created = await client.push(envelope)
        if task is not None and created:
            await self.announce(task, call)
        if self.on_created is not None and created:
            await self.on_created([envelope.id])
        return Result(envelope.id, self.source, created)

    async def send_many(self, calls: Iterable[Call[R]]) -> ResultGroup[R]:
        """Send many calls in as few round trips as the store allows; see ``Huey.enqueue_many``."""
        client = await self._clients.open()
        calls = list(calls)
        for call in calls:
            if not isinstance(call, Call):
                raise TypeError(f"enqueue_many() takes calls, as task.s(...) gives them, not {call!r}: use group()")
        written = []
        for call in calls:
            written.append(self.write(call, client.token))
            if not len(written) % _WRITTEN_AT_ONCE:
                # Others have their turn: a million calls take seconds to encode.
                await asyncio.sleep(0)
        tasks = await self._ask(calls, [message for message, _ in written])
        envelopes = [envelope for _, envelope in written]
        created = await client.push_all(envelopes) if envelopes else []
        await self._tell(tasks, calls, created)
        await self.run_created([envelope.id for envelope, new in zip(envelopes, created, strict=True) if new])
        return ResultGroup(
            Result(envelope.id, self.source, new) for envelope, new in zip(envelopes, created, strict=True)
        )

    async def send_workflow(self, workflow: Workflow[T]) -> T:
        """Send a workflow as a whole, or not at all; see ``Step.enqueue``."""
        from .workflow.graph import plan_of  # most applications have no use for it

        plan = plan_of(workflow)
        client = await self._clients.open()
        nodes = plan.nodes
        calls = [node.call for node in nodes]
        written = [self.write(node.call, client.token, node.as_node()) for node in nodes]
        tasks = await self._ask(calls, [message for message, _ in written])
        new = await client.push_workflow(
            [node.on(envelope, client.token) for node, (_, envelope) in zip(nodes, written, strict=True)]
        )
        created = plan.is_new(new)
        await self._tell(tasks, calls, [created and not node.join.before for node in nodes])
        if created:
            await self.run_created([node.id for node in nodes])
        return plan.handle(lambda task_id: Result(task_id, self.source, created))

    # -- for parts that add envelopes to the store in other ways

    def write(self, call: Call[Any], reply: str = "", node: list[Any] | None = None) -> tuple[Message, Envelope]:
        """The message of `call`, and its envelope.

        `reply` names the client that waits for the result, and `node` describes the call's place in a workflow.
        """
        options = call.options
        message = Message(call.id or new_task_id(), call.task.name, call.args, call.kwargs, reply)
        if options.expires is not None:
            message.expires_ms = self._expires_ms(options.expires, call)
        if options is not call.task.declared:
            message.overrides = options.travelling(call.task.declared)
        message.node = node
        payload = self._codec.encode_message(message)
        return message, Envelope(message.id, payload, options.queue, options.priority, call.delay_ms, call.eta_ms)

    async def prepare(self, call: Call[Any]) -> tuple[TaskView, Envelope]:
        """Call the pre-enqueue handlers; return what hooks see of `call`, and its envelope.

        Raises:
            CancelExecution: a handler refused the call.
        """
        message, envelope = self.write(call)
        task = TaskView(message, call.options)
        await self._hooks.run_pre_enqueue(task)
        return task, envelope

    async def announce(self, task: TaskView, call: Call[Any]) -> None:
        """Notify the receivers about the task of `call`, which has just been added to the store."""
        signals = self._hooks.signals
        if signals.receivers:
            await signals.send(SIGNAL_ENQUEUED, task)
            if call.delay_ms or call.eta_ms > self._clients.clock.now_ms():
                await signals.send(SIGNAL_SCHEDULED, task)

    async def run_created(self, task_ids: Sequence[str]) -> None:
        """In immediate mode, run all ready tasks, and wait for the end of the tasks `task_ids`."""
        if self.on_created is not None:
            await self.on_created(task_ids)

    # -- for many calls at once

    async def _ask(self, calls: Sequence[Call[Any]], messages: Sequence[Message]) -> list[TaskView]:
        """Call the pre-enqueue handlers; if one raises ``CancelExecution``, none of `calls` is sent.

        Returns what receivers will see; nothing if there are neither handlers nor receivers.
        """
        if not (self._hooks.pre_enqueue or self._hooks.signals.receivers):
            return []
        tasks = [TaskView(message, call.options) for call, message in zip(calls, messages, strict=True)]
        for task in tasks:
            await self._hooks.run_pre_enqueue(task)
        return tasks

    async def _tell(self, tasks: Sequence[TaskView], calls: Sequence[Call[Any]], entered: Sequence[bool]) -> None:
        for task, call, has_entered in zip(tasks, calls, entered, strict=False):
            if has_entered:
                await self.announce(task, call)

    def _expires_ms(self, expires: float | timedelta | datetime, call: Call[Any]) -> int:
        """The instant after which the call must not start; a span counts from its due time."""
        due_ms = call.eta_ms or self._clients.clock.now_ms() + call.delay_ms
        if not isinstance(expires, datetime):
            return due_ms + span_ms(expires, "expires")
        expires_ms = instant_ms(expires, "expires")
        if (call.delay_ms or call.eta_ms) and expires_ms < due_ms:
            raise ValueError(f"expires ({expires!r}) is before the task is due")
        return max(expires_ms, 1)
