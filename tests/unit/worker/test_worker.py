"""A whole worker: the order in which it starts and stops, and what does not stop it."""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from aqueue import (
    CancelExecution,
    Huey,
    MemoryHuey,
    QueueUnavailable,
    RedisHuey,
    RetryTask,
    TaskException,
    TaskRun,
    __version__,
)
from aqueue.core.lifecycle import State
from aqueue.core.message import Envelope
from aqueue.storage.memory.intake import MemoryIntake
from aqueue.storage.memory.store import MemoryStorage

from ...tour.running import running
from ..facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aqueue.core.message import Delivery


# -- the order of events


async def test_events_come_in_hueys_order(huey: Huey) -> None:
    events: list[Any] = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        events.append("enter")
        yield
        events.append("leave")

    @huey.pre_execute()
    def before(task: TaskRun) -> None:
        events.append("before")

    @huey.post_execute()
    async def after(task: TaskRun, value: Any, exception: BaseException | None) -> None:
        events.append(("after", value, exception, await huey.result(task.id).status()))

    @huey.context_task(resource)
    async def work() -> int:
        events.append("body")
        return 5

    async with running(huey):
        assert await (await work.enqueue()).get(timeout=5) == 5
    assert events == ["before", "enter", "body", "leave", ("after", 5, None, State.DONE)]


