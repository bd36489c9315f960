"""When something is due again: Huey's crontab, cron expressions in time zones, and plain spans.

``AQUEUE_CASES`` says how many random cases are tried, 150 without it.
"""

from __future__ import annotations

import math
import os
import re
import time
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from aqueue.tasks.cron import as_data, cron, crontab, every, from_data, newest_tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aqueue.tasks.cron import When

CASES = int(os.environ.get("AQUEUE_CASES", "150"))
BEGIN, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone of this machine."""

    def use(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def ticks(when: When, begin: datetime, end: datetime) -> list[datetime]:
    """The ticks from `begin` on and before `end`, in the time zone of `begin`."""
    found: list[datetime] = []
    tick = when.next_after(ms(begin) - 1)
    while tick is not None and tick < ms(end):
        found.append(datetime.fromtimestamp(tick / 1000, begin.tzinfo))
        tick = when.next_after(tick)
    return found


def clock_times(when: When, begin: datetime, end: datetime) -> list[str]:
    return [f"{tick:%H:%M%z}" for tick in ticks(when, begin, end)]


# -- every


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        (every(seconds=1), 1),
        (every(seconds=1.5), 1.5),
        (every(minutes=5), 300),
        (every(hours=1, minutes=30, seconds=30), 5430),
        (every(timedelta(days=1)), 86400),
        (every(timedelta(minutes=1), seconds=30), 90),
    ],
    ids=repr,
)
def test_a_span_has_its_ticks_at_its_multiples(when: every, seconds: float) -> None:
    first = when.next_after(ms(BEGIN))
    assert (first / 1000) % seconds == 0
    assert 0 < first - ms(BEGIN) <= seconds * 1000
    assert when.next_after(first) - first == seconds * 1000
    assert when.next_after(first - 1) == first


@pytest.mark.parametrize(
    "spans",
    [
        {},
        {"seconds": 0.999},
        {"seconds": -1},
        {"hours": 1, "minutes": -60},
        {"hours": 9000},
        {"seconds": math.nan},
        {"hours": math.inf},
        {"minutes": 10**400},
        {"span": timedelta(0)},
        {"span": timedelta.max},
    ],
    ids=lambda spans: repr(spans)[:40],
)
def test_a_span_is_from_a_second_to_a_year(spans: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^every\(\) takes a span from a second to a year, not "):
        every(**spans)


def test_a_span_is_made_of_numbers_or_a_timedelta() -> None:
    with pytest.raises(TypeError, match=r"^minutes must be a number, not '5'"):
        every(minutes="5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^seconds must be a number, not True"):
        every(seconds=True)
    with pytest.raises(TypeError, match=r"^every\(\) takes a timedelta, or seconds=.*, not 5"):
        every(5)  # type: ignore[arg-type]


# -- crontab: Huey's rules, told once more


class Bounds(NamedTuple):
    """The values that a field has, and the largest that may be written."""

    low: int
    high: int
    written: int


FIELDS = {
    "minute": Bounds(0, 59, 59),
    "hour": Bounds(0, 23, 23),
    "day": Bounds(1, 31, 31),
    "month": Bounds(1, 12, 12),
    "day_of_week": Bounds(0, 6, 7),
}


def names(piece: str, bounds: Bounds, value: int) -> bool:
    """Whether one piece of a field names `value`, by walking from the first value that it names to its last."""
    low, high, _ = bounds
    if piece == "*":
        return True
    if piece.startswith("*/"):
        return (value - low) % int(piece[2:]) == 0
    range_, _, step = piece.partition("/")
    first, _, last = range_.partition("-")
    walked, steps, goal = int(first), 0, int(last or first)
    while True:
        if steps % int(step or 1) == 0 and value == (walked if walked <= high else low):
            return True
        if walked == goal:
            return False
        # Sunday may be the last day of the week where a range ends at 7, else a week ends with Saturday.
        walked = walked + 1 if walked < high or goal > high >= walked else low
        steps += 1


def matches(fields: dict[str, Any], moment: datetime) -> bool:
    """Huey's documented rule: every field names its part of the moment."""
    parts = (moment.minute, moment.hour, moment.day, moment.month, (moment.weekday() + 1) % 7)
    return all(
        any(names(piece, FIELDS[name], part) for piece in str(fields.get(name, "*")).split(","))
        for name, part in zip(FIELDS, parts, strict=True)
    )


