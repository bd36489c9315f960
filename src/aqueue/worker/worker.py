"""One worker: its services, and the order in which they start and stop.

The fetcher, the promoter, the reclaimer and the scheduler bring work in; they stop first. The settler and the heartbeat
serve the work that still runs; they stop last. They meet in the store, in the dispatcher's deliveries and in the
settler's batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import socket
from typing import TYPE_CHECKING

from .._version import __version__
from ..core.clock import SystemClock
from ..core.ids import new_token
from ..core.message import DEFAULT_QUEUE
from ..exceptions import HueyException, QueueUnavailable
from ..storage.protocol import CancelAsked, Connected, Due, ScheduleChanged
from .execution.dispatcher import Dispatcher
from .execution.lending import Lending
from .execution.loader import Loader
from .execution.overdue import Overdue
from .execution.processes.target import check_processes
from .execution.runner import Runner
from .execution.settler import Settler
from .services.fetcher import Fetcher
from .services.heartbeat import Heartbeat
from .services.promoter import Promoter
from .services.reclaimer import Reclaimer
from .services.scheduler import Scheduler
from .services.sign import SignOfLife
from .services.watchdog import Watchdog
from .threads import check_threads

if TYPE_CHECKING:
    from ..client.client import Client
    from ..core.clock import Clock
    from ..core.message import Receipt
    from ..storage.protocol import Description
    from ..tasks.parts import Parts
    from .execution.held import HeldDelivery
    from .options import WorkerOptions

logger = logging.getLogger("aqueue.worker")

_LAST_SECONDS = 5.0


class Worker:
    """Runs the tasks of one application in the current event loop; made by ``huey.create_worker``."""

    def __init__(self, parts: Parts, options: WorkerOptions, clock: Clock | None = None) -> None:
        check_threads()
        self._parts = parts
        self.options = options
        self._clock = clock or SystemClock()
        self.consumer = f"{socket.gethostname()}.{os.getpid()}.{new_token()}"
        self._held: dict[Receipt, HeldDelivery] = {}
        self._fetcher: Fetcher | None = None
        self._heartbeat: Heartbeat | None = None
        self._watchdog: Watchdog | None = None
        self._stopping = False
        self._is_cut_off = False
        self._interrupting = asyncio.Event()
        self.ready = asyncio.Event()

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that this worker reads: those of its options, else those of the registered tasks."""
        if self.options.queues is not None:
            return tuple(self.options.queues)
        declared = sorted({task.declared.queue for task in self._parts.registry} - {DEFAULT_QUEUE})
        return (DEFAULT_QUEUE, *declared)

    async def stop(self) -> None:
        """Pull no more tasks and let running ones finish; then ``run`` returns."""
        self._stopping = True
        if self._fetcher is not None:
            await self._fetcher.stop()

    async def interrupt(self) -> None:
        """Like ``stop``, but running tasks are cancelled and given back."""
        self._interrupting.set()
        await self.stop()

    def end_after(self, seconds: float) -> None:
        """End this process if the event loop is blocked when `seconds` have passed, or later; from any thread.

        For a process that was made for this worker: a blocked loop cannot stop the worker in any other way.
        """
        if self._watchdog is not None:
            self._watchdog.end_after(seconds)

    async def run(self) -> None:
        """Work until stopped, until `max_tasks` were started or, in a burst, until nothing is left to do.

        Raises:
            QueueUnavailable: the store cannot be reached at the start, or the connections were closed under the worker
                (``Huey.immediate`` was set). Outages of the store are waited out.
            ConfigurationError: a child process could not import a task with ``pool="process"``, or the port for health
                checks cannot be used.
        """
        check_processes(self._parts.registry)
        with self._answering_health_checks():
            async with self._parts.clients.held() as client:
                self._log_banner(await client.storage.describe())
                await self._parts.hooks.run_startup()
                try:
                    await self._serve(client)
                finally:
                    await self._parts.hooks.run_shutdown()

    async def _serve(self, client: Client) -> None:
        storage, clock, parts = client.storage, self._clock, self._parts
        intake = storage.open_intake(self.consumer, self.queues, self.options.lease_ms)
        settler = Settler(storage, clock, self._held)
        runner = Runner(parts, self.options, clock, report=client.report, is_revoked=client.must_not_start)
        loader = Loader(intake.load)
        dispatcher = Dispatcher(runner.run, loader.load, settler, parts, self.options, self._held)
        Overdue(dispatcher, runner)
        burst, most = self.options.burst, self.options.max_tasks
        fetcher = Fetcher(storage, intake, dispatcher, loader, settler, clock, runner.slots, burst, most)
        promoter = Promoter(storage, clock)
        scheduler = Scheduler(storage, parts.registry, parts.codec, parts.outbox, clock)
        reclaimer = Reclaimer(storage, intake, dispatcher, clock, self.options.max_crashes)
        watchdog = Watchdog(self._held, self.options.stall_seconds, lambda: heartbeat.beat_now())
        sign = SignOfLife(self.options, self.queues, self._held, watchdog, lambda: dispatcher.stuck + runner.lost)
        heartbeat = Heartbeat(intake, sign.encoded, self._held, dispatcher.lose, dispatcher.cancel_these)
        self._fetcher, self._heartbeat, self._watchdog = fetcher, heartbeat, watchdog
        lending = Lending(dispatcher, runner, self.options.concurrency)
        hearing = _hear(client, promoter, dispatcher, scheduler)
        hearing.enter_context(watchdog)
        hearing.enter_context(parts.clients.lend_by(lending.while_waiting))
        try:
            async with asyncio.TaskGroup() as serving:
                services = [
                    serving.create_task(settler.run()),
                    serving.create_task(heartbeat.run()),
                    serving.create_task(self._end_with(client)),
                ]
                async with asyncio.TaskGroup() as supplying:
                    suppliers = [supplying.create_task(promoter.run()), supplying.create_task(reclaimer.run())]
                    if self.options.periodic:
                        suppliers.append(supplying.create_task(scheduler.run()))
                    self.ready.set()
                    if not self._stopping:
                        await fetcher.run()
                    for supplier in suppliers:
                        supplier.cancel()
                await self._finish(dispatcher, settler)
                for service in services:
                    service.cancel()
        finally:
            dispatcher.interrupt_all()
            hearing.close()
            await intake.close()
            await runner.close()
        with contextlib.suppress(HueyException):
            await storage.retire(self.consumer)
        if self._is_cut_off:
            raise QueueUnavailable("the connections of the application were closed under its worker")

    async def _end_with(self, client: Client) -> None:
        """Interrupt the worker when its line to the store is gone: it can neither get tasks nor settle them."""
        await client.wait_until_closed()
        self._is_cut_off = True
        await self.interrupt()

    async def _finish(self, dispatcher: Dispatcher, settler: Settler) -> None:
        """Give back waiting tasks, let running ones finish within `shutdown_timeout`, and settle them all."""
        dispatcher.give_back_waiting()
        finished = asyncio.ensure_future(dispatcher.wait_until_idle())
        interrupted = asyncio.ensure_future(self._interrupting.wait())
        try:
            await asyncio.wait(
                [finished, interrupted],
                timeout=self.options.shutdown_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not finished.done():
                why = "asked to" if interrupted.done() else f"{self.options.shutdown_seconds:g} s are over"
                logger.warning("Interrupting %d tasks (%s); they are given back", dispatcher.running, why)
                dispatcher.interrupt_all()
                await asyncio.wait([finished], timeout=_LAST_SECONDS)
                if not finished.done():
                    logger.error("%d tasks do not stop; another worker will run them again", dispatcher.running)
        finally:
            finished.cancel()
            interrupted.cancel()
        if not await settler.finish(_LAST_SECONDS):
            logger.error("%d verdicts did not reach the store; those tasks will run again", settler.backlog)

    def _answering_health_checks(self) -> contextlib.AbstractContextManager[None]:
        port = self.options.health_port
        if port is None:
            return contextlib.nullcontext()
        from .services.health import answer_health_checks

        return answer_health_checks(port, {"/live": self._why_not_live, "/ready": self._why_not_ready})

    def _why_not_live(self) -> str:
        """What is wrong with this process; '' if it only needs time. From any thread."""
        stall = None if self._watchdog is None else self._watchdog.stall
        return "" if stall is None else f"the event loop is {stall}"

    def _why_not_ready(self) -> str:
        """Why this worker does not take tasks; '' if it does. From any thread."""
        if self._stopping:
            return "the worker is stopping"
        if self._heartbeat is None or not self.ready.is_set():
            return "the worker is starting"
        if self._heartbeat.silence_seconds * 1000 > self.options.lease_ms:
            return f"the store has not answered for {self._heartbeat.silence_seconds:.0f} s"
        return self._why_not_live()

    def _when(self, name: str) -> str:
        """The part of the banner that says when a periodic task is due."""
        schedule = self._parts.registry.schedules.get(name) if self.options.periodic else None
        return "" if schedule is None else f"  {schedule.text}"

    def _log_banner(self, store: Description) -> None:
        names = sorted(task.name for task in self._parts.registry)
        threads, children = self.options.threads, self.options.most_children
        lines = [
            f"aqueue {__version__} on Python {platform.python_version()}, worker {self.consumer}",
            f"  application  {self._parts.name}",
            f"  store        {store.version or store.kind} at {store.location}",
            f"  durability   {store.durability}",
            f"  queues       {', '.join(self.queues)}",
            f"  concurrency  {self.options.concurrency} tasks, {threads} of them in threads, {children} in processes",
            f"  lease        {self.options.lease_ms / 1000:g} s",
            f"  tasks        {len(names)}" + ("" if names else ": is the module that declares them imported?"),
            *(f"    + {name}{self._when(name)}" for name in names),
        ]
        logger.info("%s", "\n".join(lines))
        for warning in store.warnings:
            logger.warning("%s", warning)


def _hear(client: Client, promoter: Promoter, dispatcher: Dispatcher, scheduler: Scheduler) -> contextlib.ExitStack:
    """Let the parts of a worker hear the events that concern them, until what this returns is closed."""
    hearing = contextlib.ExitStack()
    for unsubscribe in (
        client.subscribe(CancelAsked, lambda asked: dispatcher.cancel(asked.id)),
        client.subscribe(Due, lambda _: promoter.look_again()),
        client.subscribe(ScheduleChanged, lambda _: scheduler.look_again()),
        # What was announced while nobody listened was missed.
        client.subscribe(Connected, lambda _: promoter.look_again()),
        client.subscribe(Connected, lambda _: scheduler.look_again()),
    ):
        hearing.callback(unsubscribe)
    client.start_listening()
    return hearing
