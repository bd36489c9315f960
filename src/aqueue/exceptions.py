"""Every error that aqueue raises, and the two exceptions that a task raises to steer its own execution.

Where Huey has a name for an error, it is the same. ``CancelExecution`` and ``RetryTask`` are instructions, not
failures, so they do not inherit from ``HueyException``: ``except HueyException`` in a task body never swallows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta


class HueyException(Exception):
    """Base class of the errors that aqueue raises."""


class ConfigurationError(HueyException):
    """The application or the store is configured in a way that cannot work."""


class EncodeError(HueyException, TypeError):
    """A value cannot be encoded. The message gives the path of the value and what is accepted."""


class DecodeError(HueyException, ValueError):
    """Bytes found in the store are not a message, a result or an error of this codec."""


class SerializerMismatch(DecodeError):
    """Bytes found in the store were written with other serializer settings, or somebody changed them.

    Either no key of this serializer fits their signature, or they are signed or compressed and this serializer is not
    set up for that. A worker does not run such a message and does not lose it: it stays for a worker with the right
    settings.
    """


class QueueUnavailable(HueyException, ConnectionError):
    """The store could not be reached in time.

    A write that raises this may or may not have reached the store. Repeat it with the same task id: it happens once.
    When ``enqueue_many`` raises this, `ids` are the ids of its calls, in order, and `kept` those of the first calls,
    which the store has for certain; it may have some of the next ones.
    """

    ids: Sequence[str] = ()
    kept: Sequence[str] = ()


class QueueFull(HueyException):
    """The store is out of memory or disk space and refuses new tasks. Workers can still finish the tasks it holds.

    When ``enqueue_many`` raises this, `ids` and `kept` are those of ``QueueUnavailable``.
    """

    ids: Sequence[str] = ()
    kept: Sequence[str] = ()


class ResultTimeout(HueyException, TimeoutError):
    """The verdict did not arrive within the caller's timeout."""


class ResultNotFound(HueyException, LookupError):
    """The store knows no task with this id: it was never enqueued, or its result has expired."""


class TaskTimeout(HueyException):
    """A task ran longer than its ``timeout``. This counts as a failure and is retried like one."""


class TaskLockedException(HueyException):
    """No permit of a lock or a semaphore was free in time; one may be free after `delay` seconds.

    A task that raises it has failed. It is retried as long as it has retries: after its ``retry_delay`` if it has one,
    else after `delay`.
    """

    def __init__(self, message: str = "", delay: float = 0) -> None:
        super().__init__(message)
        self.delay = delay


class RateLimitExceeded(HueyException):
    """The rate limit `key` is used up; it admits the next call after `delay` seconds.

    A task that raises it runs again after its ``retry_delay`` if it has one, else after `delay`. With `retry`, that
    costs none of its retries. Without, the task has failed and is retried as long as it has retries.
    """

    def __init__(self, key: str, delay: float, retry: bool = True) -> None:
        super().__init__(key, delay, retry)
        self.key = key
        self.delay = delay
        self.retry = retry

    def __str__(self) -> str:
        then = "the task runs again" if self.retry else "a call is admitted"
        return f"rate limit {self.key} is used up: {then} in {self.delay:g} s"


class ProcessDied(HueyException):
    """The child process of a task ended before the task did. The text names the signal or the exit code.

    This counts as a failure of the task and is retried like one.
    """


class CancelExecution(Exception):
    """Raise it in a pre-execute hook or in a task body to keep the task from running (any further).

    Raised in a hook, it cancels the task regardless of its retries. Raised in a body, ``retry`` decides: ``None`` lets
    the task use its own retries, ``True`` runs it at least once more, ``False`` runs it no more.
    """

    def __init__(self, msg: str | None = None, retry: bool | None = None) -> None:
        super().__init__(*(() if msg is None else (msg,)))
        self.retry = retry


class RetryTask(Exception):
    """Raise it in a task body to run the task again without spending one of its retries.

    The task runs at ``eta`` (a datetime; naive means local time), or after ``delay`` (seconds or a timedelta), or after
    its own ``retry_delay`` if neither is given.
    """

    def __init__(
        self,
        msg: str | None = None,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
    ) -> None:
        super().__init__(*(() if msg is None else (msg,)))
        self.eta = eta
        self.delay = delay


class TaskException(Exception):
    """Awaiting a result raises this if the task ended without success.

    It is built from plain data, so no class of the remote side is imported to raise it. ``metadata`` is a dict with
    ``state`` (failed, cancelled, expired, dead), ``type`` (name of the remote exception), ``error`` (its text),
    ``traceback`` (text), ``attempt`` (1 for the first run), ``retries`` (how many are left) and ``task_id``.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata or {}
        super().__init__(self.metadata)

    def __str__(self) -> str:
        return str(self.metadata.get("error") or f"task {self.metadata.get('state', 'failed')}")

    @property
    def state(self) -> str:
        """The state in which the task ended: ``failed``, ``cancelled``, ``expired`` or ``dead``."""
        return str(self.metadata.get("state", "failed"))

    @property
    def type(self) -> str:
        """The name of the exception class that the task raised."""
        return str(self.metadata.get("type", ""))

    @property
    def traceback(self) -> str:
        """The remote traceback as text. It is empty if no code ran, as for an expired task."""
        return str(self.metadata.get("traceback", ""))

    @property
    def task_id(self) -> str:
        return str(self.metadata.get("task_id", ""))

    @property
    def attempt(self) -> int:
        """The number of the run that ended, 1 for the first."""
        return int(self.metadata.get("attempt", 1))
