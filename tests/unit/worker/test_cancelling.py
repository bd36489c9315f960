"""A task that is cancelled where it runs: it stops, it gets one verdict, and hooks hear why."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import orjson
import pytest

from aqueue import CancelExecution, Huey, State, TaskException, TaskRun
from aqueue.worker.services.heartbeat import Heartbeat

from ...tour.running import running
from ..facts import until
from .bench import Bench


async def verdict_of(bench: Bench, task_id: str) -> State | None:
    """The state of a task once nothing runs and nothing is left to settle."""
    await bench.dispatcher.wait_until_idle()
    await bench.settler.wait_until_below(1)
    assert bench.held == {}
    return await bench.state(task_id)


def holding(bench: Bench, swallows: bool = False) -> tuple[Any, asyncio.Event]:
    """A task that waits for ever, and an event that says that it runs."""
    started = asyncio.Event()

    @bench.huey.task(name="hold", retries=5)
    async def hold() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not swallows:
                raise
        return "all the same"

    return hold, started


# -- in the dispatcher


async def test_a_running_body_is_cancelled_and_not_retried(bench: Bench) -> None:
    hold, started = holding(bench)
    task_id = await bench.push(hold)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await started.wait()
        bench.dispatcher.cancel("another")
        bench.dispatcher.cancel(task_id)
        bench.dispatcher.cancel(task_id)
        assert await verdict_of(bench, task_id) is State.CANCELLED


async def test_a_cancellation_that_overtakes_its_delivery_keeps_it_from_starting(bench: Bench) -> None:
    hold, started = holding(bench)
    task_id = await bench.push(hold)
    async with bench.serving():
        deliveries = await bench.pull()
        await bench.storage.cancel(task_id, b"", 60_000, "")
        bench.dispatcher.cancel(task_id)
        bench.dispatcher.start(deliveries)
        assert await verdict_of(bench, task_id) is State.CANCELLED
    assert not started.is_set()


async def test_a_body_that_swallows_the_cancellation_keeps_its_one_verdict(bench: Bench) -> None:
    hold, started = holding(bench, swallows=True)
    task_id = await bench.push(hold)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await started.wait()
        await bench.storage.cancel(task_id, b"", 60_000, "")
        bench.dispatcher.cancel(task_id)
        assert await verdict_of(bench, task_id) is State.DONE
    assert not await bench.storage.cancel(task_id, b"", 60_000, "")
    assert bench.storage.settled == [bench.storage.settled[0]]


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aqueue.worker.execution.overdue.GRACE_SECONDS", 0.05)


class Clinging:
    """A task that goes on after its cancellation, until it may end."""

    def __init__(self, huey: Huey, **options: Any) -> None:
        self.may_end = asyncio.Event()
        self.begun = self.ended = 0

        @huey.task(name="cling", **options)
        async def cling() -> str:
            self.begun += 1
            while not self.may_end.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.may_end.wait()
            self.ended += 1
            return "too late"

        self.task = cling


@pytest.mark.usefixtures("no_grace")
async def test_a_body_that_goes_on_after_its_timeout_gets_its_verdict_and_keeps_its_slot(
    huey: Huey, caplog: pytest.LogCaptureFixture
) -> None:
    clinging = Clinging(huey, timeout=0.05)
    heard: list[Any] = []

    @huey.post_execute()
    def after(task: TaskRun, value: Any, exception: BaseException | None) -> None:
        heard.append((task.name, value, type(exception).__name__))

    async def says_one_is_stuck() -> bool:
        [known] = await huey.queues.workers()
        return bool(orjson.loads(known.description)["stuck"] == 1)

    async with running(huey, concurrency=2) as worker:
        result = await clinging.task.enqueue()
        with pytest.raises(TaskException, match=r"timeout 0\.05s"):
            await result.get(timeout=5)
        assert worker._fetcher is not None
        dispatcher = worker._fetcher._dispatcher
        await until(lambda: not dispatcher.is_busy and not dispatcher.held)
        assert (dispatcher.stuck, dispatcher.free, clinging.ended) == (1, 1, 0)
        assert worker._heartbeat is not None
        worker._heartbeat.beat_now()
        await until(says_one_is_stuck)
        clinging.may_end.set()
        await until(lambda: (dispatcher.stuck, dispatcher.free) == (0, 2))
        assert clinging.ended == 1
        with pytest.raises(TaskException, match=r"timeout 0\.05s"):
            await huey.result(result.id).get(timeout=5)
    assert heard == [("cling", None, "TaskTimeout")]
    assert "cling) goes on 0.05 s after it was stopped (TaskTimeout" in caplog.text


@pytest.mark.usefixtures("no_grace")
async def test_a_body_that_goes_on_after_its_timeout_is_retried_beside_it(huey: Huey) -> None:
    clinging = Clinging(huey, timeout=0.05, retries=1)
    async with running(huey, concurrency=2) as worker:
        result = await clinging.task.enqueue()
        with pytest.raises(TaskException) as caught:
            await result.get(timeout=5)
        assert (caught.value.metadata["attempt"], clinging.begun, clinging.ended) == (2, 2, 0)
        # Both slots are lost, and a worker that is asked to stop does not wait for them.
        assert worker._fetcher is not None
        assert worker._fetcher._dispatcher.free == 0
        clinging.may_end.set()


@pytest.mark.usefixtures("no_grace")
async def test_a_body_that_ends_while_its_retry_is_announced_leaves_the_lease_to_that(huey: Huey) -> None:
    clinging = Clinging(huey, timeout=0.05, retries=1)
    announced, may_go_on = asyncio.Event(), asyncio.Event()

    @huey.post_execute()
    async def after(task: TaskRun, value: Any, exception: BaseException | None) -> None:
        announced.set()
        await may_go_on.wait()

    async with running(huey, concurrency=2) as worker:
        result = await clinging.task.enqueue()
        await announced.wait()
        assert worker._fetcher is not None
        dispatcher = worker._fetcher._dispatcher
        clinging.may_end.set()
        await until(lambda: dispatcher.stuck == 0)
        assert [held.delivery.id for held in dispatcher.held.values()] == [result.id]
        may_go_on.set()
        with contextlib.suppress(TaskException):
            await result.get(timeout=5)
        await until(lambda: not dispatcher.held)


@pytest.mark.usefixtures("no_grace")
async def test_a_body_that_goes_on_after_its_cancellation_is_cancelled_for_callers(huey: Huey) -> None:
    clinging = Clinging(huey)
    async with running(huey, concurrency=2):
        result = await clinging.task.enqueue()
        await until(lambda: clinging.begun == 1)
        assert await result.cancel()
        with pytest.raises(TaskException) as caught:
            await result.get(timeout=5)
        assert caught.value.state == "cancelled"
        clinging.may_end.set()


async def test_an_error_on_the_way_out_does_not_hide_the_cancellation(bench: Bench) -> None:
    started = asyncio.Event()

    @bench.huey.task(retries=5)
    async def messy() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    task_id = await bench.push(messy)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await started.wait()
        bench.dispatcher.cancel(task_id)
        assert await verdict_of(bench, task_id) is State.CANCELLED


async def test_what_a_task_does_to_clean_up_is_not_disturbed(bench: Bench) -> None:
    started, cleaning, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    cleaned_up: list[bool] = []

    @bench.huey.task()
    async def careful() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await may_end.wait()
            cleaned_up.append(True)

    task_id = await bench.push(careful)
    async with bench.serving():
        [delivery] = await bench.pull()
        bench.dispatcher.start([delivery])
        await started.wait()
        bench.dispatcher.cancel(task_id)
        await cleaning.wait()
        # The heartbeat says it again and again.
        bench.dispatcher.cancel_these([delivery.receipt])
        asyncio.get_running_loop().call_soon(may_end.set)
        assert await verdict_of(bench, task_id) is State.CANCELLED
    assert cleaned_up == [True]


async def test_a_thread_is_left_behind_and_its_task_has_its_verdict_at_once(bench: Bench) -> None:
    started, may_end = threading.Event(), threading.Event()

    @bench.huey.task()
    def block() -> None:
        started.set()
        may_end.wait(30)

    task_id = await bench.push(block)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await until(started.is_set)
        bench.dispatcher.cancel(task_id)
        try:
            assert await verdict_of(bench, task_id) is State.CANCELLED
        finally:
            may_end.set()


async def test_what_waits_for_a_slot_needs_none_to_be_cancelled() -> None:
    bench = Bench(concurrency=1)
    hold, started = holding(bench)
    first, second = await bench.push(hold), await bench.push(hold)
    async with bench.serving():
        bench.dispatcher.start(await bench.pull())
        await started.wait()
        assert await bench.storage.cancel(second, b"", 60_000, "")
        bench.dispatcher.cancel(second)
        await until(lambda: len(bench.held) == 1)
        assert (await bench.state(first), await bench.state(second)) == (State.RUNNING, State.CANCELLED)
        bench.dispatcher.cancel(first)
        assert await verdict_of(bench, first) is State.CANCELLED


async def test_a_task_in_its_last_hooks_is_not_cancelled_any_more(bench: Bench) -> None:
    in_hook, may_end = asyncio.Event(), asyncio.Event()
    seen: list[Any] = []

    @bench.huey.post_execute()
    async def after(task: TaskRun, value: Any, exception: BaseException | None) -> None:
        in_hook.set()
        await may_end.wait()
        seen.append(value)

    @bench.huey.task()
    async def five() -> int:
        return 5

    task_id = await bench.push(five)
    async with bench.serving():
        [delivery] = await bench.pull()
        bench.dispatcher.start([delivery])
        await in_hook.wait()
        bench.dispatcher.cancel_these([delivery.receipt])
        asyncio.get_running_loop().call_soon(may_end.set)
        assert await verdict_of(bench, task_id) is State.DONE
    assert seen == [5]


async def test_a_cancel_that_nobody_heard_arrives_with_the_heartbeat(bench: Bench) -> None:
    hold, started = holding(bench)
    task_id = await bench.push(hold)
    dispatcher = bench.dispatcher
    heartbeat = Heartbeat(bench.intake, lambda: b"", bench.held, dispatcher.lose, dispatcher.cancel_these)
    dispatcher.start(await bench.pull())
    await started.wait()
    assert await bench.storage.cancel(task_id, b"", 60_000, "")
    async with bench.serving(heartbeat.run()):
        assert await verdict_of(bench, task_id) is State.CANCELLED


async def test_a_cancelled_task_of_a_vanished_worker_does_not_start_again(bench: Bench) -> None:
    hold, started = holding(bench)
    task_id = await bench.push(hold)
    await bench.crash(1)
    assert await bench.storage.cancel(task_id, b"", 60_000, "")
    async with bench.serving():
        bench.dispatcher.start(await bench.intake.reclaim(10))
        assert await verdict_of(bench, task_id) is State.CANCELLED
    assert not started.is_set()


# -- in a whole worker


async def test_hooks_see_that_a_running_task_was_cancelled(huey: Huey) -> None:
    started = asyncio.Event()
    seen: list[BaseException | None] = []

    @huey.post_execute()
    def after(task: TaskRun, value: Any, exception: BaseException | None) -> None:
        seen.append(exception)

    @huey.task()
    async def hold() -> None:
        started.set()
        await asyncio.Event().wait()

    async with running(huey):
        result = await hold.enqueue()
        await started.wait()
        assert await result.cancel()
        with pytest.raises(TaskException) as caught:
            await result
        assert (caught.value.state, caught.value.type) == ("cancelled", "CancelExecution")
        await until(lambda: seen)
    assert [type(exception) for exception in seen] == [CancelExecution]


async def test_a_task_that_fails_while_it_is_cancelled_does_not_wait_for_its_retry(huey: Huey) -> None:
    """The request and the put-back cross each other: the task comes back at once, and is ended then."""
    started = asyncio.Event()

    @huey.task(retries=5, retry_delay=3600)
    async def fail() -> None:
        started.set()
        await huey.cancel(task_id)
        raise ValueError

    task_id = "chosen"
    async with running(huey):
        result = await fail.options(id=task_id).enqueue()
        await started.wait()
        with pytest.raises(TaskException) as caught:
            await result.get(timeout=5)
    assert caught.value.state == "cancelled"
