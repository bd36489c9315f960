"""When a periodic task is due: ``every``, ``crontab`` and ``cron``, each of which computes its next tick.

Instants are integer milliseconds since the epoch. Nothing here reads a clock. Local times come from the machine's time
zone data.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_SHORTEST_SECONDS = 1
_LONGEST_SECONDS = 366 * 24 * 3600
_DAY_SECONDS = 24 * 3600
# 29 February on a given day of the week can be 40 years away, if a year like 2100 lies in between.
_LONGEST_SEARCH_YEARS = 40


class When(Protocol):
    """Anything that has ticks."""

    def next_after(self, instant_ms: int) -> int | None:
        """The first tick after an instant, or None if there are no more."""


class _Value:
    """A ``When`` that is made of plain `arguments`, so it can be compared, printed and stored.

    `tz` names the time zone of its ticks, ``"local"`` for that of this machine.
    """

    arguments: dict[str, Any]
    tz: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class every(_Value):  # noqa: N801 - called like a function, and read as a word
    """At a regular interval: ``every(seconds=90)``, ``every(hours=6)``, ``every(timedelta(days=1))``.

    The ticks are the multiples of the span since 1970-01-01 00:00 UTC, so all workers agree on them: every 6 hours
    means at 0, 6, 12 and 18 o'clock UTC.

    Raises:
        TypeError: `span` is not a timedelta, or another argument is not a number.
        ValueError: the sum is less than a second or more than a year.
    """

    def __init__(
        self, span: timedelta | None = None, *, seconds: float = 0, minutes: float = 0, hours: float = 0
    ) -> None:
        if span is not None and not isinstance(span, timedelta):
            raise TypeError(f"every() takes a timedelta, or seconds=, minutes= and hours=, not {span!r}")
        parts = {"hours": hours, "minutes": minutes, "seconds": seconds}
        for name, value in parts.items():
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise TypeError(f"{name} must be a number, not {value!r}")
        if span is not None:
            parts["seconds"] += span.total_seconds()
        self.arguments = {name: value for name, value in parts.items() if value}
        total = parts["hours"] * 3600 + parts["minutes"] * 60 + parts["seconds"]
        # NaN fails every comparison, so the condition spells out the accepted range, not the refused one.
        if not _SHORTEST_SECONDS <= total <= _LONGEST_SECONDS:
            raise ValueError(f"every() takes a span from a second to a year, not {total} seconds")
        self.tz = "UTC"
        self._span_ms = round(total * 1000)

    def next_after(self, instant_ms: int) -> int:
        return (instant_ms // self._span_ms + 1) * self._span_ms


class crontab(_Value):  # noqa: N801 - Huey's name
    """The minutes that match all five fields, as in Huey: ``crontab(minute="*/15", hour="9-17", day_of_week="1-5")``.

    A field is a number, ``*``, ``*/n`` (every n-th value, counted from the first value of the field), ``m-n``,
    ``m-n/s``, or several of these separated by commas. A range may wrap around: ``hour="22-2"``. The days of the week
    are 0 (Sunday) to 6, and 7 is Sunday too. Call a crontab with a datetime to learn whether it matches.

    Ticks follow the local time of the worker's machine, as a clock on the wall shows it. When clocks go forward, the
    skipped times have no tick; when they go back, the repeated times have two. Use ``cron`` with a time zone if that
    matters.

    Raises:
        TypeError: a field is neither a str nor an int.
        ValueError: a value is out of range, or a field matches nothing. Unless ``strict=False``, also if part of a
            field has an unknown form (Huey ignores such a part), or if no date matches.
    """

    def __init__(
        self,
        minute: str | int = "*",
        hour: str | int = "*",
        day: str | int = "*",
        month: str | int = "*",
        day_of_week: str | int = "*",
        strict: bool = True,
    ) -> None:
        fields = {"minute": minute, "hour": hour, "day": day, "month": month, "day_of_week": day_of_week}
        self.arguments = {name: value for name, value in fields.items() if value != "*"}
        if not strict:
            self.arguments["strict"] = False
        self._minutes, self._hours, self._days, self._months, self._weekdays = (
            _parsed(field, fields[field.name], strict) for field in _FIELDS
        )
        self.tz = "local"
        self._ever = any(day <= _LONGEST_MONTHS[month] for month in self._months for day in self._days)
        if strict and not self._ever:
            raise ValueError(f"{self!r}: there is no such date")
        self._calendar = _Calendar(self._months, self._matches_day, self._hours, self._minutes)

    @classmethod
    def hourly(cls, **fields: Any) -> crontab:
        """Huey's shorthand: once an hour, at minute 0 unless `fields` has another."""
        return cls(**{"minute": 0, **fields})

    @classmethod
    def daily(cls, **fields: Any) -> crontab:
        """Huey's shorthand: once a day, at midnight unless `fields` has another time."""
        return cls(**{"minute": 0, "hour": 0, **fields})

    def __call__(self, moment: datetime) -> bool:
        """Whether the minute of `moment` matches. Its time zone is ignored."""
        return (
            moment.minute in self._minutes
            and moment.hour in self._hours
            and moment.month in self._months
            and self._matches_day(moment)
        )

    def next_after(self, instant_ms: int) -> int | None:
        return _first_match(self._calendar, instant_ms, None) if self._ever else None

    def _matches_day(self, day: date) -> bool:
        return day.day in self._days and day.isoweekday() % 7 in self._weekdays


