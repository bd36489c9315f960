"""One delivery that this worker holds: how far it is, and why it was stopped.

The phases, and the methods that lead from one to the next::

    waiting --begin--> running --decide--> decided --hand_over--> handed over
       |                  |                                            ^
       |                  +--hand_over, if there is nothing to announce--+
       +--hand_over, if it is given back without a start-----------------+

A delivery with a large payload is loading before it is running, and can be given back from there.

* waiting: for a slot.
* loading: its payload is on its way from the store.
* running: handlers before the body, and the body.
* decided: its fate is decided, and handlers may run before the settler has the settlement.
* handed over: the settler has the settlement, and handlers may still run.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Literal, TypeAlias

from ...core.eager import start
from ...core.lifecycle import Stop
from ...tasks.context import run_in

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context
    from typing import Any

    from ...core.message import Delivery
    from ...tasks.context import TaskRun


# Not an Enum: its members take 0.1 us each to look up on Python 3.11, and every task passes four.
Phase: TypeAlias = Literal["waiting", "loading", "running", "decided", "handed over"]


class HeldDelivery:
    """The state of one delivery. `stop` says why its body was stopped, if it was.

    Once it has begun, `task` runs it, in `context`; `began` is the instant on the monotonic clock.
    """

    __slots__ = ("began", "context", "delivery", "phase", "stop", "task")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.phase: Phase = "waiting"
        self.stop: Stop | None = None
        self.began = 0.0
        self.context: Context | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def run(self) -> TaskRun | None:
        """The run of the task, once the runner has made it; from any thread."""
        return None if self.context is None else run_in(self.context)

    def ask_before_start(self) -> None:
        """Let the runner ask the store, before it starts the body, whether the task was revoked or cancelled."""
        self.delivery = self.delivery._replace(may_be_revoked=True)

    def begin(
        self, execute: Callable[[HeldDelivery], Coroutine[Any, Any, None]], context: Context
    ) -> asyncio.Task[None]:
        """Run ``execute(self)`` as an asyncio task in `context`."""
        self.phase = "loading" if self.delivery.unread else "running"
        self.began = monotonic()
        self.context = context
        self.task = start(execute(self), context=context)
        return self.task

    def loaded(self, payload: bytes) -> None:
        """The payload is here."""
        self.delivery = self.delivery._replace(payload=payload, unread=0)
        self.phase = "running"

    def interrupt(self) -> None:
        """Cancel what runs, to give the task back. What was cancelled stays cancelled.

        Handlers are interrupted too, and as often as this is called: the worker wants to end.
        """
        self.stop = self.stop or Stop.INTERRUPTED
        _after_first_step(self._cancel_task)

    def cancel(self) -> None:
        """Cancel the body, because somebody cancelled the task.

        Ignored once its fate is decided, because the body has ended, and the second time, because what a body does to
        clean up is not disturbed. A delivery that is loading comes to its end when the payload is here, since only that
        says what to do about a task that was cancelled.
        """
        _after_first_step(self._cancel_body)

    def decide(self) -> None:
        """The settlement is made: ``cancel`` comes too late."""
        self.phase = "decided"

    def hand_over(self) -> None:
        """The settler has the settlement: the delivery stays held until the store has it too."""
        self.phase = "handed over"

    def _cancel_body(self) -> None:
        if self.phase == "loading":
            self.ask_before_start()
        elif self.phase == "running" and self.stop is not Stop.CANCELLED:
            self.stop = Stop.CANCELLED
            self._cancel_task()

    def _cancel_task(self) -> None:
        if self.task is not None:
            self.task.cancel()


def _after_first_step(callback: Callable[[], None]) -> None:
    """Call `callback` after the first step of any task that exists.

    A task that is cancelled before its first step never enters its coroutine, and would leave its delivery unsettled.
    """
    asyncio.get_running_loop().call_soon(callback)
