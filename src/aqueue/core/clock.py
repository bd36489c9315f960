"""The only module that reads time.

Inside aqueue an instant is an integer of milliseconds since the epoch (UTC), and a span is an integer of milliseconds.
Seconds, datetimes and timedeltas appear only in the public API.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

LONGEST_SPAN_MS = 10 * 365 * 24 * 3600 * 1000


class Clock(Protocol):
    """The time that a service sees. Tests use ``aqueue.testing.ManualClock``, which they move by hand."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back. Only differences between two readings have a meaning."""

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Sleep until `event` is set or `seconds` have passed. Returns True if the event is set."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await event.wait()
            except TimeoutError:
                pass
        return event.is_set()


def span_ms(value: float | timedelta, name: str) -> int:
    """Convert seconds or a timedelta to whole milliseconds; `name` is what an error calls it.

    Raises:
        TypeError: `value` is neither a number nor a timedelta.
        ValueError: it is negative, not finite or longer than ten years.
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    else:
        raise TypeError(f"{name} must be seconds (int or float) or a timedelta, not {value!r}")
    # NaN fails every comparison, so the condition spells out the accepted range, not the refused one.
    if not 0 <= seconds * 1000 <= LONGEST_SPAN_MS:
        raise ValueError(f"{name} must be between 0 seconds and 10 years, not {value!r}")
    return round(seconds * 1000)


def instant_ms(value: datetime, name: str, *, convert_utc: bool = True) -> int:
    """Convert a datetime to milliseconds since the epoch; `name` is what an error calls it.

    A naive datetime is local time, as in Huey; with ``convert_utc=False`` it is UTC.

    Raises:
        TypeError: `value` is not a datetime.
        ValueError: the instant is out of range.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, not {value!r}")
    if value.tzinfo is None and not convert_utc:
        value = value.replace(tzinfo=UTC)
    try:
        return round(value.timestamp() * 1000)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError(f"{name} is out of range: {value!r}") from error
