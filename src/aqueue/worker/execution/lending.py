"""Lend out the slot of a run while its body waits for a result of the application.

Otherwise parents that await their children would take all slots, and no child could start. A body that waits does
nothing, so its slot, and the thread's if it is a plain function, go to another run. When the result is there, the body
gets a slot again before it goes on. A body that does not wait to the end, because it was stopped or its time was up,
takes its slot back at once: until a run ends, one too many is active then.

The body may wait in several asyncio tasks at once, or in the event loop of ``huey.sync``. The loan begins with its
first wait and ends with its last; everything that changes it happens in the worker's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from ...tasks.context import current_task
from .slots import NoSlot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from .dispatcher import Dispatcher
    from .held import HeldDelivery
    from .runner import Runner
    from .slots import Slots

T = TypeVar("T")

logger = logging.getLogger("aqueue.worker")

# How often a slot may be lent on, by a parent to a child that waits for a child of its own, and so forth.
_MOST_LOANS_PER_SLOT = 10
_WARN_EVERY_SECONDS = 60.0


class _Loan:
    """The slots of one run, lent out while `waits` of its waits have not ended.

    `elsewhere` has those of them that a thread waits in, each an asyncio task in another event loop.
    """

    __slots__ = ("elsewhere", "name", "on_end", "slots", "waits")

    def __init__(self, name: str, slots: Slots | None, on_end: Callable[[object], None]) -> None:
        self.name = name
        self.slots = slots
        self.on_end = on_end
        self.waits = 0
        self.elsewhere: set[asyncio.Task[Any]] = set()


class Lending:
    """The loans of one worker."""

    def __init__(self, dispatcher: Dispatcher, runner: Runner, concurrency: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._dispatcher = dispatcher
        self._runner = runner
        self._most = _MOST_LOANS_PER_SLOT * concurrency
        self._loans: dict[HeldDelivery, _Loan] = {}
        self._next_warning = 0.0

    @contextlib.asynccontextmanager
    async def while_waiting(self, task_ids: Sequence[str]) -> AsyncIterator[None]:
        """A context in which the run that the caller belongs to waits for `task_ids`, if it is one of this worker."""
        run = current_task()
        held = None if run is None else self._dispatcher.held.get(run.delivery.receipt)
        if run is None or held is None:
            yield
            return
        waiter = asyncio.current_task()
        beginning = asyncio.ensure_future(self._here(self._begin(held, run.name, task_ids, waiter)))
        try:
            # Whether it has begun is known even if the caller is cancelled meanwhile.
            has_begun = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            beginning.add_done_callback(lambda begun: self._undo(begun, held, waiter))
            raise
        if not has_begun:
            yield
            return
        try:
            yield
        except BaseException:
            self._end_soon(held, waiter)
            raise
        await self._here(self._end(held, waiter))

    def _undo(self, begun: asyncio.Future[bool], held: HeldDelivery, waiter: asyncio.Task[Any] | None) -> None:
        if not begun.cancelled() and begun.exception() is None and begun.result():
            self._end_soon(held, waiter)

    def _end_soon(self, held: HeldDelivery, waiter: asyncio.Task[Any] | None) -> None:
        # The thread of a plain function may outlive the loop of its worker.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end_at_once, held, waiter)

    async def _here(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` in the worker's event loop."""
        if asyncio.get_running_loop() is self._loop:
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def _begin(
        self, held: HeldDelivery, name: str, task_ids: Sequence[str], waiter: asyncio.Task[Any] | None
    ) -> bool:
        """Lend out what `held` has, unless that is done already; False if too much is lent out."""
        loan = self._loans.get(held)
        if loan is None:
            loan = _Loan(name, self._runner.slots_of(name), lambda _: self._close(held))
            if not self._may_lend(loan.slots):
                self._warn(held, name, task_ids)
                return False
            self._loans[held] = loan
            self._dispatcher.lend_slot(held)
            if loan.slots is not None:
                loan.slots.give()
            # In the first step of a run, its asyncio task is not known yet.
            self._loop.call_soon(self._watch, held, loan)
        loan.waits += 1
        if waiter is not None and waiter.get_loop() is not self._loop:
            loan.elsewhere.add(waiter)
        return True

    def _watch(self, held: HeldDelivery, loan: _Loan) -> None:
        """End the loan with the run, which may leave a wait behind."""
        if held.task is not None and self._loans.get(held) is loan:
            held.task.add_done_callback(loan.on_end)

    def _may_lend(self, slots: Slots | None) -> bool:
        if len(self._loans) >= self._most:
            return False
        if slots is None:
            return True
        lent = sum(loan.slots is slots for loan in self._loans.values())
        return lent < _MOST_LOANS_PER_SLOT * slots.size

    async def _end(self, held: HeldDelivery, waiter: asyncio.Task[Any] | None) -> None:
        """End a wait of `held`. After the last one, wait for slots for it to go on with."""
        loan = self._loans.get(held)
        if loan is None:
            return
        loan.waits -= 1
        if waiter is not None:
            loan.elsewhere.discard(waiter)
        if loan.waits:
            return
        del self._loans[held]
        if held.task is not None:
            held.task.remove_done_callback(loan.on_end)
        try:
            await self._dispatcher.take_slot_back()
            if loan.slots is not None:
                await loan.slots.take()
        except (asyncio.CancelledError, NoSlot) as error:
            if loan.slots is not None:
                loan.slots.take_at_once()
            if isinstance(error, asyncio.CancelledError):
                raise

    def _end_at_once(self, held: HeldDelivery, waiter: asyncio.Task[Any] | None) -> None:
        loan = self._loans.get(held)
        if loan is not None:
            loan.waits -= 1
            if waiter is not None:
                loan.elsewhere.discard(waiter)
            if not loan.waits:
                self._close(held)

    def _close(self, held: HeldDelivery) -> None:
        loan = self._loans.pop(held, None)
        if loan is not None:
            self._dispatcher.take_slot_back_at_once()
            if loan.slots is not None:
                loan.slots.take_at_once()
            for waiter in loan.elsewhere:
                # The run has ended without its thread. If that waited on, for a task that needs a thread, both would
                # wait for ever.
                with contextlib.suppress(RuntimeError):
                    waiter.get_loop().call_soon_threadsafe(waiter.cancel)

    def _warn(self, held: HeldDelivery, name: str, task_ids: Sequence[str]) -> None:
        if self._loop.time() < self._next_warning:
            return
        self._next_warning = self._loop.time() + _WARN_EVERY_SECONDS
        waiting = Counter(loan.name for loan in self._loans.values()).most_common(5)
        logger.warning(
            "%d tasks wait for the results of others, and their slots are lent out: %s. Task %s (%s) waits for %s and "
            "keeps its slot. If all slots are kept like that, nothing moves: let the tasks that wait return before "
            "those start which they wait for, as a workflow does",
            len(self._loans),
            ", ".join(f"{name} ({count})" for name, count in waiting),
            held.delivery.id,
            name,
            task_ids[0] + ("" if len(task_ids) == 1 else f" and {len(task_ids) - 1} more"),
        )
