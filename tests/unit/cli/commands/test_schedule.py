"""``aqueue schedule``, on every storage that processes share."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..conftest import Here
    from ..shell import Shell

PERIODIC = """
import os

from aqueue import Huey, crontab, every

huey = Huey(os.environ.get("SHOP", "shop"))


@huey.periodic_task(crontab(minute="0", hour="4"))
async def sweep():
    return "swept"


@huey.periodic_task(every(hours=6), name="poll")
async def poll():
    return "polled"
"""


@pytest.fixture
def shop(store: Shell) -> Shell:
    """The store, with the module ``periodic`` beside it."""
    store.write("periodic.py", PERIODIC)
    return store


def said(shell: Shell, *words: str) -> str:
    """What a command that went well has written."""
    ran = shell.run(*words)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def test_schedules_are_listed(shop: Shell) -> None:
    head, sweep, poll = [line.split("  ") for line in said(shop, "schedule", "ls", "periodic").splitlines()]
    assert [cell.strip() for cell in head if cell] == ["SCHEDULE", "WHEN", "ZONE", "TASK", "LAST", "NEXT"]
    assert (poll[0], sweep[0]) == ("poll", "periodic.sweep")
    assert "crontab(minute='0', hour='4')" in sweep
    told = json.loads(said(shop, "schedule", "ls", "periodic", "--json"))["schedules"]
    assert [list(info) for info in told] == [["name", "when", "tz", "task", "paused", "last", "next"]] * 2
    assert datetime.fromisoformat(told[0]["next"]) > datetime.now().astimezone()


def test_a_schedule_is_paused_and_resumed(shop: Shell) -> None:
    assert said(shop, "schedule", "pause", "periodic", "poll") == "the schedule poll is paused\n"
    assert said(shop, "schedule", "ls", "periodic").splitlines()[2].endswith("paused")
    # Now that the store knows of it, no application is needed.
    name, url = shop.env.get("SHOP", "shop"), shop.env.get("AQUEUE_URL", "sqlite:///shop.db")
    assert said(shop, "schedule", "resume", "poll", "--url", url, "--name", name) == "the schedule poll is resumed\n"
    [_, poll] = json.loads(said(shop, "schedule", "ls", "periodic", "--json"))["schedules"]
    assert poll["paused"] is False


def test_a_schedule_is_run_now(shop: Shell) -> None:
    task_id = said(shop, "schedule", "run", "periodic", "periodic.sweep").strip()
    shop.run("worker", "periodic", "--burst")
    assert 'value  "swept"' in said(shop, "result", "periodic", task_id)
    [sweep, _] = json.loads(said(shop, "schedule", "ls", "periodic", "--json"))["schedules"]
    assert sweep["last"] is not None


def test_a_schedule_that_is_no_longer_declared_can_be_removed(shop: Shell) -> None:
    said(shop, "schedule", "pause", "periodic", "poll")
    shop.write("periodic.py", PERIODIC.replace("poll", "collect"))
    assert said(shop, "schedule", "rm", "periodic", "poll") == "the schedule poll is removed\n"
    ran = shop.run("schedule", "rm", "periodic", "poll")
    assert (ran.code, ran.err) == (1, "aqueue: there is no schedule 'poll'\n")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("pause", "periodic", "pol"), 1, "there is no schedule 'pol'"),
        (("pause", "periodic", "pol"), 1, "did you mean 'poll'?"),
        (("resume", "periodic", "nothing"), 1, "there is no schedule 'nothing'"),
        (("run", "periodic", "nothing"), 1, "there is no schedule 'nothing'"),
        (("rm", "periodic", "poll"), 1, "'poll' is a periodic task that the code declares: pause it"),
        (("pause",), 2, "expected a NAME, or APP and NAME, as in: aqueue schedule pause app:huey app.sweep"),
        (("paus",), 2, "no command 'paus'; did you mean 'pause'?"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    here: Here, shell: Shell, words: tuple[str, ...], code: int, complaint: str
) -> None:
    shell.write("periodic.py", PERIODIC)
    ran = here("schedule", *words)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.count("\n") == 1
    assert complaint in ran.err


def test_where_nothing_is_periodic_the_list_says_so(here: Here) -> None:
    assert here("schedule", "ls", "app").out == "no schedules\n"