async def test_a_worker_holds_its_line_when_a_task_closes_the_application(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store

    @huey.task
    async def close() -> str:
        async with huey:
            pass
        await huey.close()
        return "closed"

    worker = huey.create_worker()
    working = asyncio.create_task(worker.run())
    await worker.ready.wait()
    assert await (await close.enqueue()).get(timeout=5) == "closed"
    assert await (await close.enqueue()).get(timeout=5) == "closed"
    await worker.stop()
    await working
    assert not huey._parts.clients, "it is closed at last"


async def test_a_worker_whose_line_is_gone_ends(huey: Huey) -> None:
    worker = huey.create_worker()
    working = asyncio.create_task(worker.run())
    await worker.ready.wait()
    huey.immediate = True
    with pytest.raises(QueueUnavailable, match="closed under its worker"):
        await asyncio.wait_for(working, 10)


async def test_a_plain_function_reports_its_progress_while_the_worker_is_busy(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store

    @huey.task(context=True)
    def climb(*, task: TaskRun) -> list[bool]:
        return [task.progress_sync(1, 2), asyncio.run(task.progress(2, 2))]

    @huey.task
    async def quick() -> None: ...

    async with running(huey):
        climbing = [await climb.enqueue() for _ in range(4)]
        beside = await huey.enqueue_many([quick.s() for _ in range(50)])
        assert [step.done async for step in climbing[0].progress()][-1:] == [2]
        assert [await result.get(timeout=5) for result in climbing] == [[True, True]] * 4
        await beside.get(timeout=5)


async def test_plain_functions_that_wait_for_a_thread_do_not_time_out(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store

    @huey.task(timeout=0.4)
    def work(number: int) -> int:
        time.sleep(0.05)
        return number

    async with running(huey, threads=2):
        # The last one waits longer than any may run.
        results = await huey.enqueue_many([work.s(number) for number in range(20)])
        assert await results.get(timeout=20) == list(range(20))


async def test_an_idle_worker_starts_at_once_what_another_thread_enqueues(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store

    @huey.task
    async def add(a: int, b: int) -> int:
        return a + b

    def seconds_for(number: int) -> float:
        began = time.monotonic()
        assert add.enqueue_sync(number, 1).get(timeout=10) == number + 1
        return time.monotonic() - began

    async with running(huey):
        # The first call starts the thread of `huey.sync`.
        await asyncio.to_thread(seconds_for, 0)
        seconds = [await asyncio.to_thread(seconds_for, number) for number in range(5)]
    await asyncio.to_thread(huey.sync.close)
    assert statistics.median(seconds) < 0.2


async def test_events_of_a_retry_come_once_per_attempt(huey: Huey) -> None:
    events: list[Any] = []
    huey.pre_execute("before")(lambda task: events.append(("before", task.attempt, task.retries)))
    huey.post_execute("after")(lambda task, value, exception: events.append(("after", value, type(exception))))

    @huey.task(retries=2, context=True)
    async def flaky(task: TaskRun) -> str:
        events.append("body")
        if task.attempt == 1:
            raise ValueError
        if task.attempt == 2 and len(events) < 7:
            raise RetryTask
        return "done"

    async with running(huey):
        assert await (await flaky.enqueue()).get(timeout=5) == "done"  # type: ignore[call-arg]
    assert events == [
        *(("before", 1, 2), "body", ("after", None, ValueError)),
        *(("before", 2, 1), "body", ("after", None, RetryTask)),
        *(("before", 2, 1), "body", ("after", "done", type(None))),
    ]


@pytest.mark.parametrize(
    ("retries", "retry", "attempts", "ends"),
    [
        (0, None, 1, True),
        (2, None, 3, True),
        (0, False, 1, True),
        (2, False, 1, True),
        (0, True, 5, False),
        (2, True, 5, False),
    ],
)
async def test_cancelling_from_the_body_has_hueys_retry_matrix(
    huey: Huey, retries: int, retry: bool | None, attempts: int, ends: bool
) -> None:
    """None leaves the retries in force, False gives them up, True runs it again, for ever if it is raised again."""
    runs = []

    @huey.task(retries=retries)
    async def give_up() -> str:
        runs.append("run")
        if len(runs) == 5:
            return "enough"
        raise CancelExecution("no", retry=retry)

    async with running(huey):
        result = await give_up.enqueue()
        if ends:
            with pytest.raises(TaskException, match="no") as caught:
                await result.get(timeout=5)
            assert caught.value.state == "cancelled"
        else:
            assert await result.get(timeout=5) == "enough"
    assert len(runs) == attempts


# -- starting


async def test_startup_comes_before_the_first_task_and_shutdown_after_the_last(huey: Huey) -> None:
    events = []

    @huey.on_startup()
    async def start() -> None:
        await asyncio.sleep(0)
        events.append("startup")

    @huey.on_shutdown()
    async def stop() -> None:
        await asyncio.sleep(0)
        events.append("shutdown")

    @huey.task
    async def work() -> None:
        events.append("task")

    await work.map([(), ()])
    await huey.create_worker(burst=True).run()
    assert events == ["startup", "task", "task", "shutdown"]


async def test_a_startup_hook_that_fails_does_not_keep_the_worker_from_starting(huey: Huey) -> None:
    @huey.on_startup()
    def broken() -> None:
        raise ValueError

    add = huey.task(name="add")(lambda a, b: a + b)
    async with running(huey):
        assert await (await add.enqueue(1, 2)).get(timeout=5) == 3


async def test_a_store_that_is_not_there_is_an_error_before_anything_is_started() -> None:
    huey = RedisHuey("shop", port=1)
    started = []
    huey.on_startup("note")(lambda: started.append(True))
    with pytest.raises(QueueUnavailable):
        await huey.create_worker().run()
    assert started == []


async def test_the_banner_says_what_one_wants_to_know(huey: Huey, caplog: pytest.LogCaptureFixture) -> None:
    huey.task(name="shop.add", queue="mails")(lambda: None)
    huey.task(name="shop.delete")(lambda: None)
    worker = huey.create_worker(burst=True, concurrency=7, threads=3, children=5, lease=45)
    with caplog.at_level(logging.INFO, "aqueue"):
        await worker.run()
    banner = next(record.getMessage() for record in caplog.records if record.levelname == "INFO")
    for fact in (
        f"aqueue {__version__} on Python {sys.version_info.major}.{sys.version_info.minor}",
        worker.consumer,
        "application  shop",
        "store        memory at shop in this process",
        "durability   none: tasks live as long as this process",
        "queues       default, mails",
        "concurrency  7 tasks, 3 of them in threads, 5 in processes",
        "lease        45 s",
        "tasks        2",
        "+ shop.add",
        "+ shop.delete",
    ):
        assert fact in banner
    assert "no other process sees these tasks" in caplog.text


async def test_a_worker_without_tasks_asks_whether_something_was_forgotten(
    huey: Huey, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "aqueue"):
        await huey.create_worker(burst=True).run()
    assert "tasks        0: is the module that declares them imported?" in caplog.text


async def test_it_reads_the_queues_of_its_tasks_the_default_one_first(huey: Huey) -> None:
    for number, queue in enumerate(["zebra", "ant", "zebra", "default"]):
        huey.task(name=f"task-{number}", queue=queue)(lambda: None)
    assert huey.create_worker().queues == ("default", "ant", "zebra")


async def test_it_tells_the_store_what_it_is_and_that_it_is_gone(huey: Huey) -> None:
    async with running(huey, concurrency=7, queues=["a", "b"]) as worker:
        await until(lambda: _worker_seen(huey))
        [info] = await huey.queues.workers()
        description = orjson.loads(info.description)
        assert info.consumer == worker.consumer
        assert (description["version"], description["concurrency"]) == (__version__, 7)
        assert (description["queues"], description["running"]) == (["a", "b"], 0)
        storage = (await huey._parts.clients.open()).storage
    assert await storage.workers() == []


def _worker_seen(huey: Huey) -> bool:
    [client] = huey._parts.clients.values()
    return isinstance(client.storage, MemoryStorage) and bool(client.storage._tables.workers)


# -- stopping


class Patience:
    """A task that runs until it is let go, and notes how it ended."""

    def __init__(self, huey: Huey) -> None:
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ends: list[str] = []

        @huey.task(name="wait")
        async def wait() -> str:
            self.started.set()
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.ends.append("interrupted")
                raise
            self.ends.append("done")
            return "done"

        self.task = wait


@pytest.fixture
def patience(huey: Huey) -> Patience:
    return Patience(huey)


async def test_the_lease_is_the_one_it_was_given(huey: Huey, patience: Patience) -> None:
    await patience.task.enqueue()
    async with running(huey, lease=12):
        await patience.started.wait()
        storage: Any = (await huey._parts.clients.open()).storage
        assert [task.lease_ms for task in storage._tables.lent.values()] == [12_000]
        patience.may_end.set()


async def test_a_graceful_stop_finishes_what_runs_and_takes_nothing_new(huey: Huey, patience: Patience) -> None:
    running_one = await patience.task.enqueue()
    worker = huey.create_worker()
    work = asyncio.create_task(worker.run())
    await patience.started.wait()
    await worker.stop()
    later = await patience.task.enqueue()
    patience.may_end.set()
    await work
    assert (await running_one.status(), await later.status()) == ("done", "queued")
    assert patience.ends == ["done"]


async def test_a_stop_gives_back_what_has_not_started(huey: Huey, patience: Patience) -> None:
    first, second = await patience.task.map([(), ()])
    worker = huey.create_worker(concurrency=1)
    work = asyncio.create_task(worker.run())
    await patience.started.wait()
    await worker.stop()
    patience.may_end.set()
    await work
    assert (await first.status(), await second.status()) == ("done", "queued")


async def test_a_stop_gives_back_what_waits_for_a_slot() -> None:
    class GenerousIntake(MemoryIntake):
        """Gives more than there is room for, as one that pulls and reclaims at the same time may."""

        async def pull(self, limit: int, wait_ms: int) -> list[Delivery]:
            return await super().pull(10, wait_ms)

    class Generous(MemoryStorage):
        def open_intake(self, consumer: str, queues: Sequence[str], lease_ms: int) -> MemoryIntake:
            intake = super().open_intake(consumer, queues, lease_ms)
            intake.__class__ = GenerousIntake
            return intake

    huey = MemoryHuey("generous")
    patience = Patience(huey)
    huey._first_storage = Generous("generous")
    async with huey:
        first, second, third = await patience.task.map([(), (), ()])
        worker = huey.create_worker(concurrency=1)
        work = asyncio.create_task(worker.run())
        await patience.started.wait()
        assert await third.status() == "running"
        await worker.stop()

        async def third_is_queued() -> bool:
            return await third.status() == "queued"

        await until(third_is_queued)
        patience.may_end.set()
        await work
        assert [await result.status() for result in (first, second, third)] == ["done", "queued", "queued"]


async def test_patience_ends_with_the_shutdown_timeout(
    huey: Huey, patience: Patience, caplog: pytest.LogCaptureFixture
) -> None:
    result = await patience.task.enqueue()
    worker = huey.create_worker(shutdown_timeout=0.01)
    work = asyncio.create_task(worker.run())
    await patience.started.wait()
    await worker.stop()
    await work
    assert (patience.ends, await result.status()) == (["interrupted"], "queued")
    assert "Interrupting 1 tasks (0.01 s are over); they are given back" in caplog.text


async def test_an_interruption_does_not_wait_for_the_timeout(
    huey: Huey, patience: Patience, caplog: pytest.LogCaptureFixture
) -> None:
    result = await patience.task.enqueue()
    worker = huey.create_worker(shutdown_timeout=3600)
    work = asyncio.create_task(worker.run())
    await patience.started.wait()
    await worker.stop()
    await worker.interrupt()
    await work
    assert (patience.ends, await result.status()) == (["interrupted"], "queued")
    assert "Interrupting 1 tasks (asked to); they are given back" in caplog.text


async def test_a_task_that_was_interrupted_runs_again_elsewhere(huey: Huey, patience: Patience) -> None:
    result = await patience.task.enqueue()
    worker = huey.create_worker()
    work = asyncio.create_task(worker.run())
    await patience.started.wait()
    await worker.interrupt()
    await work
    patience.may_end.set()
    async with running(huey):
        assert await result.get(timeout=5) == "done"
    assert patience.ends == ["interrupted", "done"]


async def test_a_thread_that_cannot_be_stopped_is_left_behind(huey: Huey) -> None:
    started, may_end = threading.Event(), threading.Event()

    @huey.task
    def stubborn() -> None:
        started.set()
        may_end.wait(20)

    result = await stubborn.enqueue()
    worker = huey.create_worker(shutdown_timeout=0)
    work = asyncio.create_task(worker.run())
    await until(started.is_set)
    await worker.stop()
    await work
    may_end.set()
    assert await result.status() == "queued"


async def test_a_worker_that_was_stopped_before_it_began_does_nothing(huey: Huey, patience: Patience) -> None:
    result = await patience.task.enqueue()
    worker = huey.create_worker()
    await worker.stop()
    await worker.run()
    assert await result.status() == "queued"


async def test_stopping_twice_is_stopping_once(huey: Huey) -> None:
    async with running(huey) as worker:
        await worker.stop()
        await worker.stop()


async def test_a_worker_whose_task_is_cancelled_stops_what_it_runs(huey: Huey, patience: Patience) -> None:
    shutdowns = []
    huey.on_shutdown("note")(lambda: shutdowns.append(True))
    await patience.task.enqueue()
    work = asyncio.create_task(huey.create_worker().run())
    await patience.started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(lambda: patience.ends)
    assert (patience.ends, shutdowns) == (["interrupted"], [True])


async def test_shutdown_hooks_may_still_use_the_store(huey: Huey) -> None:
    add = huey.task(name="add")(lambda a, b: a + b)
    seen = []

    @huey.on_shutdown()
    async def enqueue_for_the_next_one() -> None:
        seen.append(await (await add.enqueue(1, 2)).status())

    await huey.create_worker(burst=True).run()
    assert seen == ["queued"]


# -- what does not stop it


def leave() -> None:
    sys.exit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


def recurse() -> None:
    recurse()


async def test_nothing_that_a_task_or_a_message_does_stops_a_worker(huey: Huey) -> None:
    """Another version of the application, a stranger, or a bug: each is one task's end."""

    @huey.post_execute()
    def broken(*_: Any) -> None:
        raise SystemExit

    @huey.task
    async def suicidal() -> None:
        me = asyncio.current_task()
        assert me is not None
        me.cancel()
        await asyncio.sleep(0)

    bad: list[Any] = [
        *(huey.task(name=body.__name__)(body) for body in (leave, interrupt, recurse)),
        huey.task(name="unspeakable")(lambda: object()),
        suicidal,
    ]
    add = huey.task(name="add")(lambda a, b: a + b)
    async with running(huey):
        storage = (await huey._parts.clients.open()).storage
        await storage.push([Envelope("garbage", b"\x80\x04K\x01."), Envelope("misfit", b'["add","",[1]]')])
        await storage.push([Envelope("unknown", b'["nobody"]')])
        results = [await task.enqueue() for task in bad]
        for result in [*results, huey.result("garbage"), huey.result("misfit")]:
            with pytest.raises(TaskException):
                await result.get(timeout=5)
        assert await (await add.enqueue(1, 2)).get(timeout=5) == 3
        states = [await huey.result(task_id).status() for task_id in ("garbage", "misfit", "unknown")]
    assert states == ["dead", "failed", "scheduled"]


async def test_tasks_enqueue_tasks(huey: Huey) -> None:
    add = huey.task(name="add")(lambda a, b: a + b)

    @huey.task
    async def total(numbers: list[int]) -> int:
        if len(numbers) == 1:
            return numbers[0]
        half = len(numbers) // 2
        results = await total.map([(numbers[:half],), (numbers[half:],)])
        return int(await (await add.enqueue(*await results)))

    async with running(huey):
        assert await (await total.enqueue(list(range(20)))).get(timeout=10) == 190


async def test_a_delayed_task_is_due_on_its_own(huey: Huey) -> None:
    """The promoter is woken by the schedule of a task, not by the next look ten seconds later."""
    add = huey.task(name="add")(lambda a, b: a + b)
    async with running(huey):
        await add.options(delay=3600).enqueue(0, 0)
        assert await (await add.options(delay=0.01).enqueue(1, 2)).get(timeout=5) == 3


async def test_a_worker_in_a_burst_does_what_is_there_and_ends(huey: Huey) -> None:
    @huey.task
    async def grow(depth: int) -> None:
        if depth:
            await grow.map([depth - 1, depth - 1])

    await grow.enqueue(5)
    await grow.options(delay=3600).enqueue(0)
    await huey.create_worker(burst=True, concurrency=3).run()
    [depth] = await huey.queues.depths()
    assert (depth.ready, depth.running, depth.scheduled) == (0, 0, 1)
