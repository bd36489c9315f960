"""From what users write to integer milliseconds."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from aqueue.core.clock import LONGEST_SPAN_MS, SystemClock, instant_ms, span_ms

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1, 1000),
        (0.25, 250),
        (0.0004, 0),
        (1.0005, 1000),
        (timedelta(0), 0),
        (timedelta(minutes=1, milliseconds=5), 60_005),
        (timedelta(days=3650), LONGEST_SPAN_MS),
        (LONGEST_SPAN_MS / 1000, LONGEST_SPAN_MS),
    ],
)
def test_a_span_is_seconds_or_a_timedelta(value: float | timedelta, expected: int) -> None:
    assert span_ms(value, "delay") == expected


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -0.001,
        math.nan,
        math.inf,
        -math.inf,
        1e300,
        10**400,
        timedelta(days=-1),
        timedelta.max,
        timedelta.min,
        timedelta(days=3650, seconds=1),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_span_is_from_nothing_to_ten_years(value: float | timedelta) -> None:
    with pytest.raises(ValueError, match=r"^delay must be between 0 seconds and 10 years, not "):
        span_ms(value, "delay")


@pytest.mark.parametrize("value", ["5", None, True, False, [5], b"5", 5j, datetime(2026, 1, 1)])
def test_what_is_no_span_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^delay must be seconds \(int or float\) or a timedelta, not "):
        span_ms(value, "delay")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local time of this process is that of Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc_ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.usefixtures("berlin")
def test_a_naive_datetime_is_local_time() -> None:
    assert instant_ms(datetime(2026, 7, 1, 12, 0, 0, 5_000), "eta") == utc_ms(2026, 7, 1, 10) + 5
    assert instant_ms(datetime(2026, 1, 1, 12), "eta") == utc_ms(2026, 1, 1, 11)


@pytest.mark.usefixtures("berlin")
def test_a_naive_datetime_is_utc_when_it_is_not_to_be_converted() -> None:
    assert instant_ms(datetime(2026, 7, 1, 12), "eta", convert_utc=False) == utc_ms(2026, 7, 1, 12)


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("convert_utc", [True, False])
def test_an_aware_datetime_is_exact(convert_utc: bool) -> None:
    for zone in (ZoneInfo("America/New_York"), timezone(timedelta(hours=-4)), UTC):
        value = datetime(2026, 7, 1, 12, tzinfo=zone)
        assert instant_ms(value, "eta", convert_utc=convert_utc) == round(value.timestamp() * 1000)
    assert instant_ms(datetime(2026, 7, 1, 12, tzinfo=UTC), "eta") == utc_ms(2026, 7, 1, 12)


@pytest.mark.usefixtures("berlin")
def test_the_hour_that_comes_twice_is_told_apart_by_its_fold() -> None:
    twice = datetime(2026, 10, 25, 2, 30)
    assert instant_ms(twice, "eta") == utc_ms(2026, 10, 25, 0, 30)
    assert instant_ms(twice.replace(fold=1), "eta") == utc_ms(2026, 10, 25, 1, 30)


@pytest.mark.usefixtures("berlin")
def test_the_hour_that_is_left_out_is_an_instant_too() -> None:
    skipped = datetime(2026, 3, 29, 2, 30)
    assert instant_ms(skipped, "eta") == utc_ms(2026, 3, 29, 1, 30)
    assert instant_ms(skipped.replace(tzinfo=ZoneInfo("Europe/Berlin")), "eta") == utc_ms(2026, 3, 29, 1, 30)


@pytest.mark.parametrize("value", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 20, tzinfo=UTC)])
def test_an_instant_may_be_long_ago_or_far_away(value: datetime) -> None:
    assert instant_ms(value, "eta") == (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize("value", [datetime.min, datetime.max])
def test_the_first_and_the_last_datetime_are_an_instant_or_a_clear_error(value: datetime) -> None:
    try:
        assert isinstance(instant_ms(value, "eta"), int)
    except ValueError as error:
        assert str(error).startswith("eta is out of range: ")  # noqa: PT017 - which of both depends on the zone


@pytest.mark.parametrize("value", [5, "2026-01-01", None, datetime(2026, 1, 1).date(), timedelta(1)])
def test_what_is_no_datetime_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^eta must be a datetime, not "):
        instant_ms(value, "eta")


async def test_the_clock_of_the_machine_waits_for_its_event_or_its_time() -> None:
    clock = SystemClock()
    event = asyncio.Event()
    assert await clock.wait(event, 0.001) is False
    assert await clock.wait(event, 0) is False
    assert await clock.wait(event, -5) is False
    event.set()
    assert await clock.wait(event, 60) is True
    assert await clock.wait(event, 0) is True


def test_the_clock_of_the_machine_is_its_clock() -> None:
    clock = SystemClock()
    before, now, after = time.time() * 1000 - 1, clock.now_ms(), time.time() * 1000
    assert before <= now <= after
    assert isinstance(now, int)
    assert clock.monotonic() <= time.monotonic()