class cron(_Value):  # noqa: N801 - the name of the notation
    """The times that a cron expression matches in a time zone: ``cron("*/5 9-17 * * mon-fri", tz="Europe/Berlin")``.

    An expression has five fields (minute, hour, day of the month, month, day of the week), or six with the second
    first. The syntax is that of Debian's cron: names of months and days, ``L`` for the last day of a month, ``5#2`` for
    the second Friday. If both days are given and neither begins with ``*``, one of them must match. `tz` is the IANA
    name of a time zone.

    An expression with five fields whose minute and hour do not begin with ``*`` names a time of day. When clocks go
    forward, a skipped time of day has its tick at the first minute after the gap. When they go back, a repeated time of
    day has its tick at its first occurrence. All other expressions follow the clock on the wall: skipped times have no
    tick, and repeated times have two.

    Raises:
        TypeError: `expression` or `tz` is not a str.
        ValueError: `expression` is not a cron expression, or this machine does not know the time zone.
    """

    def __init__(self, expression: str, tz: str = "UTC") -> None:
        from cronsim import CronSim, CronSimError  # an application without cron expressions does not pay for it

        if not isinstance(expression, str):
            raise TypeError(f"a cron expression must be a str, not {expression!r}")
        self.arguments = {"expression": expression, "tz": tz}
        self.tz = tz
        self._zone = _zone(tz)
        try:
            fields = CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise ValueError(
                f"{expression!r} is not a cron expression ({str(error).lower()}): write minute, hour, day of the "
                "month, month and day of the week, optionally with seconds before them"
            ) from None
        self._calendar = _Calendar(fields.months, fields.match_day, fields.hours, fields.minutes, fields.seconds)
        minute, hour, *others = expression.split()
        self._is_time_of_day = len(others) == 3 and not minute.startswith("*") and not hour.startswith("*")

    def __repr__(self) -> str:
        return f"cron({self.arguments['expression']!r}, tz={self.arguments['tz']!r})"

    def next_after(self, instant_ms: int) -> int | None:
        if not self._is_time_of_day:
            return _first_match(self._calendar, instant_ms, self._zone)
        from cronsim import CronSim

        for tick in CronSim(self.arguments["expression"], _local(instant_ms // 1000, self._zone)):
            tick_ms = int(tick.timestamp()) * 1000
            # CronSim gives the first occurrence of a repeated time, which may be past.
            if tick_ms > instant_ms:
                return tick_ms
        return None


_KINDS: dict[str, type[_Value]] = {"every": every, "crontab": crontab, "cron": cron}


def as_data(when: When) -> list[Any]:
    """Convert `when` to plain data for ``from_data``.

    Raises:
        TypeError: it is not an ``every``, ``crontab`` or ``cron``.
    """
    if not isinstance(when, _Value):
        raise TypeError(f"accepted are every(...), crontab(...) and cron(...), not {when!r}")
    return [type(when).__name__, when.arguments]


def from_data(data: Sequence[Any]) -> When:
    """Convert the plain data of ``as_data`` back.

    Raises:
        ValueError: a later version of aqueue wrote it, or this machine does not know the time zone.
    """
    kind, arguments = data
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is not known here: accepted are {', '.join(_KINDS)}")
    when: When = _KINDS[kind](**arguments)  # type: ignore[assignment]  # each of them is one
    return when


def newest_tick(when: When, after_ms: int, until_ms: int) -> int | None:
    """The last tick after `after_ms` and not after `until_ms`, found by bisection instead of visiting every tick."""
    newest = when.next_after(after_ms)
    if newest is None or newest > until_ms:
        return None
    while newest < until_ms:
        middle_ms = (newest + until_ms) // 2
        tick = when.next_after(middle_ms)
        if tick is not None and tick <= until_ms:
            newest = tick
        else:
            until_ms = middle_ms
    return newest


# -- the fields of crontab


class _Field(NamedTuple):
    """The values of a field. Ranges wrap around after `last`; users may write numbers up to `largest`."""

    name: str
    first: int
    last: int
    largest: int


_FIELDS = (
    _Field("minute", 0, 59, 59),
    _Field("hour", 0, 23, 23),
    _Field("day", 1, 31, 31),
    _Field("month", 1, 12, 12),
    _Field("day_of_week", 0, 6, 7),
)
_ANY = re.compile(r"\*(?:/([0-9]+))?")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+)(?:/([0-9]+))?)?")
_FORMS = "*, */n, m, m-n, m-n/s, or several of these separated by commas"
_LONGEST_MONTHS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _parsed(field: _Field, value: str | int, strict: bool) -> frozenset[int]:
    """The values that `value` names."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise TypeError(f"{field.name} must be a str or an int, not {value!r}")
    found: set[int] = set()
    for piece in str(value).split(","):
        values = _values(field, piece)
        if values is not None:
            found.update(values)
        elif strict:
            raise ValueError(f"{field.name}: {piece!r} is not understood: accepted are {_FORMS}")
    if not found:
        raise ValueError(f"{field.name}: {value!r} matches nothing: accepted are {_FORMS}")
    return frozenset(found)


def _values(field: _Field, piece: str) -> Sequence[int] | None:
    """The values that one piece names, or None if it has an unknown form."""
    if any_value := _ANY.fullmatch(piece):
        if any_value[1] and field.largest > field.last:
            raise ValueError(
                f"{field.name}: {piece!r} is not understood: steps do not divide a week evenly, name the days"
            )
        return range(field.first, field.last + 1)[:: _step(field, piece, any_value[1])]
    found = _RANGE.fullmatch(piece)
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    if not (field.first <= first <= field.largest and field.first <= last <= field.largest):
        raise ValueError(f"{field.name}: {piece!r} is not between {field.first} and {field.largest}")
    if first <= last:
        values = [*range(first, last + 1)]
    else:
        values = [*range(first, field.last + 1), *range(field.first, last + 1)]
    # Seven is another name of the first day of the week.
    return [field.first if value > field.last else value for value in values[:: _step(field, piece, found[3])]]


def _step(field: _Field, piece: str, step: str | None) -> int:
    if step is not None and int(step) == 0:
        raise ValueError(f"{field.name}: {piece!r} has a step of 0")
    return int(step or 1)


# -- local time


class _Calendar:
    """Which local times match."""

    def __init__(
        self,
        months: Iterable[int],
        matches_day: Callable[[date], bool],
        hours: Iterable[int],
        minutes: Iterable[int],
        seconds: Iterable[int] = (0,),
    ) -> None:
        self.months = frozenset(months)
        self.matches_day = matches_day
        self.hours = sorted(hours)
        self.minutes = sorted(minutes)
        self.seconds = sorted(seconds)

    def first_day(self, day: date) -> date | None:
        """The first matching date, `day` or later; None if there is none."""
        last_year = day.year + _LONGEST_SEARCH_YEARS
        while day.year <= last_year:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            elif self.matches_day(day):
                return day
            else:
                day += timedelta(days=1)
        return None

    def first_time(self, now: datetime) -> int:
        """The first matching time of day, `now` or later, in seconds since midnight; 86,400 if there is none today."""
        times = (
            hour * 3600 + minute * 60 + second
            for hour in self.hours
            if hour >= now.hour
            for minute in self.minutes
            if (hour, minute) >= (now.hour, now.minute)
            for second in self.seconds
            if (hour, minute, second) >= (now.hour, now.minute, now.second)
        )
        return next(times, _DAY_SECONDS)


def _first_match(calendar: _Calendar, instant_ms: int, zone: tzinfo | None) -> int | None:
    """The first second after `instant_ms` whose local time matches."""
    second = instant_ms // 1000 + 1
    while True:
        local = _local(second, zone)
        day = calendar.first_day(local.date())
        if day is None:
            return None
        if day > local.date():
            second = max(_beginning(day, zone), second + 60 - local.second)
            continue
        wait = calendar.first_time(local) - (local.hour * 3600 + local.minute * 60 + local.second)
        if wait == 0:
            return second * 1000
        second = _leap(second, local, wait, zone)


def _leap(second: int, local: datetime, wait: int, zone: tzinfo | None) -> int:
    """The second `wait` seconds later, or an earlier one if clocks change in between, so that no match is skipped."""
    for leap in (wait, 3600 - local.minute * 60 - local.second):
        if leap <= wait and (_local(second + leap, zone) - local).total_seconds() == leap:
            return second + leap
    return second + 60 - local.second


def _local(second: int, zone: tzinfo | None) -> datetime:
    """The local time in `zone`, or in this machine's zone if it is None."""
    return datetime.fromtimestamp(second, zone)


def _beginning(day: date, zone: tzinfo | None) -> int:
    """The second at which `day` begins or, if its midnight is skipped, a second shortly before that."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(min(midnight.timestamp(), midnight.replace(fold=1).timestamp()))


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # takes some milliseconds, so only when a zone is named

    if not isinstance(name, str):
        raise TypeError(f"tz must be the name of a time zone, not {name!r}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(
            f"this machine does not know the time zone {name!r}: accepted are IANA names like 'Europe/Berlin' (the "
            "package tzdata provides them on a machine that has none)"
        ) from None
