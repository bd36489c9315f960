"""Identifiers: how aqueue makes its own, and how it checks those of users."""

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
    """8 random hexadecimal digits that identify a process or a client."""
    return f"{_random.getrandbits(32):08x}"


def check_task_id(value: str) -> str:
    """Return `value` if it is a valid task id.

    Raises:
        TypeError: it is not a str.
        ValueError: it is empty, longer than 200 characters or has a character outside ``A-Z a-z 0-9 _ . : @ / + = -``.
    """
    return _check(value, _TASK_ID, "id", "1 to 200 characters from A-Z a-z 0-9 _ . : @ / + = -")


def kind_key(task_name: str) -> str:
    """The key under which all calls of a task are revoked. It contains a space, so it cannot equal a task id."""
    return f"all {task_name}"


def check_name(value: str, what: str) -> str:
    """Return `value` if it is a valid name for a namespace or a queue. It becomes part of keys and of file names.

    Raises:
        TypeError: it is not a str.
        ValueError: it is empty, longer than 100 characters or has a character outside ``A-Z a-z 0-9 _ . -``.
    """
    return _check(value, _NAME, what, "1 to 100 characters from A-Z a-z 0-9 _ . -")


def check_key(value: str, what: str) -> str:
    """Return `value` if it is a valid name for a shared value, a lock or a rate limit: any text of 1 to 200 characters.

    Raises:
        TypeError: it is not a str.
        ValueError: it is empty, longer than 200 characters, or contains a lone surrogate.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {value!r}")
    if not 1 <= len(value) <= 200 or any("\ud800" <= character <= "\udfff" for character in value):
        shown = value if len(value) <= 60 else value[:57] + "..."
        raise ValueError(f"{what} must be text of 1 to 200 characters, not {shown!r}")
    return value


def check_task_name(value: str) -> str:
    """Return `value` if it is a valid name for a task function.

    Raises:
        TypeError: it is not a str.
        ValueError: it is empty, longer than 200 characters or has a character outside ``A-Z a-z 0-9 _ . : < > -``.
    """
    return _check(value, _TASK_NAME, "task name", "1 to 200 characters from A-Z a-z 0-9 _ . : < > -")


def check_schedule_name(value: str) -> str:
    """Return `value` if it is a valid name for a schedule. The name and an instant together form a task id.

    Raises:
        TypeError: it is not a str.
        ValueError: it is empty, longer than 180 characters or has a character outside ``A-Z a-z 0-9 _ . : < > -``.
    """
    return _check(value, _SCHEDULE_NAME, "schedule name", "1 to 180 characters from A-Z a-z 0-9 _ . : < > -")


def _check(value: str, pattern: re.Pattern[str], what: str, accepted: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {value!r}")
    if not pattern.fullmatch(value):
        shown = value if len(value) <= 60 else value[:57] + "..."
        raise ValueError(f"{what} must be {accepted}, not {shown!r}")
    return value
