"""``huey.schedules``: looking at schedules, and changing them at run time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    CancelExecution,
    DecodeError,
    EncodeError,
    Huey,
    JSONSerializer,
    MemoryHuey,
    SqliteHuey,
    State,
    cron,
    crontab,
    every,
)
from aqueue.app.schedules import ScheduleInfo
from aqueue.core import codec
from aqueue.tasks.schedule import Policy, Schedule, ScheduleState
from aqueue.testing.conformance.harness import pull

from ..facts import until

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue import Task, TaskView

HOUR = timedelta(hours=1)


@pytest.fixture
def greet(huey: Huey) -> Task[[str], None]:
    @huey.task(name="greet")
    async def greet(name: str) -> None: ...

    return greet


@pytest.fixture
def sweep(huey: Huey) -> Task[[], None]:
    @huey.periodic_task(every(hours=1), name="sweep")
    async def sweep() -> None: ...

    return sweep


async def only(huey: Huey) -> ScheduleInfo:
    """The one schedule that there is."""
    [info] = await huey.schedules.list()
    return info


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def later() -> None:
    """Wait until the clock shows another instant."""
    before = now_ms()
    await until(lambda: now_ms() > before)


def next_hour() -> datetime:
    return datetime.fromtimestamp(every(hours=1).next_after(now_ms()) / 1000, UTC)


# -- looking


async def test_a_declared_schedule_is_listed_before_any_worker_served_it(huey: Huey, sweep: Any) -> None:
    expected = next_hour()
    info = await only(huey)
    assert info == ScheduleInfo("sweep", "every(hours=1)", "UTC", "sweep", next=info.next)
    assert info.next in (expected, expected + HOUR)
    assert (await (await huey._parts.clients.open()).storage.schedules()) == {}


async def test_schedules_are_listed_by_name_whatever_their_kind(huey: Huey, greet: Any, sweep: Any) -> None:
    @huey.periodic_task(lambda moment: True, name="asked")
    async def asked() -> None: ...

    await huey.schedules.add("b", crontab(hour=3), greet.s("you"))
    await huey.schedules.add("c", cron("0 3 * * *", "Asia/Tokyo"), greet.s("you"))
    await huey.schedules.add("unknown", every(hours=1), greet.s("you"))
    storage = (await huey._parts.clients.open()).storage
    kept = (await storage.schedules())["unknown"]
    assert await storage.advance("unknown", kept, kept.replace(b'"greet"', b'"grate"'), [])
    assert await storage.advance("later", b"", b'{"moon": "full"}', [])
    listed = {info.name: info for info in await huey.schedules.list()}
    assert [(name, info.when, info.tz, info.task) for name, info in listed.items()] == [
        ("asked", "test_schedules_are_listed_by_name_whatever_their_kind.<locals>.<lambda>", "local", "asked"),
        ("b", "crontab(hour=3)", "local", "greet"),
        ("c", "cron('0 3 * * *', tz='Asia/Tokyo')", "Asia/Tokyo", "greet"),
        ("later", "not understood here", "", ""),
        ("sweep", "every(hours=1)", "UTC", "sweep"),
        ("unknown", "not known here", "", ""),
    ]
    assert [name for name, info in listed.items() if info.next is not None] == ["b", "c", "sweep"]


# -- pausing


async def test_a_paused_schedule_has_no_next_tick_until_it_is_resumed(huey: Huey, sweep: Any) -> None:
    for _ in range(2):
        await huey.schedules.pause("sweep")
        assert await only(huey) == ScheduleInfo("sweep", "every(hours=1)", "UTC", "sweep", paused=True)
    for _ in range(2):
        await huey.schedules.resume("sweep")
        info = await only(huey)
        assert not info.paused
        assert info.next is not None
        assert datetime.now(UTC) < info.next <= datetime.now(UTC) + HOUR


async def test_a_schedule_that_was_not_paused_is_resumed_without_effect(huey: Huey, sweep: Any) -> None:
    storage = (await huey._parts.clients.open()).storage
    await huey.schedules.pause("sweep")
    await huey.schedules.resume("sweep")
    kept = await storage.schedules()
    await later()
    await huey.schedules.resume("sweep")
    assert await storage.schedules() == kept


@pytest.mark.parametrize("change", ["pause", "resume", "run"])
async def test_a_schedule_that_there_is_not_is_named(huey: Huey, sweep: Any, change: str) -> None:
    with pytest.raises(ValueError, match=r"^there is no schedule 'sweet': huey\.schedules\.list\(\) shows which"):
        await getattr(huey.schedules, change)("sweet")
    assert await huey.schedules.remove("sweet") is False


# -- running


async def test_a_schedule_is_run_by_hand(huey: Huey, sweep: Any) -> None:
    before_ms = now_ms()
    await huey.schedules.pause("sweep")
    result = await huey.schedules.run("sweep")
    assert await result.status() is State.QUEUED
    info = await only(huey)
    assert info.paused
    assert info.last is not None
    assert before_ms <= info.last.timestamp() * 1000 <= now_ms()
    await huey.create_worker(burst=True).run()
    assert await result.get(timeout=5) is None


async def test_each_run_by_hand_is_one_of_its_own(huey: Huey, sweep: Any) -> None:
    results = await asyncio.gather(*(huey.schedules.run("sweep") for _ in range(10)))
    assert len({result.id for result in results}) == 10
    assert [depth.ready for depth in await huey.queues.depths()] == [10]


async def test_a_schedule_whose_task_is_not_known_cannot_be_run_here(huey: Huey, greet: Any) -> None:
    await huey.schedules.add("greeting", every(hours=1), greet.s("you"))
    storage = (await huey._parts.clients.open()).storage
    [kept] = (await storage.schedules()).values()
    await storage.advance("greeting", kept, kept.replace(b'"greet"', b'"grate"'), [])
    with pytest.raises(ValueError, match=r"^the task of the schedule 'greeting' is not known here$"):
        await huey.schedules.run("greeting")


async def test_a_periodic_task_is_a_task(huey: Huey, sweep: Any) -> None:
    assert await sweep() is None
    result = await sweep.enqueue()
    await huey.create_worker(burst=True).run()
    assert await result.get(timeout=5) is None


# -- adding and removing


async def test_what_was_added_is_kept_until_it_is_removed(huey: Huey, greet: Any) -> None:
    await huey.schedules.add("greeting", every(hours=1), greet.s("you"), overlap="queue", jitter=timedelta(seconds=5))
    assert (await only(huey)).when == "every(hours=1)"
    await huey.schedules.run("greeting")
    ran = await pull((await huey._parts.clients.open()).storage, 1)
    assert b'"you"' in ran[0].payload
    assert await huey.schedules.remove("greeting") is True
    assert await huey.schedules.list() == []
    assert await huey.schedules.remove("greeting") is False


async def test_adding_the_same_again_changes_nothing(huey: Huey, greet: Any) -> None:
    """An application does it whenever it starts: that is no reason to lose a tick, or to go on with what is paused."""

    async def add() -> None:
        await huey.schedules.add("greeting", crontab(hour=3), greet.s("you"))

    storage = (await huey._parts.clients.open()).storage
    await add()
    await huey.schedules.pause("greeting")
    kept = await storage.schedules()
    await later()
    await add()
    assert await storage.schedules() == kept


async def test_adding_something_else_replaces_it_from_now_on(huey: Huey, greet: Any) -> None:
    await huey.schedules.add("greeting", crontab(hour=3), greet.s("you"))
    await huey.schedules.run("greeting")
    before = await only(huey)
    await huey.schedules.add("greeting", every(hours=1), greet.s("you"))
    after = await only(huey)
    assert (after.when, after.last) == ("every(hours=1)", before.last)


async def test_whoever_changes_a_schedule_at_the_same_time_overwrites_nobody(huey: Huey, greet: Any) -> None:
    await huey.schedules.add("greeting", crontab(hour=3), greet.s("you"))
    schedules = huey.schedules
    await asyncio.gather(
        schedules.pause("greeting"),
        schedules.run("greeting"),
        schedules.add("greeting", every(hours=1), greet.s("me")),
        schedules.run("greeting"),
    )
    info = await only(huey)
    assert (info.when, info.paused) == ("every(hours=1)", True)
    assert info.last is not None
    assert [depth.ready for depth in await huey.queues.depths()] == [2]


async def test_what_the_code_declares_is_not_added_or_removed(huey: Huey, greet: Any, sweep: Any) -> None:
    with pytest.raises(ValueError, match=r"^'sweep' is a periodic task that the code declares: add it under another"):
        await huey.schedules.add("sweep", every(hours=1), greet.s("you"))
    with pytest.raises(ValueError, match=r"^'sweep' is a periodic task that the code declares: pause it$"):
        await huey.schedules.remove("sweep")


async def test_what_the_code_does_not_declare_any_more_can_be_removed(huey: Huey, sweep: Any) -> None:
    await huey.schedules.pause("sweep")
    del huey._parts.registry.schedules["sweep"]
    assert (await only(huey)).when == "not known here"
    assert await huey.schedules.remove("sweep") is True
    assert await huey.schedules.list() == []


async def test_what_cannot_be_a_schedule_is_refused_at_once(huey: Huey, greet: Any) -> None:
    add = huey.schedules.add
    with pytest.raises(ValueError, match=r"^schedule name must be 1 to 180 characters"):
        await add("a b", every(hours=1), greet.s("you"))
    with pytest.raises(TypeError, match=r"^accepted are every\(...\), crontab\(...\) and cron\(...\), not <function"):
        await add("greeting", lambda moment: True, greet.s("you"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^a schedule fires a call, made with task.s.*, not <Task greet>"):
        await add("greeting", every(hours=1), greet)
    with pytest.raises(ValueError, match=r"^misfire must be one of latest, all, skip, not 'never'$"):
        await add("greeting", every(hours=1), greet.s("you"), misfire="never")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^<Task stranger> is not a task of this application$"):
        await add("greeting", every(hours=1), MemoryHuey("other").task(name="stranger")(print).s("you"))
    with pytest.raises(EncodeError, match="object"):
        await add("greeting", every(hours=1), greet.s(object()))
    assert await huey.schedules.list() == []


# -- who sees it, and how


async def test_code_that_cannot_await_has_the_same_calls(tmp_path: Path) -> None:
    huey = SqliteHuey("shop", filename=tmp_path / "shop.db")

    @huey.periodic_task(every(hours=1), name="sweep")
    def sweep() -> None: ...

    def view() -> list[bool]:
        seen = []
        for change in (huey.schedules.pause, huey.schedules.resume):
            huey.sync.run(change("sweep"))
            [info] = huey.sync.run(huey.schedules.list())
            seen.append(info.paused)
        return seen

    try:
        assert await asyncio.to_thread(view) == [True, False]
    finally:
        await asyncio.to_thread(huey.sync.close)


async def test_a_run_by_hand_is_an_enqueue_to_hooks_and_signals(huey: Huey, sweep: Any) -> None:
    heard, allowed = [], False

    @huey.pre_enqueue()
    async def check(task: TaskView) -> None:
        if not allowed:
            raise CancelExecution("not now")

    @huey.signal()
    def hear(signal: str, task: TaskView) -> None:
        heard.append((signal, task.name))

    with pytest.raises(CancelExecution):
        await huey.schedules.run("sweep")
    assert (await only(huey)).last is None
    allowed = True
    await huey.schedules.run("sweep")
    assert heard == [("enqueued", "sweep")]


async def test_a_run_by_hand_has_run_in_immediate_mode(huey: Huey, sweep: Any) -> None:
    huey.immediate = True
    result = await huey.schedules.run("sweep")
    assert await result.status() is State.DONE
    await huey.close()


async def test_who_cannot_sign_can_neither_add_nor_change_a_schedule() -> None:
    """Else whoever can write to the store could have any task run, with any arguments."""
    async with MemoryHuey("shop", serializer=JSONSerializer(keys=["0123456789abcdef"])) as huey:
        greet = huey.task(name="greet")(print)
        await huey.schedules.add("mine", every(hours=1), greet.s("me"))
        storage = (await huey._parts.clients.open()).storage
        [kept] = (await storage.schedules()).values()
        forged = ScheduleState(1, added=Schedule("x", every(hours=1), greet.s("you"), Policy()).described())
        for name, state in {"forged": forged.encoded("forged", codec), "copied": kept}.items():
            assert await storage.advance(name, b"", state, [])
            with pytest.raises(DecodeError):
                await huey.schedules.run(name)
        listed = {info.name: info.when for info in await huey.schedules.list()}
        assert listed == {"mine": "every(hours=1)", "forged": "not understood here", "copied": "not understood here"}
        assert await huey.schedules.remove("forged")
