"""Where log records go when a command runs a worker."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..core.failures import traceback_text
from ..tasks.context import current_task

if TYPE_CHECKING:
    from types import TracebackType

    _ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("plain", "json")


def configure_logging(level: str, form: str, *, task_fields: bool) -> None:
    """Write log records to stderr: aqueue's own from `level` up, all others from WARNING up.

    If the application has given the root logger a handler, its configuration stays, and aqueue's records from `level`
    up go to that handler. With `task_fields` each record of either kind says during which task it was logged.
    """
    ours = logging.getLogger("aqueue")
    if ours.level == logging.NOTSET:
        ours.setLevel(level.upper())
    root = logging.getLogger()
    if not root.handlers and not ours.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter() if form == "json" else PlainFormatter())
        root.addHandler(handler)
    if task_fields:
        for each in (*root.handlers, *ours.handlers):
            each.addFilter(TaskFields())


def logging_in_force() -> tuple[str, str, bool] | None:
    """The level, the format and the `task_fields` with which ``configure_logging`` configured the root logger.

    None if it did not.
    """
    level = logging.getLevelName(logging.getLogger("aqueue").level).lower()
    for handler in logging.getLogger().handlers:
        task_fields = any(isinstance(each, TaskFields) for each in handler.filters)
        match handler.formatter:
            case PlainFormatter():
                return level, "plain", task_fields
            case JsonFormatter():
                return level, "json", task_fields
    return None


class TaskFields(logging.Filter):
    """Gives each record that is logged during a run of a task the attributes `NAMES`, unless it has them."""

    NAMES = ("task_id", "task", "queue", "attempt", "worker")

    def filter(self, record: logging.LogRecord) -> bool:
        run = current_task()
        if run is not None:
            values = (run.id, run.name, run.queue, run.attempt, run.delivery.receipt.consumer)
            for name, value in zip(self.NAMES, values, strict=True):
                record.__dict__.setdefault(name, value)
        return True


class _Formatter(logging.Formatter):
    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - the name that logging calls
        _, exception, trace = ei
        return "" if exception is None else traceback_text(exception, trace).rstrip()


class PlainFormatter(_Formatter):
    """``2026-11-21 09:30:00,123 INFO aqueue.worker: text``, in local time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


class JsonFormatter(_Formatter):
    """One JSON object per line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``process`` and ``message``, and
    ``exception`` (a traceback) and the names of ``TaskFields`` if the record has them."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        line |= {name: record.__dict__[name] for name in TaskFields.NAMES if name in record.__dict__}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
