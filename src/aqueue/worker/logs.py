"""Where log records go when a command runs a worker."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("plain", "json")


def configure_logging(level: str, form: str) -> None:
    """Write log records to stderr: aqueue's own from `level` up, all others from WARNING up.

    If the application has given the root logger a handler, its configuration stays, and aqueue's records from `level`
    up go to that handler.
    """
    ours = logging.getLogger("aqueue")
    if ours.level == logging.NOTSET:
        ours.setLevel(level.upper())
    root = logging.getLogger()
    if not root.handlers and not ours.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter() if form == "json" else PlainFormatter())
        root.addHandler(handler)


def logging_in_force() -> tuple[str, str] | None:
    """The arguments with which ``configure_logging`` configured the root logger; None if it did not."""
    level = logging.getLevelName(logging.getLogger("aqueue").level).lower()
    for handler in logging.getLogger().handlers:
        match handler.formatter:
            case PlainFormatter():
                return level, "plain"
            case JsonFormatter():
                return level, "json"
    return None


class PlainFormatter(logging.Formatter):
    """``2026-11-21 09:30:00,123 INFO aqueue.worker: text``, in local time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``process`` and ``message``, and
    ``exception`` (a traceback) if the record has one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
