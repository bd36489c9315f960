"""Every error that aqueue raises, and the two that a task raises to steer its own execution.

Names are Huey's wherever Huey has one. ``CancelExecution`` and ``RetryTask`` are instructions, not failures, so they
stand outside the ``HueyException`` tree: ``except HueyException`` in a task body never swallows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class HueyException(Exception):
    """Root of the errors that aqueue raises."""


class ConfigurationError(HueyException):
    """The application or the store is set up in a way that cannot work."""


class EncodeError(HueyException, TypeError):
    """A value cannot travel: the message names the path of the value and what would be accepted."""


class DecodeError(HueyException, ValueError):
    """Bytes found in the store are not a message, a result or an error of this codec."""


class SerializerMismatch(DecodeError):
    """Bytes found in the store were written with other settings of the serializer, or changed since.

    Their signature fits no key that is known here, or they are signed or compressed and the serializer here does
    neither. A message like that is not run and not lost: it is kept for a worker with the right settings.
    """


class QueueUnavailable(HueyException, ConnectionError):
    """The store could not be reached in time.

    A write that raises this may have been executed: repeat it with the same task id and it still happens once.
    """


class QueueFull(HueyException):
    """The store is out of memory or disk and refuses new tasks. Tasks that it already holds can still be finished."""


class ResultTimeout(HueyException, TimeoutError):
    """The verdict did not arrive within the time that the caller was ready to wait."""


class ResultNotFound(HueyException, LookupError):
    """The store knows no task of this id: it never existed, or its result has expired."""


class TaskTimeout(HueyException):
    """A task ran longer than its ``timeout``. Counts as a failure, so it is retried like one."""


class TaskLockedException(HueyException):
    """No permit of a lock or a semaphore was free in time; one may be after `delay` seconds.

    A task that raises it has failed. It is retried as long as it has retries, after its ``retry_delay`` or else when a
    permit may be free.
    """

    def __init__(self, message: str = "", delay: float = 0) -> None:
        super().__init__(message)
        self.delay = delay


class RateLimitExceeded(HueyException):
    """The rate limit `key` is used up; it admits the next call after `delay` seconds.

    A task that raises it runs again then, or after its own ``retry_delay``. With `retry` that costs none of its
    retries; without, it has failed, and is retried as long as it has retries.
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
    """The child process of a task ended before the task did: by a signal or with an exit code, which the text names.

    Counts as a failure of that task, so it is retried like one.
    """


class CancelExecution(Exception):
    """Raise it in a pre-execute hook or in a task body: the task must not run (any further).

    In a hook the task is cancelled, whatever its retries. In a body ``retry`` decides:
    ``None`` leaves the task's own retries in force, ``True`` runs it at least once more, ``False`` makes it final.
    """

    def __init__(self, msg: str | None = None, retry: bool | None = None) -> None:
        super().__init__(*(() if msg is None else (msg,)))
        self.retry = retry


class RetryTask(Exception):
    """Raise it in a task body to run the task again, without spending one of its retries.

    ``eta`` (a datetime; naive means local time) or ``delay`` (seconds or a timedelta) says when; without them the
    task's own ``retry_delay`` does.
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
    """What awaiting a result raises when the task ended in any way but success.

    Built from plain data alone: no class of the remote side is imported to raise it. ``metadata`` is a dict with
    ``state`` (failed, cancelled, expired, dead), ``type`` (name of the remote exception), ``error`` (its text),
    ``traceback`` (text), ``attempt`` (1 for the first run), ``retries`` (left) and ``task_id``.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata or {}
        super().__init__(self.metadata)

    def __str__(self) -> str:
        return str(self.metadata.get("error") or f"task {self.metadata.get('state', 'failed')}")

    @property
    def state(self) -> str:
        """How the task ended: ``failed``, ``cancelled``, ``expired`` or ``dead``."""
        return str(self.metadata.get("state", "failed"))

    @property
    def type(self) -> str:
        """Name of the exception class that the task raised, as text."""
        return str(self.metadata.get("type", ""))

    @property
    def traceback(self) -> str:
        """The remote traceback as text; empty where no code ran (an expired task, say)."""
        return str(self.metadata.get("traceback", ""))

    @property
    def task_id(self) -> str:
        return str(self.metadata.get("task_id", ""))

    @property
    def attempt(self) -> int:
        """Which run of the task this was, 1 for the first."""
        return int(self.metadata.get("attempt", 1))
