"""Immediate mode: tasks run where they are enqueued, before the enqueue returns.

They run as they do in a worker, with the same runner, dispatcher and settler, over a memory storage. The services that
wait for something are missing: the call that enqueues a task, or moves the clock, runs all ready tasks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..core.lifecycle import State
from ..storage.memory.store import MemoryStorage
from ..storage.protocol import CancelAsked
from .execution.dispatcher import Dispatcher
from .execution.runner import Runner
from .execution.settler import Settler
from .options import WorkerOptions
from .services.promoter import LARGEST_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.client import Client
    from ..core.clock import Clock
    from ..core.message import Delivery, Receipt
    from ..storage.protocol import Intake
    from ..tasks.parts import Parts
    from .execution.held import HeldDelivery
    from .execution.report import RunReport

_CONSUMER = "immediate"
# Each delivery has a dispatcher of its own. A crash here ends the whole process, so no delivery follows one.
_OPTIONS = WorkerOptions(concurrency=1, max_crashes=1)


class Immediate:
    """Runs the tasks of one application in the event loop of the caller, by the time of `clock`.

    While `raise_exceptions` is set, an enqueue raises the exception of its task.
    """

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self.clock = clock
        self.storage = MemoryStorage(parts.name, clock)
        self.raise_exceptions = False
        self._parts = parts
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._exceptions: dict[str, BaseException | None] = {}

    async def run_ready(self, task_ids: Sequence[str] = ()) -> None:
        """Run ready tasks until none is left, and until none of the tasks `task_ids` is running.

        With `raise_exceptions` this raises the exception of the first of `task_ids` that failed.
        """
        self._exceptions.update(dict.fromkeys(task_ids))
        try:
            while await self._run_all() or await self._wait_for_others(task_ids):
                pass
            if self.raise_exceptions:
                await self._raise_failure(task_ids)
        finally:
            for task_id in task_ids:
                self._exceptions.pop(task_id, None)

    async def run_due(self) -> int | None:
        """Run all tasks that are ready or due; return the milliseconds until the next task is due, if any."""
        await self.run_ready()
        while (promotion := await self.storage.promote(LARGEST_STEP)).moved:
            await self.run_ready()
        return promotion.next_ms

    async def _run_all(self) -> bool:
        """Run the tasks that are ready now, concurrently; False if there are none."""
        queues = [depth.queue for depth in await self.storage.depths()]
        # There is no reclaimer here, so it does not matter when a lease runs out.
        intake = self.storage.open_intake(_CONSUMER, queues, _OPTIONS.lease_ms)
        deliveries = await intake.pull(LARGEST_STEP, 0)
        client = await self._parts.clients.open()
        client.start_listening()
        runner = Runner(self._parts, _OPTIONS, self.clock, report=client.report, is_revoked=client.must_not_start)
        try:
            async with asyncio.TaskGroup() as group:
                for delivery in deliveries:
                    self._turns[delivery.id] = group.create_task(self._take_turn(delivery, intake, runner, client))
        finally:
            await runner.close()
        return bool(deliveries)

    async def _wait_for_others(self, task_ids: Sequence[str]) -> bool:
        """Wait for those of `task_ids` that another caller runs in this event loop; False if there are none."""
        loop = asyncio.get_running_loop()
        turns = [self._turns[task_id] for task_id in task_ids if task_id in self._turns]
        turns = [turn for turn in turns if turn.get_loop() is loop]
        if turns:
            await asyncio.wait(turns)
        return bool(turns)

    async def _take_turn(self, delivery: Delivery, intake: Intake, runner: Runner, client: Client) -> None:
        """Bring one delivery to its settlement. If this is cancelled, the task goes back in line."""
        held: dict[Receipt, HeldDelivery] = {}
        settler = Settler(self.storage, self.clock, held)

        async def run(delivery: Delivery) -> RunReport:
            report = await runner.run(delivery)
            if delivery.id in self._exceptions and report.run is not None:
                self._exceptions[delivery.id] = report.run.exception
            return report

        # A dispatcher per delivery, so that each can be awaited alone: a task may enqueue others and await them.
        dispatcher = Dispatcher(run, intake.load, settler, self._parts, _OPTIONS, held)
        unsubscribe = client.subscribe(CancelAsked, lambda asked: dispatcher.cancel(asked.id))
        settling = asyncio.create_task(settler.run())
        try:
            dispatcher.start([delivery])
            await dispatcher.wait_until_idle()
        finally:
            dispatcher.interrupt_all()
            await dispatcher.wait_until_idle()
            await settler.wait_until_below(1)
            settling.cancel()
            unsubscribe()
            del self._turns[delivery.id]

    async def _raise_failure(self, task_ids: Sequence[str]) -> None:
        for task_id, record in zip(task_ids, await self.storage.records(task_ids), strict=True):
            error = self._exceptions.get(task_id)
            if error is not None and record is not None and record.state is State.FAILED:
                raise error