def random_fields(random: Random) -> dict[str, Any]:
    def piece(name: str) -> str:
        low, high, written = FIELDS[name]
        first, last = random.randint(low, written), random.randint(low, written)
        forms = ["*", f"*/{random.randint(1, high + 5)}", f"{first}", f"{first}-{last}"]
        forms.append(f"{first}-{last}/{random.randint(1, 9)}")
        return random.choice(forms[2:] if name == "day_of_week" else forms)

    chosen = random.sample(list(FIELDS), random.randint(0, 5))
    return {name: ",".join(piece(name) for _ in range(random.choice((1, 1, 1, 2, 3)))) for name in chosen}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_crontab_is_hueys_whatever_is_asked(local: Callable[[str], None], zone: str) -> None:
    """Each datetime gets the answer of the rules, and the next tick is the first minute that they let pass."""
    local(zone)
    for seed in range(CASES):
        random = Random(seed)
        fields = random_fields(random)
        when = crontab(**fields, strict=False)
        for _ in range(5):
            moment = datetime(2024, 1, 1) + timedelta(minutes=random.randrange(5 * 366 * 24 * 60))
            assert when(moment) is matches(fields, moment), (seed, fields, moment)
        instant_ms = random.randrange(ms(BEGIN), ms(END))
        tick = when.next_after(instant_ms)
        horizon_ms = instant_ms + 24 * 3600 * 1000
        minutes = range(instant_ms // 60_000 * 60_000 + 60_000, min(tick or horizon_ms, horizon_ms), 60_000)
        assert not any(matches(fields, datetime.fromtimestamp(minute / 1000)) for minute in minutes), (seed, fields)
        if tick is not None:
            assert tick > instant_ms
            assert tick % 60_000 == 0
            assert matches(fields, datetime.fromtimestamp(tick / 1000)), (seed, fields, tick)


@pytest.mark.parametrize(
    ("fields", "minutes"),
    [
        ({"minute": "*/16"}, [0, 16, 32, 48]),
        ({"minute": "50-10/5"}, [0, 5, 10, 50, 55]),
        ({"minute": 7}, [7]),
        ({"minute": "7,9,7"}, [7, 9]),
    ],
    ids=repr,
)
def test_a_field_names_its_values(fields: dict[str, Any], minutes: list[int]) -> None:
    assert [minute for minute in range(60) if crontab(**fields)(datetime(2024, 1, 1, 0, minute))] == minutes


def test_steps_count_from_the_first_value_of_a_field() -> None:
    assert [day for day in range(1, 32) if crontab(day="*/10")(datetime(2024, 1, day))] == [1, 11, 21, 31]
    assert [month for month in range(1, 13) if crontab(month="*/6")(datetime(2024, month, 1))] == [1, 7]


@pytest.mark.parametrize(
    ("days", "expected"),
    [("0", "S"), ("7", "S"), ("5-1", "FSSM"), ("7-2", "SMT"), ("6-7", "SS"), ("1-5", "MTWTF"), ("0-7/2", "STTS")],
)
def test_a_week_begins_with_sunday_and_wraps_around(days: str, expected: str) -> None:
    week = [datetime(2024, 9, 1) + timedelta(days=number) for number in range(7)]  # Sunday the 1st
    assert sorted(f"{day:%a}"[0] for day in week if crontab(day_of_week=days)(day)) == sorted(expected)


def test_both_days_must_match() -> None:
    friday_the_13th = crontab.daily(day=13, day_of_week=5)
    assert [f"{tick:%Y-%m-%d}" for tick in ticks(friday_the_13th, datetime(2024, 1, 1), datetime(2026, 1, 1))] == [
        "2024-09-13",
        "2024-12-13",
        "2025-06-13",
    ]


def test_there_are_shorthands() -> None:
    midnight = datetime(2024, 1, 1)
    assert crontab.hourly() == crontab(minute=0)
    assert crontab.daily() == crontab(minute=0, hour=0)
    assert crontab.daily(hour="3", minute=30) == crontab(30, "3")
    assert crontab.daily()(midnight)
    assert not crontab.hourly()(midnight + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"minute": "foo"}, "minute: 'foo' is not understood"),
        ({"minute": "5,foo"}, "minute: 'foo' is not understood"),
        ({"hour": ""}, "hour: '' is not understood"),
        ({"hour": " 5"}, "hour: ' 5' is not understood"),
        ({"hour": "5/2"}, "hour: '5/2' is not understood"),
        ({"month": "jan"}, "month: 'jan' is not understood"),
        ({"day": "-1"}, "day: '-1' is not understood"),
        ({"minute": "60"}, "minute: '60' is not between 0 and 59"),
        ({"day": "0"}, "day: '0' is not between 1 and 31"),
        ({"day": "1-32"}, "day: '1-32' is not between 1 and 31"),
        ({"day_of_week": "8"}, "day_of_week: '8' is not between 0 and 7"),
        ({"minute": "*/0"}, "minute: '*/0' has a step of 0"),
        ({"minute": "1-5/0"}, "minute: '1-5/0' has a step of 0"),
        ({"day_of_week": "*/2"}, "day_of_week: '*/2' is not understood"),
        ({"day": 30, "month": 2}, "crontab(day=30, month=2): there is no such date"),
    ],
    ids=repr,
)
def test_what_is_no_crontab_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(named)}"):
        crontab(**fields)


