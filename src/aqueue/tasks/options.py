"""The options of a task, validated when it is declared and when a call changes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, get_args

from ..core.clock import span_ms
from ..core.ids import check_name
from ..core.message import DEFAULT_QUEUE
from ..core.retry import RetryPolicy

LOWEST_PRIORITY = -100
HIGHEST_PRIORITY = 100

Span = float | timedelta
Pool = Literal["thread", "process"]
RetryOn = type[BaseException] | tuple[type[BaseException], ...]

# If a call changes one of these, the message carries the value, because the worker needs it.
_TRAVELLING = (
    *("retries", "retry_delay", "retry_backoff", "retry_jitter", "retry_max_delay"),
    *("timeout", "queue", "priority", "results", "result_ttl"),
)


class TaskKeywords(TypedDict, total=False):
    """The options of ``@huey.task`` as type checkers see them; ``TaskOptions`` checks their values."""

    retries: int
    retry_delay: Span
    retry_backoff: float
    retry_jitter: float
    retry_max_delay: Span
    retry_on: RetryOn
    timeout: Span | None
    expires: Span | datetime | None
    queue: str
    priority: int
    results: bool
    result_ttl: Span | None
    context: bool
    pool: Pool | None
    settings: Mapping[str, Any] | None


class CallKeywords(TypedDict, total=False):
    """The options that a call may change; None leaves an option as it is.

    The others belong to the declaration: `retry_on` is a class, which a message cannot carry; `context` and `pool`
    depend on the function; and `settings` may be anything.
    """

    retries: int | None
    retry_delay: Span | None
    retry_backoff: float | None
    retry_jitter: float | None
    retry_max_delay: Span | None
    timeout: Span | None
    expires: Span | datetime | None
    queue: str | None
    priority: int | None
    results: bool | None
    result_ttl: Span | None


_OF_THE_DECLARATION = TaskKeywords.__optional_keys__ - CallKeywords.__optional_keys__


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """How a task is queued and run. Times are seconds or timedeltas, as the user wrote them."""

    retries: int = 0
    retry_delay: Span = 0
    retry_backoff: float = 0
    retry_jitter: float = 0
    retry_max_delay: Span = 24 * 3600
    retry_on: RetryOn = (Exception,)
    timeout: Span | None = None
    expires: Span | datetime | None = None
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    results: bool = True
    result_ttl: Span | None = None
    context: bool = False
    pool: Pool | None = None
    settings: Mapping[str, Any] | None = field(default=None, hash=False)
    policy: RetryPolicy = field(init=False, repr=False, compare=False)
    timeout_s: float | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_int("retries", self.retries, 0, 1_000_000)
        _check_int("priority", self.priority, LOWEST_PRIORITY, HIGHEST_PRIORITY)
        _check_number("retry_backoff", self.retry_backoff, 0, 1000)
        _check_number("retry_jitter", self.retry_jitter, 0, 1)
        check_name(self.queue, "queue")
        for name in ("results", "context"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, not {getattr(self, name)!r}")
        _check_pool(self.pool)
        _check_settings(self.settings)
        if self.expires is not None and not isinstance(self.expires, datetime):
            span_ms(self.expires, "expires")
        if self.result_ttl is not None:
            span_ms(self.result_ttl, "result_ttl")
        object.__setattr__(self, "policy", self._policy())
        # As in Huey, a timeout of 0 means none.
        timeout_ms = None if self.timeout is None else span_ms(self.timeout, "timeout")
        object.__setattr__(self, "timeout_s", timeout_ms / 1000 if timeout_ms else None)

    def changed(self, **overrides: Any) -> TaskOptions:
        """These options with `overrides`; ``None`` leaves an option as it is.

        Raises:
            TypeError, ValueError: an override is unknown, out of range, or belongs to the declaration alone.
        """
        overrides = {name: value for name, value in overrides.items() if value is not None}
        check_known(overrides)
        for name in _OF_THE_DECLARATION.intersection(overrides):
            raise TypeError(f"{name} belongs to the declaration of a task: a call cannot change it")
        return dataclasses.replace(self, **overrides) if overrides else self

    def travelling(self, declared: TaskOptions) -> dict[str, Any]:
        """The options that differ from `declared` and that the worker needs, as plain data."""
        if self is declared:
            return {}
        differing = {}
        for name in _TRAVELLING:
            value = getattr(self, name)
            if value != getattr(declared, name):
                differing[name] = value.total_seconds() if isinstance(value, timedelta) else value
        return differing

    def _policy(self) -> RetryPolicy:
        retry_on = self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in retry_on):
            raise TypeError(f"retry_on must be an exception class or a tuple of them, not {self.retry_on!r}")
        return RetryPolicy(
            retries=self.retries,
            delay_ms=span_ms(self.retry_delay, "retry_delay"),
            backoff=self.retry_backoff,
            jitter=self.retry_jitter,
            max_delay_ms=span_ms(self.retry_max_delay, "retry_max_delay"),
            retry_on=retry_on,
        )


_NAMES = [item.name for item in dataclasses.fields(TaskOptions) if item.init]


def check_known(names: Iterable[str]) -> None:
    """Raise TypeError, with the nearest match, for the first of `names` that is not an option."""
    for name in names:
        if name not in _NAMES:
            import difflib  # only where something is wrong

            near = difflib.get_close_matches(name, _NAMES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"options are {', '.join(_NAMES)}"
            raise TypeError(f"unknown task option {name!r}: {hint}")


def _check_pool(value: object) -> None:
    pools = get_args(Pool)
    if value is not None and value not in pools:
        error = ValueError if isinstance(value, str) else TypeError
        raise error(f"pool must be {' or '.join(map(repr, pools))}, not {value!r}")


def _check_settings(value: object) -> None:
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        raise TypeError(f"settings must be a dict with names as its keys, not {value!r}")


def _check_int(name: str, value: object, lowest: int, highest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be between {lowest} and {highest}, not {value!r}")


def _check_number(name: str, value: object, lowest: float, highest: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if math.isnan(value) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be between {lowest} and {highest}, not {value!r}")
