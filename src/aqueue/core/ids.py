"""Identifiers: made here, and checked here when they come from outside."""

from __future__ import annotations

import os
import random
import re
import time

_random = random.Random(os.urandom(32))
if hasattr(os, "register_at_fork"):
    # A forked child would otherwise repeat the ids of its parent.
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))

_TASK_ID = re.compile(r"[A-Za-z0-9_.:@/+=-]{1,200}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_TASK_NAME = re.compile(r"[A-Za-z0-9_.:<>-]{1,200}")
_SCHEDULE_NAME = re.compile(r"[A-Za-z0-9_.:<>-]{1,180}")


def new_task_id() -> str:
    """24 hexadecimal digits that sort by time: 44 bits of milliseconds, then 52 random bits."""
    return f"{(time.time_ns() // 1_000_000 << 52) + _random.getrandbits(52):024x}"


def new_token() -> str:
    """8 hexadecimal digits that tell one process or client from another."""
    return f"{_random.getrandbits(32):08x}"


def check_task_id(value: str) -> str:
    """Return `value` when it can name a task.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, longer than 200 characters or has a character outside ``A-Z a-z 0-9 _ . : @ / + = -``.
    """
    return _check(value, _TASK_ID, "id", "1 to 200 characters out of A-Z a-z 0-9 _ . : @ / + = -")


def kind_key(task_name: str) -> str:
    """What every task of this name is revoked under; no id has a space."""
    return f"all {task_name}"


def check_name(value: str, what: str) -> str:
    """Return `value` when it can name a namespace or a queue: it becomes part of keys and of file names.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, longer than 100 characters or has a character outside ``A-Z a-z 0-9 _ . -``.
    """
    return _check(value, _NAME, what, "1 to 100 characters out of A-Z a-z 0-9 _ . -")


def check_key(value: str, what: str) -> str:
    """Return `value` when it can name a value, a lock or a limit: any text of 1 to 200 characters.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, longer than 200 characters, or not text that can be encoded.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {value!r}")
    if not 1 <= len(value) <= 200 or any("\ud800" <= character <= "\udfff" for character in value):
        shown = value if len(value) <= 60 else value[:57] + "..."
        raise ValueError(f"{what} must be a text of 1 to 200 characters, not {shown!r}")
    return value


def check_task_name(value: str) -> str:
    """Return `value` when it can name a task function.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, longer than 200 characters or has a character outside ``A-Z a-z 0-9 _ . : < > -``.
    """
    return _check(value, _TASK_NAME, "task name", "1 to 200 characters out of A-Z a-z 0-9 _ . : < > -")


def check_schedule_name(value: str) -> str:
    """Return `value` when it can name a schedule: with an instant behind it, it becomes a task id.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, longer than 180 characters or has a character outside ``A-Z a-z 0-9 _ . : < > -``.
    """
    return _check(value, _SCHEDULE_NAME, "schedule name", "1 to 180 characters out of A-Z a-z 0-9 _ . : < > -")


def _check(value: str, pattern: re.Pattern[str], what: str, accepted: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {value!r}")
    if not pattern.fullmatch(value):
        shown = value if len(value) <= 60 else value[:57] + "..."
        raise ValueError(f"{what} must be {accepted}, not {shown!r}")
    return value
