"""What goes wrong between this process and a server, sorted by what to do about it."""

from __future__ import annotations

import re

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ....exceptions import QueueUnavailable

# What ends a connection. Reply errors that redis-py derives from ConnectionError (LOADING, NOAUTH) are among them: the
# connection is of no use then either.
BROKEN = (RedisConnectionError, RedisTimeoutError, OSError, EOFError)

# MASTERDOWN is a ClusterDownError. Redis 6.2 puts the code of an error that a script met into a longer text.
_WRONG_KINDS = (ReadOnlyError, ClusterDownError, MovedError)
_WRONG = re.compile(r"(?:^|: -)(?:READONLY|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|MOVED|UNBLOCKED)\b")
_PASSING_KINDS = (BusyLoadingError, TryAgainError)
_PASSING = re.compile(r"(?:^|: -)(?:LOADING|BUSY|TRYAGAIN|MISCONF)\b")

# redis-py takes these codes out of the texts of its errors.
_CODES = {ReadOnlyError: "READONLY", MovedError: "MOVED"}


class NotConnected(RedisConnectionError):
    """The process could not connect to the primary, so it sent no command."""


def is_wrong_server(error: BaseException) -> bool:
    """Whether a reply says that the server is not the primary, or does not serve as one: another one may."""
    return isinstance(error, _WRONG_KINDS) or (isinstance(error, ResponseError) and bool(_WRONG.search(str(error))))


def will_pass(error: BaseException) -> bool:
    """Whether a reply says that the server did not run the command, and may run it in a moment."""
    if is_wrong_server(error) or isinstance(error, _PASSING_KINDS):
        return True
    return isinstance(error, ResponseError) and bool(_PASSING.search(str(error)))


def text_of(error: BaseException) -> str:
    """One line that names the cause."""
    text = str(error) or type(error).__name__
    code = _CODES.get(type(error), "")
    return text if text.startswith(code) else f"{code} {text}"


def unavailable(place: object, error: BaseException) -> QueueUnavailable:
    """The error for the caller: one line that names the server and the cause, and no password."""
    return QueueUnavailable(f"Redis at {place} is unavailable: {text_of(error)}")
