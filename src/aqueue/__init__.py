"""aqueue: an asyncio-native task queue and worker."""

from ._version import __version__
from .app import Huey, MemoryHuey, RedisHuey, SqliteHuey
from .context import TaskRun, current_task
from .exceptions import (
    CancelExecution,
    ConfigurationError,
    DecodeError,
    EncodeError,
    HueyException,
    QueueFull,
    QueueUnavailable,
    ResultNotFound,
    ResultTimeout,
    RetryTask,
    TaskException,
    TaskTimeout,
)
from .lifecycle import State
from .result import Progress, Result, ResultGroup
from .task import Call, Task

__all__ = [
    "Call",
    "CancelExecution",
    "ConfigurationError",
    "DecodeError",
    "EncodeError",
    "Huey",
    "HueyException",
    "MemoryHuey",
    "Progress",
    "QueueFull",
    "QueueUnavailable",
    "RedisHuey",
    "Result",
    "ResultGroup",
    "ResultNotFound",
    "ResultTimeout",
    "RetryTask",
    "SqliteHuey",
    "State",
    "Task",
    "TaskException",
    "TaskRun",
    "TaskTimeout",
    "__version__",
    "current_task",
]
