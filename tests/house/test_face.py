"""The face: what a user meets in completion, and the rules that keep its inside from growing back onto it."""

from __future__ import annotations

import inspect
import re

import pytest

import aqueue
from aqueue import MemoryHuey, chord, group

from .package import MODULES, relative

MOST_NAMES = 55

huey = MemoryHuey("shop")


@huey.task
async def add(a: int, b: int) -> int:
    return a + b


def each(value: int) -> int:
    return value


follow = huey.task(each)

# The names on each kind of object that a user holds.
HELD: list[tuple[object, str]] = [
    (huey.queues, "depths pause paused purge resume running waiting workers"),
    (huey.dead, "drop get list retry"),
    (huey.schedules, "add list pause remove resume run"),
    (huey.sync, "close enqueue enqueue_many result run"),
    (
        huey.result("id"),
        "cancel created get get_raw_result id is_ready is_revoked progress reschedule reset restore revoke status",
    ),
    (huey.sync.result("id"), "cancel created get id is_ready is_revoked reschedule restore revoke status"),
    (
        add,
        (
            "after call_local declared enqueue enqueue_sync func is_coroutine is_revoked map name options restore "
            "revoke s schedule"
        ),
    ),
    (add.options(), "after enqueue s"),
    (add.after(add.s(1, 2)), "enqueue s"),
    (add.s(1, 2), "args delay_ms enqueue error eta_ms id kwargs options task then"),
    (add.s(1, 2).error(follow), "after call enqueue error handler then"),
    (add.s(1, 2).then(follow), "enqueue error steps then"),
    (group([add.s(1, 2)]), "enqueue error members then"),
    (chord([add.s(1, 2)], follow), "callback enqueue error group on_failure then"),
]


def kind_of(held: object) -> str:
    return type(held).__name__ if not isinstance(held, str) else ""


def names_on(held: object) -> list[str]:
    return [name for name in dir(held) if not name.startswith("_")]


def test_completion_shows_no_more_than_one_can_look_through() -> None:
    assert len(names_on(huey)) <= MOST_NAMES


@pytest.mark.parametrize("held", [huey, *(held for held, _ in HELD)], ids=kind_of)
def test_every_name_in_completion_says_what_it_is_for(held: object) -> None:
    documented = {
        name: inspect.getdoc(found)
        for name in names_on(held)
        # Plain attributes are explained by their class.
        if callable(found := inspect.getattr_static(type(held), name, None)) or isinstance(found, property)
    }
    assert [name for name, text in documented.items() if not text] == []


@pytest.mark.parametrize(("held", "names"), HELD, ids=kind_of)
def test_what_a_user_holds_shows_nothing_of_its_inside(held: object, names: str) -> None:
    assert names_on(held) == names.split()


def test_the_face_has_no_bases() -> None:
    assert aqueue.Huey.__mro__ == (aqueue.Huey, object)


def test_no_protocol_describes_the_application() -> None:
    """What lies below the face is given parts."""
    protocol = re.compile(r"class \w*(Application|Line|Sender)\(.*Protocol")
    assert [relative(path) for path in MODULES if protocol.search(path.read_text("utf-8"))] == []
