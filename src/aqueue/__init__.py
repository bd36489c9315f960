"""aqueue: an asyncio-native task queue and worker.

The public names are loaded on first use: ``import aqueue`` alone costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
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
    from .when import cron, crontab, every

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
    "cron",
    "crontab",
    "current_task",
    "every",
]

_HOMES = {
    "app": ("Huey", "MemoryHuey", "RedisHuey", "SqliteHuey"),
    "context": ("TaskRun", "current_task"),
    "exceptions": (
        "CancelExecution",
        "ConfigurationError",
        "DecodeError",
        "EncodeError",
        "HueyException",
        "QueueFull",
        "QueueUnavailable",
        "ResultNotFound",
        "ResultTimeout",
        "RetryTask",
        "TaskException",
        "TaskTimeout",
    ),
    "lifecycle": ("State",),
    "result": ("Progress", "Result", "ResultGroup"),
    "task": ("Call", "Task"),
    "when": ("cron", "crontab", "every"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # or every misspelt name would pass for Any

    def __getattr__(name: str) -> Any:
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