def test_a_field_is_a_str_or_an_int() -> None:
    for value in (None, 5.0, True, ["1"]):
        with pytest.raises(TypeError, match=r"^minute must be a str or an int, not "):
            crontab(minute=value)  # type: ignore[arg-type]


def test_strictness_can_be_put_off_as_in_huey() -> None:
    assert [minute for minute in range(60) if crontab("foo,5", strict=False)(datetime(2024, 1, 1, 0, minute))] == [5]
    with pytest.raises(ValueError, match="'foo' matches nothing"):
        crontab("foo", strict=False)
    with pytest.raises(ValueError, match="'60' is not between"):
        crontab("60", strict=False)
    assert crontab(day=30, month=2, strict=False).next_after(ms(BEGIN)) is None


def test_a_rare_date_is_found() -> None:
    """29 February on a Monday, across the year 2100, which has no 29 February."""
    tick = crontab.daily(day=29, month=2, day_of_week=1).next_after(ms(datetime(2072, 3, 1)))
    assert tick is not None
    assert datetime.fromtimestamp(tick / 1000) == datetime(2112, 2, 29)


def test_crontab_follows_the_clock_on_the_wall(local: Callable[[str], None]) -> None:
    local("Europe/Berlin")
    half_past_two, hourly = crontab(30, 2), crontab.hourly()
    zone = ZoneInfo("Europe/Berlin")
    spring, autumn = (datetime(2026, 3, 29, tzinfo=zone), datetime(2026, 10, 25, tzinfo=zone))
    day = timedelta(days=1)
    assert clock_times(half_past_two, spring, spring + day) == []
    assert clock_times(half_past_two, autumn, autumn + day) == ["02:30+0200", "02:30+0100"]
    assert clock_times(hourly, spring, spring + day)[:3] == ["00:00+0100", "01:00+0100", "03:00+0200"]
    assert clock_times(hourly, autumn, autumn + day)[1:4] == ["01:00+0200", "02:00+0200", "02:00+0100"]


# -- cron

ZONES = ["Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata"]
# The clocks of Lord Howe move by half an hour, those of Havana and Cairo at midnight.
STRANGE_ZONES = ["Australia/Lord_Howe", "America/Havana", "Africa/Cairo", "America/Nuuk"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "expression",
    [
        "30 2 * * *",
        "15,45 1-3 * * *",
        "*/20 1-3 * * *",
        "10 */3 * * *",
        "0 0 1 * *",
        "0 0 l * *",
        "5 4 * * sun",
        "0 22 * * 1-5",
        "0 12 13 * fri",
        "30 2 * mar,oct 0#5",
        "0 0 29 2 *",
        "30 30 2 * * *",
    ],
)
def test_cron_agrees_with_cronsim_over_five_years(zone: str, expression: str) -> None:
    begin, end = BEGIN.astimezone(ZoneInfo(zone)), END.astimezone(ZoneInfo(zone))
    expected = []
    for tick in CronSim(expression, begin - timedelta(seconds=1)):
        if tick >= end:
            break
        if not expected or tick.timestamp() != expected[-1].timestamp():
            expected.append(tick)
    assert ticks(cron(expression, zone), begin, end) == expected


