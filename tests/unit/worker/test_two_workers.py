"""Two workers of one application in one event loop, on every store: neither takes anything from the other."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from aqueue import TaskException, current_task

from ..facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aqueue import Huey
    from aqueue.worker.worker import Worker

# Long enough for neither a heartbeat nor a reclaim to be what a test waits for.
LONG_LEASE = 600.0
SHORT_LEASE = 0.6


@pytest.fixture
def huey(huey_on_any_store: Huey, monkeypatch: pytest.MonkeyPatch) -> Huey:
    monkeypatch.setattr("aqueue.worker.options.SHORTEST_LEASE_SECONDS", 0.1)
    # What is not heard is not noticed later either.
    monkeypatch.setattr("aqueue.worker.services.promoter.LONGEST_SLEEP_SECONDS", 3600)
    return huey_on_any_store


@pytest.fixture
def stage(huey: Huey) -> Stage:
    return Stage(huey)


class Stage:
    """Tasks that say in which worker they run, and wait until they may end."""

    def __init__(self, huey: Huey) -> None:
        self.begun: list[tuple[str, str]] = []
        self.may_end = asyncio.Event()

        @huey.task
        async def hold(name: str) -> None:
            self.note(name)
            await self.may_end.wait()

        @huey.task
        async def act(name: str) -> str:
            self.note(name)
            return name

        self.hold, self.act = hold, act

    def note(self, name: str) -> None:
        run = current_task()
        assert run is not None
        self.begun.append((name, run.delivery.receipt.consumer))


@asynccontextmanager
async def working(huey: Huey, *queues: str, lease: float = LONG_LEASE) -> AsyncIterator[Worker]:
    """A worker that reads `queues`, until the block ends."""
    worker = huey.create_worker(queues=queues, lease=lease, shutdown_timeout=5)
    work = asyncio.create_task(worker.run())
    try:
        await worker.ready.wait()
        yield worker
    finally:
        await worker.stop()
        await work


async def test_each_runs_the_tasks_of_its_own_queues(huey: Huey, stage: Stage) -> None:
    async with huey, working(huey, "a") as a, working(huey, "b") as b:
        calls = [stage.act.options(queue=queue).enqueue(f"{queue}{n}") for n in range(10) for queue in "ab"]
        results = await asyncio.gather(*calls)
        await asyncio.gather(*(result.get(timeout=30) for result in results))
    consumers = {"a": a.consumer, "b": b.consumer}
    assert sorted(stage.begun) == sorted((f"{queue}{n}", consumers[queue]) for n in range(10) for queue in "ab")


async def test_a_cancel_reaches_the_tasks_of_both_at_once(huey: Huey, stage: Stage) -> None:
    async with huey, working(huey, "a"), working(huey, "b"):
        held = [await stage.hold.options(queue=queue).enqueue(queue) for queue in "ab"]
        await until(lambda: len(stage.begun) == 2)
        for result in held:
            assert await result.cancel()
            with pytest.raises(TaskException):
                await result.get(timeout=30)


@pytest.mark.parametrize("stopped", [0, 1])
async def test_a_due_task_starts_when_it_is_due_after_either_has_stopped(
    huey: Huey, stage: Stage, stopped: int
) -> None:
    async with huey:
        blocks = [AsyncExitStack(), AsyncExitStack()]
        workers = [await block.enter_async_context(working(huey, "a")) for block in blocks]
        await blocks.pop(stopped).aclose()
        async with blocks[0]:
            result = await stage.act.options(queue="a", delay=0.3).enqueue("due")
            assert await result.get(timeout=30) == "due"
    assert stage.begun == [("due", workers[1 - stopped].consumer)]


async def test_a_short_lease_of_one_takes_no_running_task_from_the_other(huey: Huey, stage: Stage) -> None:
    async with huey:
        storage = (await huey._parts.clients.open()).storage
        async with working(huey, "long") as patient:
            held = await stage.hold.options(queue="long").enqueue("held")
            await until(lambda: stage.begun)
            lost = await stage.act.options(queue="short").enqueue("lost")
            gone = storage.open_intake("gone", ["short"], round(SHORT_LEASE * 1000))
            assert len(await gone.pull(1, 0)) == 1
            async with working(huey, "long", "short", lease=SHORT_LEASE) as quick:
                # By then the task that is held has not been renewed for longer than the one that was lost.
                assert await lost.get(timeout=30) == "lost"
                assert stage.begun == [("held", patient.consumer), ("lost", quick.consumer)]
                stage.may_end.set()
                await held.get(timeout=30)
    assert len(stage.begun) == 2


async def test_they_share_plain_calls_that_neither_has_threads_for(huey: Huey) -> None:
    ran: Counter[str] = Counter()
    may_end = threading.Event()

    @huey.task
    def plain() -> bool:
        run = current_task()
        assert run is not None
        ran[run.delivery.receipt.consumer] += 1
        return may_end.wait(20)

    results = await huey.enqueue_many([plain.s() for _ in range(64)])
    async with working(huey, "default"), working(huey, "default"):
        # Each has its sixteen threads busy before anything ends: none waits for a worker that has no thread for it.
        await until(lambda: ran.total() == 32)
        assert list(ran.values()) == [16, 16]
        may_end.set()
        assert await results == [True] * 64
    assert min(ran.values()) >= 24
