"""A task as hooks, receivers and the task itself see it, when it is enqueued and while it runs."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..exceptions import HueyException, TaskTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextvars import Context

    from ..core.message import Delivery, Message
    from .options import TaskOptions


logger = logging.getLogger("aqueue.task")


class TaskView:
    """One call of one task, with its settings. Pre-enqueue hooks and receivers of ``SIGNAL_ENQUEUED`` get it."""

    __slots__ = ("message", "options")

    def __init__(self, message: Message, options: TaskOptions) -> None:
        self.message = message
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} id={self.id}>"

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def name(self) -> str:
        """The name under which the task is registered."""
        return self.message.task

    @property
    def args(self) -> tuple[Any, ...]:
        return self.message.args

    @property
    def kwargs(self) -> dict[str, Any]:
        return self.message.kwargs

    @property
    def queue(self) -> str:
        return self.options.queue

    @property
    def priority(self) -> int:
        return self.options.priority

    @property
    def retries(self) -> int:
        """How many retries are left."""
        return self.options.retries

    @property
    def retry_delay(self) -> float:
        """The wait before the first retry, in seconds."""
        return self.options.policy.delay_ms / 1000

    @property
    def retry_backoff(self) -> float:
        return self.options.retry_backoff

    @property
    def settings(self) -> Mapping[str, Any]:
        """The task's settings for hooks and receivers, from its declaration."""
        return self.options.settings or {}

    @property
    def timeout(self) -> float | None:
        """How long a run may take, in seconds, or None if there is no limit."""
        return self.options.timeout_s

    @property
    def expires(self) -> datetime | None:
        """The instant after which the task does not start, in UTC, or None if it does not expire."""
        if not self.message.expires_ms:
            return None
        return datetime.fromtimestamp(self.message.expires_ms / 1000, UTC)


class TaskRun(TaskView):
    """One run of one task. All other hooks and receivers get it, and tasks declared with ``context=True``.

    `started` is True once the body has begun. `value` and `exception` are set once it has ended.
    """

    __slots__ = ("_deadline", "_report", "delivery", "exception", "started", "value")

    def __init__(
        self,
        delivery: Delivery,
        message: Message,
        options: TaskOptions,
        report: Callable[[TaskRun, list[Any]], Awaitable[bool]] | None = None,
    ) -> None:
        # Without super(), to save time on the path of every task.
        self.message = message
        self.options = options
        self.delivery = delivery
        self.started = False
        self.value: Any = None
        self.exception: BaseException | None = None
        self._report = report
        self._deadline: float | None = None

    def __repr__(self) -> str:
        return f"<TaskRun {self.name} id={self.id} attempt={self.attempt}>"

    @property
    def attempt(self) -> int:
        """The number of this run: 1 for the first, one more for each failure that was retried."""
        return self.delivery.failures + 1

    @property
    def retries(self) -> int:
        return max(self.options.retries - self.delivery.failures, 0)

    @property
    def fence(self) -> int:
        """A number that grows with every delivery of this task. Store it with a side effect, and refuse a lower one."""
        return self.delivery.fence

    def start_clock(self) -> None:
        """Start to count ``time_remaining`` down. The runner calls this when the body starts."""
        if self.options.timeout_s is not None:
            self._deadline = monotonic() + self.options.timeout_s

    @property
    def time_remaining(self) -> float:
        """Seconds until the task times out, or infinity if it has no timeout."""
        return float("inf") if self._deadline is None else self._deadline - monotonic()

    @property
    def is_timed_out(self) -> bool:
        return self.time_remaining <= 0

    def check_timeout(self) -> None:
        """Raise if the time is up. Plain functions call this, because nothing can interrupt them.

        Raises:
            TaskTimeout: the task has run longer than its ``timeout``.
        """
        if self.is_timed_out:
            raise TaskTimeout(f"timeout {self.options.timeout_s}s")

    async def progress(self, done: float, total: float | None = None, message: str = "") -> bool:
        """Report how far this run is. Callers that follow ``result.progress()`` see it at once.

        Returns False if the report was not recorded, because this run has lost its lease or the store did not answer.

        Raises:
            TypeError: `done` or `total` is not a number, or `message` is not a str.
        """
        for name, value in (("done", done), ("total", 0 if total is None else total)):
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise TypeError(f"{name} must be a number, not {value!r}")
        if not isinstance(message, str):
            raise TypeError(f"message must be a str, not {message!r}")
        if self._report is None:
            return True
        try:
            return await self._report(self, [done, total, message])
        except HueyException as error:
            # A failed report must not end the task.
            logger.warning("Task %s could not report its progress: %s", self.id, error)
            return False

    def progress_sync(self, done: float, total: float | None = None, message: str = "") -> bool:
        """``progress`` for code that cannot await: a plain function as a task."""
        return asyncio.run(self.progress(done, total, message))


_current: ContextVar[TaskRun] = ContextVar("aqueue_current_task")


def current_task() -> TaskRun | None:
    """The run that the calling code belongs to, also in the task's thread; None outside of a task."""
    return _current.get(None)


def run_in(context: Context) -> TaskRun | None:
    """The run that code in `context` belongs to; from any thread."""
    return context.get(_current)


def set_current_task(run: TaskRun) -> None:
    """Make `run` the current one. The runner calls this in the context of the task that it starts."""
    _current.set(run)
