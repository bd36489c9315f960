"""What users may import."""

from __future__ import annotations

import re
from importlib import metadata

import aqueue

from .package import PACKAGE

PUBLIC = [
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


def test_the_public_names_are_these() -> None:
    assert aqueue.__all__ == PUBLIC


def test_every_public_name_is_there() -> None:
    namespace: dict[str, object] = {}
    exec("from aqueue import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(PUBLIC)


def test_no_public_name_is_that_of_a_module() -> None:
    """An import of the module would put it in the place of the name."""
    assert {path.stem for path in PACKAGE.iterdir()} & {*PUBLIC} == set()


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_there_is_one_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", aqueue.__version__)
    assert f'__version__ = "{aqueue.__version__}"' in (PACKAGE / "_version.py").read_text("utf-8")
    # The metadata is made of that file when the distribution is installed; from a checkout there is none.
    installed = {found.version for found in metadata.distributions(name="aqueue-tasks")}
    assert installed <= {aqueue.__version__}
