"""``crontab`` against the function whose name and rules it has, asked the same questions."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

import huey
import pytest

from aqueue import crontab

FIELDS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "day_of_week": (0, 7)}
NONSENSE = ["", "x", "*/0", "99", "-1", "1-", "5-70", "1/2", "8", "1-5/0", "*/", "* ", "0", "60", "7-8", " 5", "1--2"]


def random_piece(random: Random, low: int, high: int) -> str:
    first, last = random.randint(low, high), random.randint(low, high)
    form = random.randrange(6)
    if form == 0:
        return f"*/{random.randint(1, high + 5)}" if random.random() < 0.7 else "*"
    if form == 1:
        return str(first)
    if form in (2, 3):
        return f"{first}-{last}"
    return f"{first}-{last}/{random.randint(1, 9)}" if random.random() < 0.8 else random.choice(NONSENSE)


def random_fields(random: Random) -> dict[str, str]:
    return {
        name: ",".join(random_piece(random, low, high) for _ in range(random.choice((1, 1, 2, 3))))
        for name, (low, high) in FIELDS.items()
        if random.random() < 0.4
    }


def answer(function: Any, fields: dict[str, Any], strict: bool, moment: datetime) -> bool | str:
    try:
        return bool(function(**fields, strict=strict)(moment))
    except ValueError as error:
        return "no such date" if "there is no such date" in str(error) else "refused"


# Four of them, which together ask 100,000 times.
@pytest.mark.parametrize("seed", range(4))
def test_crontab_agrees_with_hueys(seed: int) -> None:
    random, answers = Random(seed), list[bool | str]()
    for _ in range(25_000):
        fields, strict = random_fields(random), random.random() < 0.5
        moment = datetime(2024, 1, 1) + timedelta(minutes=random.randrange(5 * 366 * 24 * 60))
        ours, theirs = (answer(function, fields, strict, moment) for function in (crontab, huey.crontab))
        answers.append(ours)
        # Huey has no objection to 30 February, and never matches it.
        assert theirs is False if ours == "no such date" else ours == theirs, (fields, strict, moment)
    assert min(answers.count(answer) for answer in (True, False, "refused")) > 1_000


def test_the_shorthands_agree_with_hueys() -> None:
    for hour in range(24):
        for minute in (0, 1, 30):
            moment = datetime(2026, 7, 24, hour, minute)
            for name, fields in (
                ("hourly", {}),
                ("daily", {}),
                ("daily", {"hour": "9-17"}),
                ("hourly", {"minute": 30}),
            ):
                ours, theirs = getattr(crontab, name)(**fields), getattr(huey.crontab, name)(**fields)
                assert ours(moment) is theirs(moment)


def test_hueys_own_crontab_can_say_when() -> None:
    """It is a function that says yes or no to a datetime, so an application may go on using it."""
    from aqueue import MemoryHuey

    application = MemoryHuey("shop")

    @application.periodic_task(huey.crontab(minute="*/5"), name="sweep")
    async def sweep() -> None: ...

    assert application._parts.registry.schedules["sweep"].asked is not None
