"""The scheduler: each tick fires once, whatever happens to the workers, to the store and to the clock."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import CancelExecution, Serializer, crontab, every
from aqueue.app.schedules import Schedules
from aqueue.client.loops import ClientPerLoop
from aqueue.core import codec
from aqueue.core.lifecycle import Settlement, State
from aqueue.storage.memory.store import MemoryStorage
from aqueue.tasks.schedule import ScheduleState
from aqueue.testing import ManualClock
from aqueue.worker.services import scheduler as scheduler
from aqueue.worker.services.scheduler import LONGEST_SLEEP_SECONDS, Scheduler

from ...facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aqueue import Huey, Task, TaskView
    from aqueue.core.message import Delivery
    from aqueue.storage.protocol import Storage

    from ..bench import Bench

TEN_SECONDS = every(seconds=10)


async def _nothing() -> None: ...


def declare(huey: Huey, when: Any = TEN_SECONDS, name: str = "sweep", **options: Any) -> Task[[], None]:
    return huey.periodic_task(when, name=name, **options)(_nothing)


def make_timekeeper(bench: Bench, huey: Huey | None = None) -> Scheduler:
    parts = (huey or bench.huey)._parts
    return Scheduler(bench.storage, parts.registry, parts.codec, parts.outbox, bench.clock)


@asynccontextmanager
async def keeping_time(bench: Bench, huey: Huey | None = None) -> AsyncIterator[Scheduler]:
    """A worker's scheduler, while the block runs; it has looked at the schedules when the block begins."""
    keeper, looks = make_timekeeper(bench, huey), bench.storage.looks
    async with bench.serving(keeper.run()):
        await until(lambda: bench.storage.looks > looks)
        await asyncio.sleep(0)
        yield keeper


async def pass_time(bench: Bench, seconds: float, keepers: int = 1) -> None:
    """Let time pass for those who keep it, and let them come to rest."""
    await bench.clock.wait_for_waiters(keepers)
    bench.clock.advance(seconds)
    await bench.clock.wait_for_waiters(keepers)


def seconds_of(task_id: str) -> float:
    """When the tick was, counted from the beginning of the test."""
    return (int(task_id.partition("@")[2]) - 1_000_000_000_000) / 1000


async def fired(bench: Bench) -> list[float]:
    """The ticks whose tasks were ready, by second; those tasks are done now."""
    deliveries = await bench.pull(1_000)
    await end(bench, deliveries)
    return [seconds_of(delivery.id) for delivery in deliveries]


async def end(bench: Bench, deliveries: list[Delivery], state: State = State.DONE) -> None:
    await MemoryStorage.settle(
        bench.storage, [Settlement(delivery.receipt, delivery.id, state, ttl_ms=60_000) for delivery in deliveries]
    )


def schedules_of(bench: Bench) -> Schedules:
    """``huey.schedules``, over the store of the bench."""
    parts = bench.huey._parts
    clients = ClientPerLoop(lambda: bench.storage, bench.clock)
    return Schedules(clients, parts.codec, parts.registry, parts.outbox)


# -- one fire per tick


async def test_a_tick_is_fired_when_it_is_due_and_not_before(bench: Bench) -> None:
    declare(bench.huey)
    async with keeping_time(bench):
        ticks = []
        for seconds in (9.999, 0.001, 9.999, 0.001):
            await pass_time(bench, seconds)
            ticks.append(await fired(bench))
    assert ticks == [[], [10], [], [20]]


async def test_a_schedule_begins_with_the_first_worker_that_serves_it(bench: Bench) -> None:
    """There is no tick before that could have been missed."""
    declare(bench.huey, every(hours=24), misfire="all")
    async with keeping_time(bench):
        await bench.clock.wait_for_waiters()
    assert await fired(bench) == []
    bench.clock.advance(24 * 3600)
    async with keeping_time(bench):
        await bench.clock.wait_for_waiters()
    assert len(await fired(bench)) == 1


