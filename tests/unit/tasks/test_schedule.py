"""Which ticks of a schedule are to be fired, what they fire, and what a store keeps of it."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import DecodeError, Huey, MemoryHuey, cron, crontab, every
from aqueue.core import codec
from aqueue.core.ids import check_task_id
from aqueue.tasks.schedule import ON_TIME_MS, Policy, Schedule, ScheduleState, decoded, restored

if TYPE_CHECKING:
    from aqueue.tasks.task import Call

NOW_MS = 1_000_000_000_000
SECOND_MS = 1_000
MINUTE_MS = 60_000


@pytest.fixture
def huey() -> Huey:
    return MemoryHuey("shop")


@pytest.fixture
def call(huey: Huey) -> Call[None]:
    @huey.task(name="sweep")
    async def sweep(*rooms: str, **how: Any) -> None: ...

    return sweep.s("hall", fast=True)


def every_ten_seconds(call: Call[None], **policy: Any) -> Schedule:
    return Schedule("cleaning", every(seconds=10), call, Policy(**policy))


def ages(schedule: Schedule, missed_since_s: float) -> list[float]:
    """How many seconds ago those ticks were that are fired now, after so many seconds in which nobody looked."""
    due = schedule.due(NOW_MS - round(missed_since_s * 1000), NOW_MS)
    return [(NOW_MS - tick) / 1000 for tick in due]


# -- misfire


def test_the_latest_of_the_missed_ticks_is_made_up_for(call: Call[None]) -> None:
    schedule = every_ten_seconds(call)
    assert ages(schedule, 0) == []
    assert ages(schedule, 1) == [0]
    assert ages(schedule, 100 * 24 * 3600) == [0]


def test_all_missed_ticks_are_made_up_for_a_number_of_them_at_a_time(call: Call[None]) -> None:
    schedule = every_ten_seconds(call, misfire="all", overlap="parallel")
    assert ages(schedule, 35) == [30, 20, 10, 0]
    many = ages(schedule, 24 * 3600)
    assert many == [24 * 3600 - 10 * number for number in range(1, len(many) + 1)]
    assert len(many) == 100
    one_by_one = every_ten_seconds(call, misfire="all", overlap="queue")
    assert ages(one_by_one, 35) == [30]


def test_no_missed_tick_is_made_up_for_where_they_are_skipped(call: Call[None]) -> None:
    daily = partial(Schedule, "cleaning", every(hours=24), call)
    tick_ms = every(hours=24).next_after(NOW_MS)
    for policy, late_ms, fired in (
        (Policy(misfire="skip"), 0, True),
        (Policy(misfire="skip"), ON_TIME_MS, True),
        (Policy(misfire="skip"), ON_TIME_MS + 1, False),
        (Policy(misfire="skip", window=3600), ON_TIME_MS + 1, False),
        (Policy(misfire="latest"), 23 * 60 * MINUTE_MS, True),
    ):
        due = daily(policy).due(NOW_MS, tick_ms + late_ms)
        assert due == ([tick_ms] if fired else []), (policy, late_ms)


@pytest.mark.parametrize("misfire", ["latest", "all"])
def test_a_window_says_how_old_a_tick_may_be(call: Call[None], misfire: Any) -> None:
    policy = Policy(misfire=misfire, window=timedelta(minutes=1))
    hourly = Schedule("cleaning", every(hours=1), call, policy)
    tick_ms = every(hours=1).next_after(NOW_MS)
    assert hourly.due(NOW_MS, tick_ms + MINUTE_MS) == [tick_ms]
    assert hourly.due(NOW_MS, tick_ms + MINUTE_MS + 1) == []
    assert ages(every_ten_seconds(call, misfire="all", window=25), 100) == [20, 10, 0]


def test_a_tick_that_is_on_time_is_fired_whatever_the_window(call: Call[None]) -> None:
    assert ages(every_ten_seconds(call, window=0), 1) == [0]
    assert every_ten_seconds(call, window=0).due(NOW_MS - 1, NOW_MS + 9_999) == [NOW_MS]


def test_a_function_is_asked_for_every_minute_that_was_missed_up_to_a_day(call: Call[None]) -> None:
    asked = Schedule("cleaning", lambda moment: True, call, Policy())
    assert ages(asked, 200) == [160, 100, 40]
    assert len(ages(asked, 10 * 24 * 3600)) == 24 * 60
    assert len(ages(Schedule("cleaning", lambda moment: True, call, Policy(window=600)), 24 * 3600)) == 10
    assert len(ages(Schedule("cleaning", lambda moment: True, call, Policy(misfire="all")), 24 * 3600)) == 100


# -- what a tick fires


def test_a_tick_is_one_task_whoever_fires_it(call: Call[None]) -> None:
    fired = every_ten_seconds(call).tick(NOW_MS)
    assert (fired.task, fired.args, fired.kwargs) == (call.task, ("hall",), {"fast": True})
    assert fired.id == f"cleaning@{NOW_MS}"
    assert (fired.delay_ms, fired.eta_ms) == (0, 0)


def test_jitter_is_drawn_once_for_a_tick(call: Call[None]) -> None:
    schedule = every_ten_seconds(call, jitter=5)
    ticks = [NOW_MS + 10 * SECOND_MS * number for number in range(200)]
    waits = [schedule.tick(tick).eta_ms - tick for tick in ticks]
    assert waits == [schedule.tick(tick).eta_ms - tick for tick in ticks]
    assert 0 < min(waits) < 500
    assert 4_500 < max(waits) <= 5_000
    assert schedule.tick(ticks[0]).id == f"cleaning@{NOW_MS}"


@pytest.mark.parametrize("name", ["a.<locals>.b", "-", "A" * 180, "x:y-z_1"])
def test_the_id_of_a_tick_is_a_task_id(call: Call[None], name: str) -> None:
    schedule = Schedule(name, every(seconds=10), call, Policy())
    assert check_task_id(schedule.tick(9_999_999_999_999).id or "")


@pytest.mark.parametrize("name", ["", "a" * 181, "a b", "a/b", "ä"])
def test_a_schedule_has_a_name_that_an_id_can_be_made_of(call: Call[None], name: str) -> None:
    with pytest.raises(ValueError, match=r"^schedule name must be 1 to 180 characters from A-Z"):
        Schedule(name, every(seconds=10), call, Policy())


# -- declaring


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"misfire": "never"}, "misfire must be one of latest, all, skip, not 'never'"),
        ({"misfire": None}, "misfire must be one of latest, all, skip, not None"),
        ({"overlap": "allow"}, "overlap must be one of skip, queue, parallel, not 'allow'"),
        ({"window": -1}, "window must be between 0 seconds and 10 years, not -1"),
        ({"jitter": -1}, "jitter must be between 0 seconds and 10 years, not -1"),
    ],
    ids=str,
)
def test_a_policy_that_there_is_not_is_named(huey: Huey, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}$"):
        huey.periodic_task(crontab(), **options)


@pytest.mark.parametrize("when", [None, "* * * * *", 5, crontab, every])
def test_what_has_no_ticks_is_refused(huey: Huey, when: Any) -> None:
    with pytest.raises(TypeError, match=r"^when must be crontab\(...\), cron\(...\), every\(...\) or a function"):

        @huey.periodic_task(when)
        async def sweep() -> None: ...


def test_a_decorator_without_parentheses_is_refused(huey: Huey) -> None:
    """It would take the task for a function that says when."""
    for when in (_no_argument, _two_arguments, lambda: True):
        with pytest.raises(TypeError, match=r"^when must be .* or a function that takes a datetime, not <function"):
            huey.periodic_task(when)
    assert len(huey._parts.registry) == 0


async def _no_argument() -> None: ...


def _two_arguments(moment: datetime, other: int) -> bool:
    return True


def test_another_decorator_of_tasks_may_stand_below(huey: Huey) -> None:
    @huey.periodic_task(every(seconds=10), overlap="parallel")
    @huey.context_task(nullcontext, name="sweep", retries=3)
    async def sweep() -> None: ...

    assert huey._parts.registry.get("sweep") is sweep
    assert huey._parts.registry.schedules["sweep"].call.task is sweep
    assert (sweep.declared.retries, sweep._resource is not None) == (3, True)
    with pytest.raises(TypeError, match=r"^sweep is a task already: give its options to the decorator below"):
        huey.periodic_task(every(seconds=10), retries=5)(sweep)
    twice = huey.periodic_task(every(seconds=15), name="twice")(sweep)
    assert (twice.func, twice.name, twice._resource) == (sweep.func, "twice", sweep._resource)
    assert [*huey._parts.registry.schedules] == ["sweep", "twice"]


def test_a_periodic_task_needs_no_arguments(huey: Huey) -> None:
    with pytest.raises(TypeError, match=r"sweep: a periodic task must be callable without arguments, but .*'room'"):

        @huey.periodic_task(crontab(), name="sweep")
        async def sweep(room: str) -> None: ...

    @huey.periodic_task(crontab(), name="tidy", context=True)
    async def tidy(task: Any, room: str = "hall") -> None: ...

    assert huey._parts.registry.schedules["tidy"].call.args == ()


def test_the_other_options_are_those_of_a_task(huey: Huey) -> None:
    @huey.periodic_task(every(seconds=10), name="sweep", queue="slow", retries=3)
    async def sweep() -> None: ...

    assert (sweep.declared.queue, sweep.declared.retries) == ("slow", 3)
    assert huey._parts.registry.get("sweep") is sweep
    assert huey._parts.outbox.write(huey._parts.registry.schedules["sweep"].tick(NOW_MS))[1].queue == "slow"
    with pytest.raises(TypeError, match="unknown task option 'retris': did you mean 'retries'"):
        huey.periodic_task(every(seconds=10), retris=3)


def test_a_schedule_says_when_it_is_fired(call: Call[None]) -> None:
    def on_sundays(moment: datetime) -> bool:
        return moment.weekday() == 6

    texts = {
        "every(seconds=10)": every(seconds=10),
        "cron('0 3 * * *', tz='Asia/Tokyo')": cron("0 3 * * *", "Asia/Tokyo"),
        f"{on_sundays.__qualname__}": on_sundays,
    }
    for text, when in texts.items():
        assert Schedule("cleaning", when, call, Policy()).text == text


# -- what a store keeps


def test_a_schedule_survives_as_data(huey: Huey, call: Call[None]) -> None:
    policy = Policy(misfire="all", window=timedelta(hours=1), overlap="queue", jitter=2.5)
    changed = call.task.options(
        queue="slow", priority=7, retry_delay=timedelta(seconds=3), expires=timedelta(minutes=5)
    )
    schedule = Schedule("cleaning", cron("0 3 * * mon", "Asia/Tokyo"), changed.s("hall", fast={1, 2}), policy)
    state = decoded("cleaning", ScheduleState(NOW_MS, added=schedule.described()).encoded("cleaning", codec), codec)
    assert state is not None
    assert state.added is not None
    again = restored("cleaning", state.added, call.task)
    assert (again.name, again.when, again.policy.oldest_ms, again.policy.jitter_ms) == (
        *("cleaning", schedule.when, 3_600_000, 2_500),
    )
    assert (again.policy.misfire, again.policy.overlap) == ("all", "queue")
    assert (again.call.args, again.call.kwargs) == (("hall",), {"fast": {1, 2}})
    before, after = (huey._parts.outbox.write(one.run("id"))[1] for one in (schedule, again))
    assert (after.queue, after.priority) == (before.queue, before.priority) == ("slow", 7)
    assert again.call.options.policy == schedule.call.options.policy
    assert again.call.options.expires == 300
    assert again.described() == schedule.described()


def test_what_no_other_worker_could_do_is_not_kept(huey: Huey, call: Call[None]) -> None:
    def described(when: Any, call: Call[None]) -> dict[str, Any]:
        return Schedule("cleaning", when, call, Policy()).described()

    with pytest.raises(TypeError, match=r"^accepted are every\(...\), crontab\(...\) and cron\(...\), not <function"):
        described(lambda moment: True, call)
    for options in ({"id": "mine"}, {"delay": 5}, {"eta": datetime(2030, 1, 1)}):
        with pytest.raises(TypeError, match="has an id, a delay or an eta of its own"):
            described(crontab(), call.task.options(**options).s())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^expires must be a span, not datetime"):
        described(crontab(), call.task.options(expires=datetime(2030, 1, 1)).s())


def test_arguments_that_do_not_fit_any_more_are_noticed(huey: Huey, call: Call[None]) -> None:
    described = Schedule("cleaning", crontab(), call, Policy()).described()

    @huey.task
    async def sweep(room: str) -> None: ...

    with pytest.raises(TypeError, match="fast"):
        restored("cleaning", described, sweep)


def test_a_state_is_read_as_it_was_written() -> None:
    for state in (
        ScheduleState(NOW_MS),
        ScheduleState(NOW_MS, NOW_MS - 1, "cleaning@1", True, {"args": [b"bytes", (1, 2)], "when": ["every", {}]}),
    ):
        assert decoded("cleaning", state.encoded("cleaning", codec), codec) == state
    assert decoded("cleaning", b"", codec) is None


@pytest.mark.parametrize("data", [b"x", b"[]", b"5", b"null", b"{}", b'["5",0,"",false,null]', b'[5,0,"",false]'])
def test_what_is_no_state_is_noticed(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded("cleaning", data, codec)
