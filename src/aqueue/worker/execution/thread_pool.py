"""The threads in which plain functions run.

Nothing can stop a thread. A call that is cancelled, because its time is up or its task was cancelled, leaves the thread
behind, so that the task gets its verdict. The slot stays occupied until the function ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread

from ...tasks.context import current_task
from .slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("aqueue.worker")

_PATIENCE_SECONDS = 1.0


class ThreadPool:
    """At most `size` functions in threads at any moment, including those that were left behind.

    The caller holds one of `slots` while it uses ``call``.
    """

    def __init__(self, size: int) -> None:
        self.slots = Slots(size)
        # The slots are the limit.
        self._limiter = CapacityLimiter(math.inf)
        self._left_behind: dict[_Call, str] = {}
        self._has_said_that_all_are = False

    async def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `function` in a thread. If this is cancelled, the function goes on, and keeps its slot."""
        call = _Call(lambda: function(*args, **kwargs), self._note_end)
        try:
            return await to_thread.run_sync(call.make, limiter=self._limiter, abandon_on_cancel=True)
        finally:
            if call.leave():
                self._leave_behind(call)

    def _leave_behind(self, call: _Call) -> None:
        run = current_task()
        self._left_behind[call] = "?" if run is None else run.name
        self.slots.lose()
        # Many end soon, and a worker that stops has said already that it interrupts them.
        asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._warn, call, repr(run))

    def _warn(self, call: _Call, run: str) -> None:
        if call not in self._left_behind:
            return
        occupied, size = self.slots.lost, self.slots.size
        if occupied < size:
            logger.warning(
                "The function of %s goes on after its task was stopped, and occupies its thread until it returns: %d "
                "of %d threads are occupied like that",
                run,
                occupied,
                size,
            )
        elif not self._has_said_that_all_are:
            self._has_said_that_all_are = True
            names = Counter(self._left_behind.values()).most_common(5)
            logger.error(
                "All %d threads are occupied by functions that go on after their tasks were stopped: %s. This worker "
                "runs no plain function until one of them returns. What may hang is better off in a child process: "
                'pool="process"',
                size,
                ", ".join(f"{name} ({count})" for name, count in names),
            )

    def _note_end(self, call: _Call) -> None:
        if self._left_behind.pop(call, None) is not None:
            self._has_said_that_all_are = False
            self.slots.regain()


class _Call:
    """A function that is called in a thread, until its caller leaves it.

    The thread writes `_is_running` and then reads `_is_left`; the event loop writes `_is_left` and then reads
    `_is_running`. So at least one of the two sees the other, and a function that is left runs to its end, of which
    `on_end` hears in the event loop, or does not begin.
    """

    __slots__ = ("_function", "_is_left", "_is_running", "_loop", "_on_end")

    def __init__(self, function: Callable[[], Any], on_end: Callable[[_Call], None]) -> None:
        self._function = function
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._is_running = False
        self._is_left = False

    def make(self) -> Any:
        self._is_running = True
        try:
            return None if self._is_left else self._function()
        except GeneratorExit as error:
            # Out of a future, it would close the coroutines that await this one instead of raising in them.
            raise RuntimeError("the function raised GeneratorExit") from error
        finally:
            self._is_running = False
            if self._is_left:
                # Nobody counts threads in a loop that was closed.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._on_end, self)

    def leave(self) -> bool:
        """Wait for it no longer; returns whether it goes on."""
        self._is_left = True
        return self._is_running
