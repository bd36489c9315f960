"""aqueue: an asyncio-native task queue and worker.

The public names are loaded on first use: ``import aqueue`` alone costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .app.doctor import Diagnosis
    from .app.flavours import MemoryHuey, RedisHuey, SqliteHuey
    from .app.huey import Huey
    from .app.inspection import DeadLetter, ResultInfo, TaskInfo
    from .app.schedules import ScheduleInfo
    from .client.permits import Permit
    from .client.results import ChordResult, Progress, Result, ResultGroup
    from .client.sync import SyncHuey, SyncResult
    from .coordination.locks import TaskLock
    from .coordination.rate_limits import RateLimit
    from .core.lifecycle import State
    from .core.message import SKIPPED, Error
    from .core.serializers import JSONSerializer, PickleSerializer, Serializer
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
    from .storage.admin import Finding
    from .storage.protocol import QueueDepth, WorkerInfo
    from .tasks.context import TaskRun, TaskView, current_task
    from .tasks.cron import cron, crontab, every
    from .tasks.task import AsyncTask, Call, SyncTask, Task
    from .tasks.workflow.groups import Chord, Group, chord, group
    from .tasks.workflow.steps import Pipeline, Step
    from .worker.worker import Worker

__all__ = [
    "SKIPPED",
    "AsyncTask",
    "Call",
    "CancelExecution",
    "Chord",
    "ChordResult",
    "ConfigurationError",
    "DeadLetter",
    "DecodeError",
    "Diagnosis",
    "EncodeError",
    "Error",
    "Finding",
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
    "QueueDepth",
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
    "ScheduleInfo",
    "Serializer",
    "SerializerMismatch",
    "SqliteHuey",
    "State",
    "Step",
    "SyncHuey",
    "SyncResult",
    "SyncTask",
    "Task",
    "TaskException",
    "TaskInfo",
    "TaskLock",
    "TaskLockedException",
    "TaskRun",
    "TaskTimeout",
    "TaskView",
    "Worker",
    "WorkerInfo",
    "__version__",
    "chord",
    "cron",
    "crontab",
    "current_task",
    "every",
    "group",
]

_HOMES = {
    "app.flavours": ("MemoryHuey", "RedisHuey", "SqliteHuey"),
    "app.huey": ("Huey",),
    "tasks.context": ("TaskRun", "TaskView", "current_task"),
    "app.doctor": ("Diagnosis",),
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
    "core.lifecycle": ("State",),
    "coordination.rate_limits": ("RateLimit",),
    "app.inspection": ("DeadLetter", "ResultInfo", "TaskInfo"),
    "coordination.locks": ("TaskLock",),
    "core.message": ("SKIPPED", "Error"),
    "client.permits": ("Permit",),
    "client.results": ("ChordResult", "Progress", "Result", "ResultGroup"),
    "core.serializers": ("JSONSerializer", "PickleSerializer", "Serializer"),
    "tasks.task": ("AsyncTask", "Call", "SyncTask", "Task"),
    "app.schedules": ("ScheduleInfo",),
    "worker.worker": ("Worker",),
    "storage.protocol": ("QueueDepth", "WorkerInfo"),
    "storage.admin": ("Finding",),
    "client.sync": ("SyncHuey", "SyncResult"),
    "tasks.cron": ("cron", "crontab", "every"),
    "tasks.workflow.groups": ("Chord", "Group", "chord", "group"),
    "tasks.workflow.steps": ("Pipeline", "Step"),
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