async def test_of_several_workers_it_does_not_matter_which_fires(bench: Bench) -> None:
    declare(bench.huey, overlap="parallel")
    async with AsyncExitStack() as workers:
        for _ in range(4):
            await workers.enter_async_context(keeping_time(bench))
        for _ in range(20):
            await pass_time(bench, 10, keepers=4)
    assert await fired(bench) == [10 * number for number in range(1, 21)]
    assert len(bench.storage.steps) > 20, "they all tried"


async def test_a_restarted_worker_neither_repeats_a_tick_nor_forgets_one(bench: Bench) -> None:
    declare(bench.huey, misfire="all", overlap="parallel")
    random = Random(1)
    for _ in range(40):
        async with keeping_time(bench):
            await pass_time(bench, random.choice((0, 0.001, 3, 9.999, 10)))
        bench.clock.advance(random.choice((0, 1, 25)))
    async with keeping_time(bench):
        await bench.clock.wait_for_waiters()
    ticks = await fired(bench)
    assert ticks == [10 * number for number in range(1, len(ticks) + 1)]
    assert ticks[-1] == bench.clock.monotonic() // 10 * 10


async def test_two_versions_of_a_schedule_share_its_ticks(bench: Bench) -> None:
    """While a new version is rolled out, both fire what they know of, and a tick of both is one."""
    declare(bench.huey, every(seconds=20), overlap="parallel")
    newer = type(bench.huey)("shop")
    declare(newer, every(seconds=10), overlap="parallel")
    async with keeping_time(bench), keeping_time(bench, newer):
        for _ in range(12):
            await pass_time(bench, 5, keepers=2)
    assert await fired(bench) == [10, 20, 30, 40, 50, 60]


async def test_a_step_whose_reply_is_lost_was_made(bench: Bench) -> None:
    declare(bench.huey, overlap="parallel")
    async with keeping_time(bench):
        await pass_time(bench, 5)
        bench.storage.loses_replies = True
        await pass_time(bench, 5)
        bench.storage.loses_replies = False
        for _ in range(15):
            await pass_time(bench, 1)
    assert await fired(bench) == [10, 20]


async def test_an_outage_is_outlived(bench: Bench) -> None:
    declare(bench.huey)
    bench.storage.is_down = True
    async with keeping_time(bench):
        for _ in range(3):
            await pass_time(bench, 1)
        bench.storage.is_down = False
        await pass_time(bench, 1)
        assert len(bench.storage.steps) == 1, "the schedule has begun"
        bench.storage.is_down = True
        for _ in range(8):
            await pass_time(bench, 1)
        bench.storage.is_down = False
        await pass_time(bench, 1)
        assert await fired(bench) == [10]


async def store_state(bench: Bench, after_s: float, name: str = "sweep") -> bytes:
    """Store that the ticks of a schedule were fired up to `after_s` seconds from now."""
    state = ScheduleState(bench.clock.now_ms() + round(after_s * 1000)).encoded(name, codec)
    assert await MemoryStorage.advance(bench.storage, name, b"", state, [])
    return state


