"""aqueue: an asyncio-native task queue and worker.

The public names are loaded on first use: ``import aqueue`` alone costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .app import Huey, MemoryHuey, RedisHuey, SqliteHuey
    from .context import TaskRun, TaskView, current_task
    from .exceptions import (
        CancelExecution,
        ConfigurationError,
        DecodeError,
        EncodeError,
        HueyException,
        ProcessDied,
        QueueFull,
        QueueUnavailable,
        RateLimitExceeded,
        ResultNotFound,
        ResultTimeout,
        RetryTask,
        SerializerMismatch,
        TaskException,
        TaskLockedException,
        TaskTimeout,
    )
    from .inspection import ResultInfo, TaskInfo
    from .lifecycle import State
    from .limits import RateLimit
    from .locks import TaskLock
    from .message import SKIPPED, Error
    from .permits import Permit
    from .result import ChordResult, Progress, Result, ResultGroup
    from .serializers import JSONSerializer, PickleSerializer, Serializer
    from .task import Call, Task
    from .when import cron, crontab, every
    from .workflow.groups import Chord, Group, chord, group
    from .workflow.steps import Pipeline, Step

__all__ = [
    "SKIPPED",
    "Call",
    "CancelExecution",
    "Chord",
    "ChordResult",
    "ConfigurationError",
    "DecodeError",
    "EncodeError",
    "Error",
    "Group",
    "Huey",
    "HueyException",
    "JSONSerializer",
    "MemoryHuey",
    "Permit",
    "PickleSerializer",
    "Pipeline",
    "ProcessDied",
    "Progress",
    "QueueFull",
    "QueueUnavailable",
    "RateLimit",
    "RateLimitExceeded",
    "RedisHuey",
    "Result",
    "ResultGroup",
    "ResultInfo",
    "ResultNotFound",
    "ResultTimeout",
    "RetryTask",
    "Serializer",
    "SerializerMismatch",
    "SqliteHuey",
    "State",
    "Step",
    "Task",
    "TaskException",
    "TaskInfo",
    "TaskLock",
    "TaskLockedException",
    "TaskRun",
    "TaskTimeout",
    "TaskView",
    "__version__",
    "chord",
    "cron",
    "crontab",
    "current_task",
    "every",
    "group",
]

_HOMES = {
    "app": ("Huey", "MemoryHuey", "RedisHuey", "SqliteHuey"),
    "context": ("TaskRun", "TaskView", "current_task"),
    "exceptions": (
        "CancelExecution",
        "ConfigurationError",
        "DecodeError",
        "EncodeError",
        "HueyException",
        "ProcessDied",
        "QueueFull",
        "QueueUnavailable",
        "RateLimitExceeded",
        "ResultNotFound",
        "ResultTimeout",
        "RetryTask",
        "SerializerMismatch",
        "TaskException",
        "TaskLockedException",
        "TaskTimeout",
    ),
    "inspection": ("ResultInfo", "TaskInfo"),
    "lifecycle": ("State",),
    "limits": ("RateLimit",),
    "locks": ("TaskLock",),
    "message": ("SKIPPED", "Error"),
    "permits": ("Permit",),
    "result": ("ChordResult", "Progress", "Result", "ResultGroup"),
    "serializers": ("JSONSerializer", "PickleSerializer", "Serializer"),
    "task": ("Call", "Task"),
    "when": ("cron", "crontab", "every"),
    "workflow.groups": ("Chord", "Group", "chord", "group"),
    "workflow.steps": ("Pipeline", "Step"),
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
