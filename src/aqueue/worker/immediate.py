"""Immediate mode: tasks run where they are enqueued, before the enqueue returns.

They take the path that they take in a worker: the same runner, dispatcher and settler, over a memory storage. What is
missing are the services that wait for something; whoever enqueues, or moves the clock, runs what is ready.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from ..core.lifecycle import State
from ..storage.memory.store import MemoryStorage
from ..storage.protocol import CancelAsked
from .execution.dispatcher import Dispatcher
from .execution.runner import Runner
from .execution.settler import Settler
from .options import WorkerOptions
from .services.promoter import LARGEST_STEP
from .worker import Application, workload_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.client import Client
    from ..core.clock import Clock
    from ..core.message import Delivery, Receipt
    from .execution.held import HeldDelivery
    from .execution.report import RunReport

_CONSUMER = "immediate"
# Each delivery has a dispatcher of its own. Nothing crashes here without its process, so each one is the last.
_OPTIONS = WorkerOptions(concurrency=1, max_crashes=1)


class ImmediateApplication(Application, Protocol):
    """What immediate mode needs to know of the application whose tasks it runs."""

    @property
    def raise_exceptions(self) -> bool: ...


class Immediate:
    """Runs the tasks of one application in whichever event loop asks. Times are those of `clock`."""

    def __init__(self, application: ImmediateApplication, clock: Clock) -> None:
        self.clock = clock
        self.storage = MemoryStorage(application.name, clock)
        self._application = application
        self._workload = workload_of(application)
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._exceptions: dict[str, BaseException | None] = {}

    async def run_ready(self, task_ids: Sequence[str] = ()) -> None:
        """Run what is ready until nothing is, and until the tasks `task_ids` have come to rest.

        Where the application has `raise_exceptions`, this raises what the first of `task_ids` that failed has raised.
        """
        self._exceptions.update(dict.fromkeys(task_ids))
        try:
            while await self._run_all() or await self._wait_for_others(task_ids):
                pass
            if self._application.raise_exceptions:
                await self._raise_failure(task_ids)
        finally:
            for task_id in task_ids:
                self._exceptions.pop(task_id, None)

    async def run_due(self) -> int | None:
        """Run what is ready or due by now; return in how many milliseconds the next task is due, if any."""
        await self.run_ready()
        while (promotion := await self.storage.promote(LARGEST_STEP)).moved:
            await self.run_ready()
        return promotion.next_ms

    async def _run_all(self) -> bool:
        """Run what is ready now, all at once; False when there was nothing."""
        queues = [depth.queue for depth in await self.storage.depths()]
        # No lease runs out: there is no reclaimer here.
        intake = self.storage.open_intake(_CONSUMER, queues, _OPTIONS.lease_ms)
        deliveries = await intake.pull(LARGEST_STEP, 0)
        client = await self._application.client()
        client.start_listening()
        runner = Runner(self._workload, _OPTIONS, self.clock, report=client.report, is_revoked=client.must_not_start)
        try:
            async with asyncio.TaskGroup() as group:
                for delivery in deliveries:
                    self._turns[delivery.id] = group.create_task(self._take_turn(delivery, runner, client))
        finally:
            await runner.close()
        return bool(deliveries)

    async def _wait_for_others(self, task_ids: Sequence[str]) -> bool:
        """Wait for those of `task_ids` that somebody else runs in this event loop; False when there are none."""
        loop = asyncio.get_running_loop()
        turns = [self._turns[task_id] for task_id in task_ids if task_id in self._turns]
        turns = [turn for turn in turns if turn.get_loop() is loop]
        if turns:
            await asyncio.wait(turns)
        return bool(turns)

    async def _take_turn(self, delivery: Delivery, runner: Runner, client: Client) -> None:
        """Bring one delivery to its settlement. If this is cancelled, the task goes back in line."""
        held: dict[Receipt, HeldDelivery] = {}
        settler = Settler(self.storage, self.clock, held)

        async def run(delivery: Delivery) -> RunReport:
            report = await runner.run(delivery)
            if delivery.id in self._exceptions and report.run is not None:
                self._exceptions[delivery.id] = report.run.exception
            return report

        # One of its own, which can be waited for: a task may enqueue others, and wait for them.
        dispatcher = Dispatcher(run, settler, self._workload, _OPTIONS, held)
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