async def test_a_worker_whose_clock_was_ahead_does_not_silence_a_schedule(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    declare(bench.huey)
    await store_state(bench, 7200)
    async with keeping_time(bench), keeping_time(bench):
        await pass_time(bench, 10, 2)
        assert await fired(bench) == [10]
        await pass_time(bench, 10, 2)
        assert await fired(bench) == [20]
    assert caplog.text.count("by a worker whose clock was ahead") == 1


async def test_a_worker_goes_on_when_its_own_clock_is_right_again(bench: Bench) -> None:
    declare(bench.huey)
    async with keeping_time(bench):
        await bench.clock.wait_for_waiters()
        bench.clock._start_ms += 7_200_000
        await pass_time(bench, 10)
        assert await fired(bench) == [7210]
        bench.clock._start_ms -= 7_200_000
        await pass_time(bench, LONGEST_SLEEP_SECONDS)
        await pass_time(bench, 10)
        assert await fired(bench) == [80]


async def test_a_worker_whose_clock_is_behind_repeats_no_tick(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    declare(bench.huey)
    state = await store_state(bench, 0)
    slow = ManualClock(bench.clock.now_ms() - 7_200_000)
    parts = bench.huey._parts
    async with bench.serving(Scheduler(bench.storage, parts.registry, parts.codec, parts.outbox, slow).run()):
        await slow.wait_for_waiters()
        slow.advance(10)
        await slow.wait_for_waiters()
    assert await fired(bench) == []
    assert await bench.storage.schedules() == {"sweep": state}
    assert "whose clock was ahead" not in caplog.text


async def test_a_tick_that_a_fast_clock_fired_early_is_not_fired_again(bench: Bench) -> None:
    declare(bench.huey, every(hours=24))
    await store_state(bench, 24 * 3600 - bench.clock.now_ms() / 1000 % (24 * 3600))
    async with keeping_time(bench):
        await pass_time(bench, 24 * 3600)
        assert await fired(bench) == []


async def test_a_clock_that_is_set_back_repeats_no_tick(bench: Bench) -> None:
    declare(bench.huey, overlap="parallel")
    async with keeping_time(bench):
        await pass_time(bench, 10)
        bench.clock._start_ms -= 25_000
        for _ in range(4):
            await pass_time(bench, 10)
    assert await fired(bench) == [10, 20]


# -- misfire


@pytest.mark.parametrize(("misfire", "expected"), [("latest", [60]), ("all", [10, 20, 30, 40, 50, 60]), ("skip", [60])])
async def test_what_was_missed_is_made_up_for_as_it_is_declared(
    bench: Bench, misfire: Any, expected: list[float]
) -> None:
    declare(bench.huey, misfire=misfire)
    async with keeping_time(bench):
        await pass_time(bench, 65)
    assert await fired(bench) == expected


async def test_a_tick_that_was_missed_is_not_made_up_for_where_it_is_skipped(bench: Bench) -> None:
    declare(bench.huey, every(seconds=100), misfire="skip")
    async with keeping_time(bench):
        await pass_time(bench, 111)
        assert await fired(bench) == []
        await pass_time(bench, 89)
        assert await fired(bench) == [200]


async def test_very_many_missed_ticks_are_made_up_for_in_steps(bench: Bench) -> None:
    declare(bench.huey, misfire="all")
    async with keeping_time(bench):
        await pass_time(bench, 2_505)
    assert await fired(bench) == [10 * number for number in range(1, 251)]
    assert [len(step) for step in bench.storage.steps] == [0, 100, 100, 50]


# -- overlap


@pytest.mark.parametrize("verdict", [State.DONE, State.FAILED, State.DEAD])
async def test_a_tick_is_skipped_while_the_run_before_it_has_no_verdict(bench: Bench, verdict: State) -> None:
    declare(bench.huey)
    async with keeping_time(bench):
        await pass_time(bench, 10)
        for _ in range(3):
            await pass_time(bench, 10)
        running = await bench.pull()
        assert [seconds_of(delivery.id) for delivery in running] == [10]
        await pass_time(bench, 10)
        await end(bench, running, verdict)
        await pass_time(bench, 5)
        assert await fired(bench) == []
        # Another worker knows it, too.
        async with keeping_time(bench):
            await bench.clock.wait_for_waiters(2)
            assert await fired(bench) == []
            await pass_time(bench, 5, keepers=2)
        assert await fired(bench) == [60]


async def test_a_run_that_the_store_does_not_know_any_more_holds_nothing_up(bench: Bench) -> None:
    declare(bench.huey)
    async with keeping_time(bench):
        await pass_time(bench, 10)
        await end(bench, await bench.pull())
        await pass_time(bench, 3_600)
    assert await fired(bench) == [3_610]


@pytest.mark.parametrize(("misfire", "then"), [("latest", [40]), ("all", [20])])
async def test_a_tick_waits_for_the_run_before_it_where_they_queue(bench: Bench, misfire: Any, then: Any) -> None:
    declare(bench.huey, overlap="queue", misfire=misfire)
    async with keeping_time(bench):
        await pass_time(bench, 10)
        running = await bench.pull()
        for _ in range(35):
            await pass_time(bench, 1)
        assert await fired(bench) == []
        await end(bench, running)
        await pass_time(bench, 1)
        running = await bench.pull()
        assert [seconds_of(delivery.id) for delivery in running] == then


async def test_queued_ticks_come_one_after_the_other(bench: Bench) -> None:
    declare(bench.huey, overlap="queue", misfire="all")
    ticks = []
    async with keeping_time(bench):
        await pass_time(bench, 45)
        for _ in range(6):
            running = await bench.pull()
            ticks.append([seconds_of(delivery.id) for delivery in running])
            await end(bench, running)
            await pass_time(bench, 1)
    assert ticks == [[10], [20], [30], [40], [], [50]]


async def test_runs_may_overlap_where_they_are_parallel(bench: Bench) -> None:
    declare(bench.huey, overlap="parallel")
    async with keeping_time(bench):
        for _ in range(3):
            await pass_time(bench, 10)
    assert await fired(bench) == [10, 20, 30]


async def test_jitter_delays_the_task_and_not_its_tick(bench: Bench) -> None:
    declare(bench.huey, jitter=5)
    async with keeping_time(bench), keeping_time(bench):
        await pass_time(bench, 10, keepers=2)
    [task_id] = {task_id for step in bench.storage.steps for task_id in step}
    assert seconds_of(task_id) == 10
    assert await bench.state(task_id) is State.SCHEDULED
    bench.clock.advance(5)
    assert (await bench.storage.promote(10)).moved == 1
    assert await bench.state(task_id) is State.QUEUED


# -- huey's scheduler, and what it promises


async def test_after_a_stall_a_task_is_enqueued_once(bench: Bench) -> None:
    """Not once for each minute of the five in which nobody looked."""
    declare(bench.huey, crontab(), overlap="parallel")
    async with keeping_time(bench):
        await pass_time(bench, 60)
        assert await fired(bench) == [20]
        await pass_time(bench, 300)
        assert await fired(bench) == [320]
        await pass_time(bench, 60)
        assert await fired(bench) == [380]


async def test_an_enqueue_that_fails_does_not_end_the_service(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Neither does it stop the other schedules, and it is tried again with the latest tick."""

    class Moody(Serializer):
        def dumps(self, value: Any) -> bytes:
            if value[0] == "bad" and bench.clock.monotonic() < 70:
                raise ValueError("not today")
            return codec.encode_value(value)

        def loads(self, data: bytes) -> Any:
            return codec.decode_value(data)

    huey = type(bench.huey)("shop", serializer=Moody())
    declare(huey, name="bad")
    declare(huey, name="good")
    names = []
    async with keeping_time(bench, huey):
        for _ in range(8):
            await pass_time(bench, 10)
            deliveries = await bench.pull()
            names.append([delivery.id.partition("@")[0] for delivery in deliveries])
            await end(bench, deliveries)
    assert names == [*[["good"]] * 6, ["bad", "good"], ["bad", "good"]]
    assert caplog.text.count("The schedule bad could not be served, and will be tried again") == 1


# -- hooks and signals


async def test_a_tick_is_told_once_however_many_workers_count_it(bench: Bench) -> None:
    bench.huey._parts.clients.clock, heard = bench.clock, []

    @bench.huey.signal()
    async def hear(signal: str, task: TaskView) -> None:
        heard.append((signal, task.name, seconds_of(task.id)))

    declare(bench.huey)
    declare(bench.huey, every(seconds=20), name="late", jitter=5)
    async with keeping_time(bench), keeping_time(bench), keeping_time(bench):
        for _ in range(2):
            await pass_time(bench, 10, keepers=3)
            await fired(bench)
    assert sorted(heard) == [
        ("enqueued", "late", 20),
        ("enqueued", "sweep", 10),
        ("enqueued", "sweep", 20),
        ("scheduled", "late", 20),
    ]


async def test_a_pre_enqueue_handler_may_refuse_a_tick(bench: Bench) -> None:
    """It is passed over then, also for a worker that comes later and would find it missed."""
    refused = True

    @bench.huey.pre_enqueue()
    def not_now(task: TaskView) -> None:
        if refused:
            raise CancelExecution("not now")

    declare(bench.huey, every(seconds=100))
    async with keeping_time(bench), keeping_time(bench):
        await pass_time(bench, 100, keepers=2)
    refused = False
    async with keeping_time(bench):
        await pass_time(bench, 50)
        assert await fired(bench) == []
        await pass_time(bench, 50)
        assert await fired(bench) == [200]


# -- functions that say what a tick is


async def test_the_latest_minute_that_a_function_wanted_is_made_up_for(bench: Bench) -> None:
    declare(bench.huey, lambda moment: moment.minute in {48, 50}, overlap="parallel")
    async with keeping_time(bench):
        await pass_time(bench, 600)
    assert [(datetime.fromtimestamp(1_000_000_000 + tick)).minute for tick in await fired(bench)] == [50]
    async with keeping_time(bench):
        await pass_time(bench, 60)
    assert await fired(bench) == []


async def test_a_function_that_takes_its_time_holds_up_nobody(bench: Bench) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def think(moment: datetime) -> bool:
        asked.set()
        return await answer.wait()

    declare(bench.huey, think, name="slow")
    declare(bench.huey, every(minutes=1), name="quick")
    async with keeping_time(bench):
        await bench.clock.wait_for_waiters()
        bench.clock.advance(60)
        await asked.wait()
        await until(lambda: bench.storage.steps[-1] == ["quick@1000000020000"])
        answer.set()
        await until(lambda: bench.storage.steps[-1] == ["slow@1000000020000"])


async def test_a_function_is_asked_once_a_minute_with_naive_local_time(bench: Bench) -> None:
    asked = []

    def is_even(moment: datetime) -> bool:
        asked.append(moment)
        return moment.minute % 2 == 0

    declare(bench.huey, is_even, overlap="parallel")
    async with keeping_time(bench) as keeper:
        for _ in range(24):
            await pass_time(bench, 10)
            keeper.look_again()
    begin = datetime.fromtimestamp(1_000_000_000)
    first = begin + timedelta(seconds=20)
    assert first.second == 0
    assert asked == [first + timedelta(minutes=number) for number in range(4)]
    assert [begin + timedelta(seconds=seconds) for seconds in await fired(bench)] == [
        moment for moment in asked if moment.minute % 2 == 0
    ]


async def test_hueys_own_kind_of_function_will_do(bench: Bench) -> None:
    """What is called with a datetime and says yes or no: crontab is one, too."""
    declare(bench.huey, crontab("*/5").__call__, overlap="parallel")
    async with keeping_time(bench):
        for _ in range(60):
            await pass_time(bench, 10)
    assert [(1_000_000_000 + seconds) % 300 for seconds in await fired(bench)] == [0, 0]


async def test_a_function_may_be_a_coroutine_function(bench: Bench) -> None:
    async def always(moment: datetime) -> bool:
        await asyncio.sleep(0)
        return True

    declare(bench.huey, always, overlap="parallel")
    async with keeping_time(bench), keeping_time(bench):
        for _ in range(2):
            await pass_time(bench, 60, keepers=2)
    assert await fired(bench) == [20, 80]


async def test_a_minute_that_was_refused_is_not_asked_for_again(bench: Bench) -> None:
    asked = []

    def never(moment: datetime) -> bool:
        asked.append(moment)
        return False

    declare(bench.huey, never, misfire="all", overlap="parallel")
    async with keeping_time(bench) as keeper:
        await pass_time(bench, 180)
        await schedules_of(bench).run("sweep")
        keeper.look_again()
        await _turns(20)
        await pass_time(bench, 60)
        await _turns(20)
    assert len(asked) == len(set(asked)) == 4


async def test_a_worker_ends_though_a_function_does_not_answer(bench: Bench) -> None:
    asked = asyncio.Event()

    async def hang(moment: datetime) -> bool:
        asked.set()
        return await _hang(moment)

    declare(bench.huey, hang)
    async with keeping_time(bench):
        await bench.clock.wait_for_waiters()
        bench.clock.advance(60)
        await asked.wait()


def _raise(error: BaseException) -> Callable[[datetime], bool]:
    def fail(moment: datetime) -> bool:
        raise error

    return fail


class _Undecided:
    def __bool__(self) -> bool:
        raise ValueError("neither")


async def _hang(moment: datetime) -> bool:
    await asyncio.Event().wait()
    return True


@pytest.mark.parametrize(
    "function",
    [
        _raise(ValueError("no")),
        _raise(SystemExit(1)),
        _raise(KeyboardInterrupt()),
        _raise(asyncio.CancelledError()),
        lambda moment: _Undecided(),
        _hang,
    ],
    ids=["error", "exit", "interrupt", "cancel", "undecided", "hangs"],
)
async def test_a_function_that_fails_fires_nothing_and_holds_nothing_up(
    bench: Bench, function: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduler, "_ANSWER_SECONDS", 0.01)
    declare(bench.huey, function, name="bad")
    declare(bench.huey, every(minutes=1), name="good")
    async with keeping_time(bench):
        for _ in range(2):
            await pass_time(bench, 60)
            await end(bench, await bench.pull())
    assert [task_id.partition("@")[0] for step in bench.storage.steps for task_id in step] == ["good", "good"]
    assert "The schedule bad: " in caplog.text
    assert "failed, so nothing is fired" in caplog.text


# -- what it costs


async def test_an_hour_without_a_tick_costs_a_look_a_minute(bench: Bench) -> None:
    declare(bench.huey, every(hours=24))
    async with keeping_time(bench):
        looks, steps = bench.storage.looks, len(bench.storage.steps)
        for _ in range(360):
            await pass_time(bench, 10)
    assert bench.storage.looks - looks <= 61
    assert len(bench.storage.steps) == steps


# -- what else is in the store


async def test_a_worker_that_serves_no_schedule_asks_the_store_for_nothing(bench: Bench) -> None:
    async with keeping_time(bench):
        bench.clock.advance(24 * 3600)
        await _turns(20)
        assert (bench.storage.looks, bench.storage.steps) == (1, [])


async def test_a_schedule_that_is_added_is_served_by_who_knows_its_task(bench: Bench) -> None:
    @bench.huey.task(name="greet")
    async def greet(name: str) -> None: ...

    schedules, stranger = schedules_of(bench), type(bench.huey)("shop")
    async with keeping_time(bench) as keeper, keeping_time(bench, stranger) as other:
        await schedules.add("greeting", TEN_SECONDS, greet.s("you"))
        keeper.look_again()
        other.look_again()
        for _ in range(2):
            await pass_time(bench, 5)
        [delivery] = await bench.pull()
        assert delivery.id == "greeting@1000000010000"
        assert bench.huey._parts.registry.get("greet") is greet
    ran = await bench.runner.run(delivery)
    assert ran.run is not None
    assert ran.run.args == ("you",)


async def test_a_schedule_that_is_not_known_here_does_not_hold_up_the_others(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    @bench.huey.task(name="greet")
    async def greet(name: str) -> None: ...

    await schedules_of(bench).add("greeting", TEN_SECONDS, greet.s("you"))
    for name, state in {
        "of-a-later-version": b'[5, 0, "", false, null, "full moon"]',
        "garbage": b"\xff",
        "forgotten": ScheduleState(5).encoded("forgotten", codec),
        "strange": ScheduleState(5, added={"task": "sweep", "when": ["moon", {}]}).encoded("strange", codec),
    }.items():
        await bench.storage.advance(name, b"", state, [])
    kept = await bench.storage.schedules()
    other = type(bench.huey)("shop")
    declare(other)
    with caplog.at_level(logging.INFO):
        async with keeping_time(bench, other) as keeper:
            for _ in range(3):
                await pass_time(bench, 10)
                keeper.look_again()
    assert (await bench.pull())[0].id == "sweep@1000000010000"
    assert {name: state for name, state in (await bench.storage.schedules()).items() if name in kept} == kept
    for name in kept:
        assert caplog.text.count(f"The schedule {name} is not ") == 1


async def test_a_paused_schedule_fires_nothing_and_makes_up_for_nothing(bench: Bench) -> None:
    declare(bench.huey, misfire="all", overlap="parallel")
    schedules = schedules_of(bench)
    async with keeping_time(bench):
        await pass_time(bench, 10)
        # It was not told: its next step is refused, and so it looks.
        await schedules.pause("sweep")
        for _ in range(3):
            await pass_time(bench, 10)
        assert await fired(bench) == [10]
        await schedules.resume("sweep")
        # A message that was lost costs a minute.
        await pass_time(bench, LONGEST_SLEEP_SECONDS)
        await pass_time(bench, 5)
    assert await fired(bench) == [50, 60, 70, 80, 90, 100]


async def test_a_removed_schedule_fires_nothing(bench: Bench) -> None:
    @bench.huey.task(name="greet")
    async def greet(name: str) -> None: ...

    schedules = schedules_of(bench)
    await schedules.add("greeting", TEN_SECONDS, greet.s("you"))
    async with keeping_time(bench):
        await pass_time(bench, 10)
        assert await fired(bench) == [10]
        assert await schedules.remove("greeting")
        bench.clock.advance(60)
        await until(lambda: bench.storage.looks > 3)
    assert await fired(bench) == []


async def test_a_run_by_hand_comes_beside_the_ticks(bench: Bench) -> None:
    declare(bench.huey, overlap="parallel")
    async with keeping_time(bench):
        await pass_time(bench, 10)
        by_hand = await schedules_of(bench).run("sweep")
        await pass_time(bench, 10)
        deliveries = await bench.pull()
    assert [delivery.id for delivery in deliveries] == ["sweep@1000000010000", by_hand.id, "sweep@1000000020000"]


async def test_a_tick_is_skipped_while_a_run_by_hand_has_no_verdict(bench: Bench) -> None:
    declare(bench.huey)
    async with keeping_time(bench):
        by_hand = await schedules_of(bench).run("sweep")
        await pass_time(bench, 10)
        running = await bench.pull()
        assert [delivery.id for delivery in running] == [by_hand.id]
        await end(bench, running)
        await pass_time(bench, 10)
    assert await fired(bench) == [20]


async def test_a_schedule_that_makes_no_sense_does_not_hold_up_the_others(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    declare(bench.huey, name="over", expires=datetime(2001, 9, 9), jitter=1)
    declare(bench.huey, name="sweep")
    async with keeping_time(bench):
        await pass_time(bench, 10)
        await pass_time(bench, 10)
    assert await fired(bench) == [10]
    assert caplog.text.count("The schedule over could not be served") == 1


# -- all of it at once


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_each_tick_is_fired_once(bench: Bench, seed: int) -> None:
    """Workers come and go, sleep and wake, and the store loses replies and is away."""
    random = Random(seed)
    every_tick = declare(bench.huey, every(seconds=7), name="all", misfire="all", overlap="parallel")
    declare(bench.huey, every(seconds=3), name="latest")
    declare(bench.huey, lambda moment: moment.minute % 3 == 0, name="asked")
    async with AsyncExitStack() as workers:
        running = 0
        for _ in range(150):
            bench.storage.is_down = random.random() < 0.1
            bench.storage.loses_replies = random.random() < 0.2
            if running < 4 and random.random() < 0.1:
                await workers.enter_async_context(keeping_time(bench))
                running += 1
            elif running and random.random() < 0.04:
                await workers.aclose()
                running = 0
            bench.clock.advance(random.choice((0.1, 1, 5, 30)))
            await _turns(20)
            if random.random() < 0.5:
                await end(bench, await bench.pull(100))
        bench.storage.is_down = bench.storage.loses_replies = False
        await workers.enter_async_context(keeping_time(bench))
        bench.clock.advance(1)
        await _turns(200)
    await _check(bench.storage, every_tick.name, 7)


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _check(storage: Storage, name: str, seconds: int) -> None:
    """No id was ever new twice, and of the schedule that makes up for everything no tick is missing."""
    fired = storage.new_ids  # type: ignore[attr-defined]
    assert len(set(fired)) == len(fired)
    ticks = [int(task_id.partition("@")[2]) for task_id in fired if task_id.startswith(f"{name}@")]
    assert ticks == list(range(ticks[0], ticks[-1] + 1, seconds * 1000))
    assert storage._clock.now_ms() - ticks[-1] < seconds * 1000  # type: ignore[attr-defined]
