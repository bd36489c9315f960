"""From a delivery to its settlement: run it, decide what follows, hand that over.

At most `concurrency` deliveries run at once; what was pulled beyond that waits here, leased and renewed like the rest.
A delivery whose loss would be the end of its task is a suspect: too many workers did not survive earlier ones. Only one
suspect is held at a time, so that a further crash accuses nobody who just stood beside.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from random import Random
from typing import TYPE_CHECKING

from ...core.eager import start
from ...core.failures import exception_text
from ...core.lifecycle import (
    Interrupted,
    Raised,
    Refused,
    RetryAsked,
    Returned,
    Settlement,
    State,
    Unknown,
    Unreadable,
    decide,
)
from .announcements import announcements

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ...core.message import Delivery, Receipt
    from ...tasks.hooks import Hooks
    from ...tasks.registry import Registry
    from .runner import Ran, Runner
    from .settler import Settler

logger = logging.getLogger("aqueue.worker")

_MOST_OVERTAKEN = 1000


class Dispatcher:
    """Runs deliveries concurrently. `held` has every delivery that is leased to this worker and not settled."""

    def __init__(
        self,
        runner: Runner,
        settler: Settler,
        hooks: Hooks,
        registry: Registry,
        held: dict[Receipt, Delivery],
        concurrency: int,
        max_crashes: int,
    ) -> None:
        self._runner = runner
        self._settler = settler
        self._hooks = hooks
        self._registry = registry
        self.held = held
        self._concurrency = concurrency
        self._max_crashes = max_crashes
        self._random = Random()
        self._waiting: deque[Delivery] = deque()
        self._suspects: deque[Delivery] = deque()
        self._suspect: Receipt | None = None
        self._running: dict[Receipt, asyncio.Task[None]] = {}
        # Their bodies were cancelled here; those that are also in the second because somebody cancelled the task.
        self._stopped: set[Receipt] = set()
        self._cancelled: set[Receipt] = set()
        # Their bodies have ended, and hooks still run.
        self._ending: set[Receipt] = set()
        # Asked to stop while they were not here: they may be on their way, over another connection.
        self._overtaken: dict[str, None] = {}
        self._moved = asyncio.Event()
        self.suspect_ended = asyncio.Event()
        self.started = 0

    # -- slots

    @property
    def free(self) -> int:
        """How many more deliveries could start now."""
        return self._concurrency - len(self._running) - len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def taken(self) -> int:
        """How many deliveries were started so far, or wait to be."""
        return self.started + len(self._waiting) + len(self._suspects)

    @property
    def has_suspect(self) -> bool:
        """Whether a suspect runs, or waits for its turn to."""
        return self._suspect is not None or bool(self._suspects)

    @property
    def is_busy(self) -> bool:
        """Whether anything runs or waits to."""
        return bool(self._running or self._waiting or self._suspects)

    async def wait_until_idle(self) -> None:
        while self.is_busy:
            await self.next_move()

    async def next_move(self) -> None:
        """Wait until a slot is taken or freed."""
        self._moved.clear()
        await self._moved.wait()

    def nudge(self) -> None:
        """Wake whoever waits for a move: something else has changed for them."""
        self._moved.set()

    # -- in

    def start(self, deliveries: Iterable[Delivery]) -> None:
        """Take `deliveries` on; each starts as soon as it has a slot."""
        for delivery in deliveries:
            if delivery.receipt in self.held:
                # Reclaimed and adopted in one moment.
                continue
            if self._overtaken and delivery.id in self._overtaken:
                delivery = delivery._replace(may_be_revoked=True)
            self.held[delivery.receipt] = delivery
            if delivery.receipt.count == self._max_crashes > 1:
                self._suspects.append(delivery)
            else:
                self._waiting.append(delivery)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            self._spawn(self._waiting.popleft())
        while self._suspects and self._suspect is None and len(self._running) < self._concurrency:
            suspect = self._suspects.popleft()
            self._suspect = suspect.receipt
            self._spawn(suspect)
        self.nudge()

    def _spawn(self, delivery: Delivery) -> None:
        self.started += 1
        task = start(self._execute(delivery))
        if task.done():
            self._ended(delivery.receipt)
        else:
            self._running[delivery.receipt] = task
            task.add_done_callback(lambda _: self._freed(delivery.receipt))

    def _freed(self, receipt: Receipt) -> None:
        del self._running[receipt]
        self._ended(receipt)
        self._fill()

    def _ended(self, receipt: Receipt) -> None:
        if self._suspect == receipt:
            self._suspect = None
            self.suspect_ended.set()

    # -- one delivery

    async def _execute(self, delivery: Delivery) -> None:
        try:
            ran = await self._runner.run(delivery)
            if self._stopped and delivery.receipt in self._stopped:
                ran = self._as_stopped(delivery, ran)
            settlement = self._decide(delivery, ran)
            if self._hooks.post_execute or self._hooks.signals.receivers:
                await self._settle_and_announce(settlement, ran)
            else:
                self._settler.put(settlement)
        except Exception:
            # A fault of ours: let the lease lapse, so that the task runs again elsewhere or is found dead.
            self.held.pop(delivery.receipt, None)
            logger.exception("Task %s could not be brought to a verdict", delivery.id)

    async def _settle_and_announce(self, settlement: Settlement, ran: Ran) -> None:
        """Tell handlers and receivers of a retry before it can begin, of all else once the store has it."""
        calls = announcements(self._hooks, ran, settlement)
        self._ending.add(settlement.receipt)
        try:
            if calls and settlement.state is not State.RETRYING:
                if await self._settler.settle(settlement):
                    await _make(calls)
            else:
                try:
                    await _make(calls)
                finally:
                    self._settler.put(settlement)
        finally:
            self._ending.discard(settlement.receipt)

    def _decide(self, delivery: Delivery, ran: Ran) -> Settlement:
        settlement = decide(delivery, ran.outcome, ran.terms, ran.reply, self._random)
        if settlement.state is not State.DONE:
            self._tell(settlement, ran)
        return settlement

    def _as_stopped(self, delivery: Delivery, ran: Ran) -> Ran:
        """`ran`, whose body was cancelled here: that it failed then is not its own doing."""
        receipt = delivery.receipt
        self._stopped.discard(receipt)
        if receipt not in self._cancelled:
            return ran._replace(outcome=Interrupted()) if isinstance(ran.outcome, Raised) else ran
        self._cancelled.discard(receipt)
        # What it returned in spite of it is a result.
        return ran if isinstance(ran.outcome, Returned) else self._runner.cancelled(ran, delivery)

    def _tell(self, settlement: Settlement, ran: Ran) -> None:
        run = ran.run
        name = run.name if run is not None else ""
        exception = run.exception if run is not None else None
        why = ran.why if exception is None else exception_text(exception)
        if isinstance(ran.outcome, Unknown):
            near = self._registry.nearest(ran.outcome.task)
            hint = f"; did you mean {near!r}?" if near else "."
            logger.warning(
                "Task %s: no task is named %r here%s It is kept, and offered again in %.0f s: is its module imported "
                "where the application object is?",
                settlement.id,
                ran.outcome.task,
                hint,
                settlement.delay_ms / 1000,
            )
        elif isinstance(ran.outcome, Unreadable):
            logger.warning(
                "Task %s cannot be read: %s. It is kept, and offered again in %.0f s.",
                settlement.id,
                why,
                settlement.delay_ms / 1000,
            )
        elif settlement.state is State.RETRYING:
            # Waiting for a lock or for a limit is what they are there for.
            level = logging.INFO if isinstance(ran.outcome, Refused | RetryAsked) else logging.WARNING
            logger.log(level, "Task %s (%s) will be retried: %s", settlement.id, name, why)
        elif settlement.state is State.FAILED:
            logger.error("Task %s (%s) failed", settlement.id, name, exc_info=exception)
        elif settlement.state is not State.QUEUED:
            logger.warning("Task %s (%s) is %s: %s", settlement.id, name, settlement.state, why)

    # -- out

    def lose(self, receipts: Iterable[Receipt]) -> None:
        """Someone else owns these now: stop them; what they still do changes nothing."""
        for receipt in receipts:
            if self.held.pop(receipt, None) is not None:
                logger.warning(
                    "Delivery %s is not ours any more: its lease ran out. It is stopped here.", receipt.entry
                )
                self._forget_waiting(receipt)
                self._interrupt(receipt)

    def cancel(self, task_id: str) -> None:
        """Somebody cancelled this task: stop it, if it is here or about to be, and give it that verdict."""
        receipts = [receipt for receipt, delivery in self.held.items() if delivery.id == task_id]
        if receipts:
            self.cancel_these(receipts)
        else:
            self._overtaken[task_id] = None
            if len(self._overtaken) > _MOST_OVERTAKEN:
                del self._overtaken[next(iter(self._overtaken))]

    def cancel_these(self, receipts: Iterable[Receipt]) -> None:
        """Stop these deliveries, whose tasks were cancelled."""
        for receipt in receipts:
            if receipt in self._running:
                # Not before its first step, which may be due: then it would end without a word about its delivery.
                asyncio.get_running_loop().call_soon(self._cancel_body, receipt)
            elif receipt in self.held and self._forget_waiting(receipt):
                # It needs no slot to be told that it must not start.
                self._spawn(self.held[receipt]._replace(may_be_revoked=True))

    def interrupt_all(self) -> None:
        """Stop what runs and give it back, with what waits."""
        for receipt in list(self._running):
            self._interrupt(receipt)
        self.give_back_waiting()

    def give_back_waiting(self) -> None:
        """Return what has no slot yet."""
        for delivery in [*self._waiting, *self._suspects]:
            self.give_back(delivery)
        self._waiting.clear()
        self._suspects.clear()
        self.nudge()

    def give_back(self, delivery: Delivery) -> None:
        """Return a delivery that was not started, at no cost to it."""
        self.held[delivery.receipt] = delivery
        self._settler.put(Settlement(delivery.receipt, delivery.id, State.QUEUED, failures=delivery.failures))

    def _interrupt(self, receipt: Receipt) -> None:
        task = self._running.get(receipt)
        if task is not None:
            self._stopped.add(receipt)
            # Not before its first step, which may be due: then it would end without a word about its delivery.
            asyncio.get_running_loop().call_soon(task.cancel)

    def _cancel_body(self, receipt: Receipt) -> None:
        task = self._running.get(receipt)
        if task is None or task.done() or receipt in self._ending:
            return
        # Once: what it does to clean up is not disturbed again.
        if receipt not in self._cancelled:
            self._stopped.add(receipt)
            self._cancelled.add(receipt)
            task.cancel()

    def _forget_waiting(self, receipt: Receipt) -> bool:
        """Take a delivery that waits for a slot away; False when it does not."""
        for queue in (self._waiting, self._suspects):
            for delivery in queue:
                if delivery.receipt == receipt:
                    queue.remove(delivery)
                    return True
        return False


async def _make(calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    for call in calls:
        await call()
