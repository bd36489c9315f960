"""From a delivery to its settlement: give it a slot, run it, decide what follows, hand that over.

What is shared. Everything here runs in one event loop, and the methods that move a delivery do so without an await, so
none sees another half done. `held` is shared with others: it has every delivery that is leased to this worker and not
settled yet. The dispatcher adds to it, the settler removes what the store has settled, and the heartbeat copies its
keys, in one step of the interpreter, from a thread of its own. The lease of a delivery that is not in `held` is not
renewed.

What guards what. How far a delivery is, and why it was stopped, is in its `HeldDelivery` and nowhere else. The
collections here only say where to find it:

* `_waiting` and `_suspects`: without a slot, in the order of arrival. A delivery in the phase "waiting" is in one of
  them.
* `_running`: in a slot. Also a delivery whose lease was lost, until its body has ended, because it still uses the slot.
* `_stuck`: those in `_running` whose tasks have their verdict, while their bodies go on (see ``overdue``).
* `_suspect`: the one suspect in a slot.
* `_returning`: runs that lent out their slot (see ``lending``) and wait for another one, to go on.
* `_overtaken`: ids of tasks that were cancelled while they were not here, at most `_MOST_OVERTAKEN`.

A suspect is a delivery whose loss would be the end of its task: too many workers did not survive earlier ones. Only one
is in a slot at a time, so that a further crash accuses no task that merely ran beside it.

Which races there are.

* A cancellation overtakes its delivery, because the two arrive over different connections. So the dispatcher remembers
  the id, and lets the runner ask the store before it starts a task of that id.
* A cancellation or an interruption arrives before the first step of the asyncio task, or after the body has ended. See
  `HeldDelivery`, which delays the one and ignores the other.
* The lease runs out while the body runs. The receipt leaves `held` at once, the body is stopped, and its settlement
  changes nothing, because the store refuses a receipt that does not hold any more.
* One delivery comes twice, reclaimed and adopted in the same moment. The second one finds its receipt in `held`.

However a run ends, its slot is freed, and its receipt is either with the settler or has left `held`, so that the lease
runs out and another worker takes the task over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextvars import copy_context
from random import Random
from typing import TYPE_CHECKING

from ...core.eager import start
from ...core.failures import describe_exception
from ...core.lifecycle import Cancelled, Settlement, State, decide, give_back, stopped
from ...exceptions import CancelExecution, HueyException
from .announcements import calls_to_make, log_settlement, make
from .held import HeldDelivery
from .report import encode_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ...core.lifecycle import Stop
    from ...core.message import Delivery, Receipt
    from ...tasks.parts import Parts
    from ..options import WorkerOptions
    from .report import RunReport
    from .settler import Settler

logger = logging.getLogger("aqueue.worker")

_MOST_OVERTAKEN = 1000


class Dispatcher:
    """Runs up to `concurrency` deliveries at once, each by `run`, and hands what follows to `settler`.

    `load` gets the payload of a delivery that came without it.
    """

    def __init__(
        self,
        run: Callable[[Delivery], Awaitable[RunReport]],
        load: Callable[[Delivery], Awaitable[bytes]],
        settler: Settler,
        parts: Parts,
        options: WorkerOptions,
        held: dict[Receipt, HeldDelivery],
    ) -> None:
        self._run = run
        self._load = load
        self._settler = settler
        self._parts = parts
        self._hooks = parts.hooks
        # The count of a suspect's delivery; none has the count 0.
        self._suspect_count = options.max_crashes if options.max_crashes > 1 else 0
        # The slots: as many as `concurrency` says, and one for each run that has lent out its own.
        self._slots = options.concurrency
        self.held = held
        self._random = Random()
        self._waiting: deque[HeldDelivery] = deque()
        self._suspects: deque[HeldDelivery] = deque()
        self._running: set[HeldDelivery] = set()
        self._suspect: HeldDelivery | None = None
        self._stuck: set[HeldDelivery] = set()
        self._concluding: set[asyncio.Task[None]] = set()
        # Called with each delivery whose body was cancelled because its task was, and the error that it should raise.
        self.on_stop: Callable[[Delivery, Exception], None] = _ignore
        self._returning: deque[asyncio.Future[None]] = deque()
        # Each run has a copy of it. A run must not see what another one, whose end or wait freed the slot, has set.
        self._context = copy_context()
        self._overtaken: dict[str, None] = {}
        self._moved = asyncio.Event()
        self.suspect_ended = asyncio.Event()
        self.started = 0

    # -- slots

    @property
    def free(self) -> int:
        """How many more deliveries could start at once; below 0 if some wait."""
        return self._slots - len(self._running) - len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running) - len(self._stuck)

    @property
    def taken(self) -> int:
        """How many deliveries were started so far, or wait to be."""
        return self.started + len(self._waiting) + len(self._suspects)

    @property
    def has_suspect(self) -> bool:
        """Whether a suspect runs or waits."""
        return self._suspect is not None or bool(self._suspects)

    @property
    def is_busy(self) -> bool:
        """Whether any delivery runs or waits, except those that are stuck."""
        return len(self._running) > len(self._stuck) or bool(self._waiting or self._suspects or self._concluding)

    @property
    def stuck(self) -> int:
        """How many bodies occupy a slot although their tasks have a verdict."""
        return len(self._stuck)

    async def wait_until_idle(self) -> None:
        while self.is_busy:
            await self.next_move()

    async def next_move(self) -> None:
        """Wait until a slot is taken or freed."""
        self._moved.clear()
        await self._moved.wait()

    def nudge(self) -> None:
        """End every ``next_move``, because something else has changed."""
        self._moved.set()

    def lend_slot(self, held: HeldDelivery) -> None:
        """Let another run start, because `held` waits for others; another suspect too, for which it may be waiting."""
        self._slots += 1
        self._note_end(held)
        # Not now: the run may be in its first step, and is not among those that run before that ends.
        asyncio.get_running_loop().call_soon(self._fill)

    async def take_slot_back(self) -> None:
        """Let one less start, and wait until the run that lent its slot can go on; no run that waits is before it."""
        self._slots -= 1
        if len(self._running) > self._slots:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._returning.append(turn)
            try:
                await turn
            finally:
                if turn in self._returning:
                    self._returning.remove(turn)

    def take_slot_back_at_once(self) -> None:
        """Let one less start: the run that lent its slot has ended, or goes on beside those that run."""
        self._slots -= 1

    # -- in

    def start(self, deliveries: Iterable[Delivery]) -> None:
        """Take `deliveries` on; each starts as soon as it has a slot."""
        for delivery in deliveries:
            held = HeldDelivery(delivery)
            if self.held.setdefault(delivery.receipt, held) is not held:
                continue
            if self._overtaken and delivery.id in self._overtaken:
                held.ask_before_start()
            self._line_of(delivery).append(held)
        self._fill()

    def _line_of(self, delivery: Delivery) -> deque[HeldDelivery]:
        """Where `delivery` waits for a slot."""
        return self._suspects if delivery.receipt.count == self._suspect_count else self._waiting

    def _fill(self) -> None:
        while self._returning and len(self._running) < self._slots + len(self._returning):
            turn = self._returning.popleft()
            if not turn.done():
                turn.set_result(None)
        while self._waiting and len(self._running) < self._slots:
            self._spawn(self._waiting.popleft())
        while self._suspects and self._suspect is None and len(self._running) < self._slots:
            self._suspect = self._suspects.popleft()
            self._spawn(self._suspect)
        self.nudge()

    def _spawn(self, held: HeldDelivery) -> None:
        self.started += 1
        task = held.begin(self._execute, self._context.copy())
        if task.done():
            self._note_end(held)
        else:
            self._running.add(held)
            task.add_done_callback(lambda _: self._free_slot(held))

    def _free_slot(self, held: HeldDelivery) -> None:
        self._running.remove(held)
        self._note_end(held)
        self._fill()

    def _note_end(self, held: HeldDelivery) -> None:
        if held is self._suspect:
            self._suspect = None
            self.suspect_ended.set()

    # -- one delivery

    async def _execute(self, held: HeldDelivery) -> None:
        try:
            if held.phase == "loading" and not await self._load_payload(held):
                return
            report = await self._run(held.delivery)
            if held.phase != "running":
                # Too late: see `conclude`.
                return
            if held.stop is not None:
                report = self._as_stopped(held.delivery, held.stop, report)
            settlement = self._decide(held.delivery, report)
            if self._hooks.post_execute or self._hooks.signals.receivers:
                await self._settle_and_announce(held, settlement, report)
            else:
                held.hand_over()
                self._settler.put(settlement)
        except (Exception, GeneratorExit):
            # A body that awaits a future with a GeneratorExit in it ends here: that closes the coroutines in between.
            _log_that_it_has_no_verdict(held)
        finally:
            if held.phase != "handed over" and held not in self._stuck:
                # The lease runs out, and the task runs again elsewhere or is found dead.
                self.held.pop(held.delivery.receipt, None)

    def _decide(self, delivery: Delivery, report: RunReport) -> Settlement:
        settlement = decide(delivery, report.outcome, report.policy, report.reply, self._random)
        if settlement.state is not State.DONE:
            log_settlement(settlement, report, self._parts.registry)
            if settlement.state is State.QUEUED and report.run is None:
                self.started -= 1
        return settlement

    def conclude(self, held: HeldDelivery, report: RunReport) -> None:
        """Settle a run that does not end by `report`. It keeps its slot, and its own report will not count."""
        if held.task is None:
            return
        held.decide()
        self._stuck.add(held)
        held.task.add_done_callback(lambda _: self._stuck.discard(held))
        task = start(self._conclude(held, report))
        self._concluding.add(task)
        task.add_done_callback(self._note_conclusion)
        self._note_end(held)

    async def _conclude(self, held: HeldDelivery, report: RunReport) -> None:
        try:
            if held.stop is not None:
                report = self._as_stopped(held.delivery, held.stop, report)
            await self._settle_and_announce(held, self._decide(held.delivery, report), report)
        except Exception:
            _log_that_it_has_no_verdict(held)
        finally:
            if held.phase != "handed over":
                self.held.pop(held.delivery.receipt, None)

    def _note_conclusion(self, task: asyncio.Task[None]) -> None:
        self._concluding.discard(task)
        self.nudge()

    async def _load_payload(self, held: HeldDelivery) -> bool:
        """Load the payload; if that fails, give the delivery back, and return False."""
        try:
            held.loaded(await self._load(held.delivery))
        except (HueyException, asyncio.CancelledError) as error:
            if held.stop is None:
                logger.warning("Task %s is given back, its payload cannot be loaded: %s", held.delivery.id, error)
            self._give_back(held)
            self.started -= 1
            return False
        finally:
            self.nudge()
        return True

    async def _settle_and_announce(self, held: HeldDelivery, settlement: Settlement, report: RunReport) -> None:
        """Announce a retry before it can begin, and everything else once the store has it."""
        calls = calls_to_make(self._hooks, report, settlement)
        held.decide()
        if calls and settlement.state is not State.RETRYING:
            held.hand_over()
            if await self._settler.settle(settlement):
                await make(calls)
        else:
            try:
                await make(calls)
            finally:
                held.hand_over()
                self._settler.put(settlement)

    def _as_stopped(self, delivery: Delivery, stop: Stop, report: RunReport) -> RunReport:
        """`report` of a body that was stopped here. Handlers see a ``CancelExecution`` if somebody cancelled it."""
        outcome = stopped(report.outcome, stop)
        if outcome is not report.outcome and isinstance(outcome, Cancelled):
            exception = CancelExecution("cancelled while it ran")
            if report.run is not None:
                report.run.exception = exception
            description = describe_exception(exception)
            outcome = outcome._replace(error=encode_failure(self._parts.codec, description, delivery, report.run))
        return report._replace(outcome=outcome)

    # -- out

    def lose(self, receipts: Iterable[Receipt]) -> None:
        """Another worker owns these deliveries: stop them here."""
        for receipt in receipts:
            held = self.held.pop(receipt, None)
            if held is None:
                continue
            logger.warning("Delivery %s is not ours any more: its lease ran out. It is stopped here.", receipt.entry)
            if held.phase == "waiting":
                self._line_of(held.delivery).remove(held)
            else:
                held.interrupt()
        self.nudge()

    def cancel(self, task_id: str) -> None:
        """Somebody cancelled this task: stop it, if it is here or about to be, and give it that verdict."""
        receipts = [receipt for receipt, held in self.held.items() if held.delivery.id == task_id]
        if receipts:
            self.cancel_these(receipts)
        else:
            self._overtaken[task_id] = None
            if len(self._overtaken) > _MOST_OVERTAKEN:
                del self._overtaken[next(iter(self._overtaken))]

    def cancel_these(self, receipts: Iterable[Receipt]) -> None:
        """Stop these deliveries, whose tasks were cancelled."""
        for receipt in receipts:
            held = self.held.get(receipt)
            if held is None:
                continue
            if held.phase == "waiting":
                # Without a free slot: all it does is to ask the store, which says that it must not start.
                self._line_of(held.delivery).remove(held)
                held.ask_before_start()
                self._spawn(held)
            else:
                held.cancel()
                self.on_stop(held.delivery, CancelExecution("cancelled while it ran"))
        self.nudge()

    def interrupt_all(self) -> None:
        """Stop what runs and give it back, with what waits."""
        for held in self._running:
            held.interrupt()
        self.give_back_waiting()

    def give_back_waiting(self) -> None:
        """Give back what has no slot yet."""
        for held in [*self._waiting, *self._suspects]:
            self._give_back(held)
        self._waiting.clear()
        self._suspects.clear()
        self.nudge()

    def give_back(self, delivery: Delivery) -> None:
        """Return a delivery that was not started, at no cost to it. It is held until the store has it."""
        held = self.held[delivery.receipt] = HeldDelivery(delivery)
        self._give_back(held)

    def _give_back(self, held: HeldDelivery) -> None:
        held.hand_over()
        self._settler.put(give_back(held.delivery))


def _log_that_it_has_no_verdict(held: HeldDelivery) -> None:
    logger.error("Task %s could not be brought to a verdict", held.delivery.id)


def _ignore(delivery: Delivery, error: Exception) -> None:
    """Nobody watches for bodies that go on."""