def wall_clock(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[tuple[int, datetime, datetime | None]]:
    """Each minute: its second, what the clock shows, and what it showed a minute before."""
    before = None
    for second in range(int(begin.timestamp()), int(end.timestamp()), 60):
        shown = datetime.fromtimestamp(second, zone)
        yield second, shown, before
        before = shown


def debian(expression: str, zone: ZoneInfo, begin: datetime, end: datetime) -> list[int]:
    """The ticks by the rules of the docstring, minute by minute."""
    minute, hour, day, month, _ = expression.split()
    fields = {"minute": minute, "hour": hour, "day": day, "month": month}
    is_time_of_day = not minute.startswith("*") and not hour.startswith("*")
    found = []
    for second, shown, before in wall_clock(zone, begin, end):
        is_tick = matches(fields, shown) and not (is_time_of_day and shown.fold)
        if is_time_of_day and before is not None:
            left_out = before.replace(tzinfo=None, fold=0) + timedelta(minutes=1)
            while left_out < shown.replace(tzinfo=None, fold=0):
                is_tick = is_tick or matches(fields, left_out)
                left_out += timedelta(minutes=1)
        if is_tick:
            found.append(second)
    return found


@pytest.mark.parametrize("name", [*ZONES, *STRANGE_ZONES])
def test_cron_keeps_its_rules_where_clocks_are_changed(name: str) -> None:
    zone = ZoneInfo(name)
    expressions = [
        *("30 2 * * *", "0,30 0-3 * * *", "59 23 * * *", "0 0 * * *", "30 * * * *", "*/10 2,3 * * *", "* 0 * * *"),
        *("0 */2 */2 * *", "* 0-2 */2 * *", "15 0 29 3 *"),
    ]
    for change in [change for year in range(BEGIN.year, END.year) for change in changes(zone, year)]:
        begin, end = change - timedelta(days=1), change + timedelta(days=1)
        for expression in expressions:
            found = [int(tick.timestamp()) for tick in ticks(cron(expression, name), begin, end)]
            assert found == debian(expression, zone, begin, end), (expression, change)


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The hours of a year in which the clocks of `zone` are changed."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    return [
        hour
        for hour in hours
        if hour.astimezone(zone).utcoffset() != (hour + timedelta(hours=1)).astimezone(zone).utcoffset()
    ]


@pytest.mark.parametrize(
    ("expression", "spring", "autumn"),
    [
        ("30 2 * * *", ["03:00+0200"], ["02:30+0200"]),
        ("0,30 2 * * *", ["03:00+0200"], ["02:00+0200", "02:30+0200"]),
        ("30 */2 * * *", ["00:30+0100"], ["00:30+0200", "02:30+0200", "02:30+0100"]),
        ("0 30 2 * * *", [], ["02:30+0200", "02:30+0100"]),
    ],
)
def test_clocks_that_go_forward_and_back(expression: str, spring: list[str], autumn: list[str]) -> None:
    zone = ZoneInfo("Europe/Berlin")
    for day, expected in ((date(2026, 3, 29), spring), (date(2026, 10, 25), autumn)):
        begin = datetime(day.year, day.month, day.day, tzinfo=zone)
        assert clock_times(cron(expression, "Europe/Berlin"), begin, begin + timedelta(hours=3, minutes=1)) == expected


def test_a_tick_is_the_same_from_wherever_it_is_looked_for() -> None:
    """Also from between the two hours of the same name."""
    when = cron("0,45 2 * * *", "Europe/Berlin")
    tick = when.next_after(ms(datetime(2026, 10, 25, 0, 50, tzinfo=UTC)))
    assert tick == ms(datetime(2026, 10, 26, 1, 0, tzinfo=UTC))
    for minutes in range(0, 24 * 60, 5):
        assert when.next_after(ms(datetime(2026, 10, 25, 0, 50, tzinfo=UTC)) + minutes * 60_000) == tick


def test_six_fields_begin_with_seconds() -> None:
    begin = datetime(2024, 1, 1, 12, tzinfo=UTC)
    found = ticks(cron("*/20 59 * * * *"), begin, begin + timedelta(hours=1))
    assert [f"{tick:%H:%M:%S}" for tick in found] == ["12:59:00", "12:59:20", "12:59:40"]


def test_a_cron_expression_is_in_utc_unless_it_says_otherwise() -> None:
    assert clock_times(cron("0 6 * * *"), BEGIN, BEGIN + timedelta(days=1)) == ["06:00+0000"]
    assert clock_times(cron("0 6 * * *", tz="Asia/Kolkata"), BEGIN, BEGIN + timedelta(days=1)) == ["00:30+0000"]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("* * * *", "wrong number of fields"),
        ("", "wrong number of fields"),
        ("* * * * * * *", "wrong number of fields"),
        ("61 * * * *", "bad minute"),
        ("*/0 * * * *", "bad minute"),
        ("a * * * *", "bad minute"),
        ("0 5-1 * * *", "bad hour"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 * * mo", "bad day-of-week"),
        ("@every 5m", "wrong number of fields"),
    ],
)
def test_what_is_no_cron_expression_is_named(expression: str, why: str) -> None:
    named = re.escape(f"{expression!r} is not a cron expression ({why}): write minute, hour")
    with pytest.raises(ValueError, match=f"^{named}"):
        cron(expression)


@pytest.mark.parametrize("zone", ["", "Berlin", "Europe", "../etc/passwd", "\0", "ä"])
def test_an_unknown_time_zone_is_named(zone: str) -> None:
    with pytest.raises(ValueError, match="this machine does not know the time zone "):
        cron("* * * * *", tz=zone)


def test_a_cron_expression_and_its_zone_are_text() -> None:
    with pytest.raises(TypeError, match="a cron expression must be a str, not None"):
        cron(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^tz must be the name of a time zone, not datetime\.timezone\.utc"):
        cron("* * * * *", tz=UTC)  # type: ignore[arg-type]


# -- what they have in common

VALUES = [
    every(minutes=1, seconds=30),
    crontab(minute="*/5", hour=3),
    crontab("x,5", strict=False),
    cron("0 3 * * mon-fri", tz="Europe/Berlin"),
]


@pytest.mark.parametrize("when", VALUES, ids=repr)
def test_a_value_reads_as_it_is_written(when: When) -> None:
    assert eval(repr(when), {"every": every, "crontab": crontab, "cron": cron}) == when
    assert len({when, eval(repr(when))}) == 1
    assert [other for other in VALUES if other == when] == [when]
    assert when != repr(when)


@pytest.mark.parametrize("when", VALUES, ids=repr)
def test_a_value_can_be_kept_as_data(when: When) -> None:
    assert from_data(as_data(when)) == when


def test_what_cannot_be_kept_as_data_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^accepted are every\(...\), crontab\(...\) and cron\(...\), not <built-in"):
        as_data(len)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'moon' is not known here: accepted are every, crontab, cron"):
        from_data(["moon", {}])


@pytest.mark.parametrize(
    "when", [every(seconds=1), every(hours=7), crontab("*/7", "3-5"), cron("*/30 * 3 1-6 * mon")], ids=repr
)
def test_the_newest_tick_is_the_last_of_all(when: When) -> None:
    random = Random(7)
    for span in (0, 1, 1000, 60_000, 3_600_000, 86_400_000):
        after_ms = random.randrange(ms(BEGIN), ms(END))
        last, tick = None, when.next_after(after_ms)
        while tick is not None and tick <= after_ms + span:
            last, tick = tick, when.next_after(tick)
        assert newest_tick(when, after_ms, after_ms + span) == last


def test_many_years_of_ticks_cost_no_more_than_a_few() -> None:
    asked = []

    class Noted:
        def next_after(self, instant_ms: int) -> int:
            asked.append(instant_ms)
            return every(seconds=1).next_after(instant_ms)

    assert newest_tick(Noted(), ms(BEGIN), ms(END)) == ms(END)
    assert len(asked) < 60
