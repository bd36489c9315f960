"""Tasks that wait for the results of others: their slots are used meanwhile, and no more."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from contextvars import ContextVar

import pytest

from aqueue import Huey, Result, ResultTimeout, TaskException
from aqueue.worker.execution import lending

from ...tour.running import running
from ..facts import until


async def test_parents_that_take_all_slots_get_the_results_of_their_children(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store

    @huey.task
    async def child(number: int) -> int:
        return number

    @huey.task
    async def parent(number: int) -> int:
        return await (await child.enqueue(number))

    async with running(huey, concurrency=4):
        parents = await huey.enqueue_many([parent.s(number) for number in range(12)])
        assert await parents.get(timeout=10) == list(range(12))


async def test_plain_parents_lend_their_threads(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store

    @huey.task
    def child(number: int) -> int:
        return number

    @huey.task
    def parent(number: int) -> int:
        return child.enqueue_sync(number).get(timeout=10)

    async with running(huey, concurrency=4, threads=2):
        parents = await huey.enqueue_many([parent.s(number) for number in range(6)])
        assert await parents.get(timeout=10) == list(range(6))
    await asyncio.to_thread(huey.sync.close)


async def test_children_may_have_children_to_any_depth(huey: Huey) -> None:
    @huey.task
    async def sum_to(number: int) -> int:
        return number + (await (await sum_to.enqueue(number - 1)) if number else 0)

    async with running(huey, concurrency=1):
        assert await (await sum_to.enqueue(8)).get(timeout=10) == 36


@pytest.mark.parametrize("how", ["a gather", "a group", "in the order of their ends", "the progress"])
async def test_a_parent_may_wait_in_any_way(huey: Huey, how: str) -> None:
    @huey.task
    async def child(number: int) -> int:
        return number

    async def wait(results: list[Result[int]]) -> list[int]:
        return list(await asyncio.gather(*results))

    @huey.task
    async def parent() -> list[int]:
        group = await huey.enqueue_many([child.s(number) for number in range(5)])
        if how == "a group":
            return await group
        if how == "in the order of their ends":
            return sorted([await result async for result in group.as_completed()])
        if how == "the progress":
            assert [step async for step in group[0].progress()] == []
        return await wait(list(group))

    async with running(huey, concurrency=1):
        assert await (await parent.enqueue()).get(timeout=5) == [0, 1, 2, 3, 4]


async def test_no_more_are_active_than_there_are_slots(huey: Huey) -> None:
    active, most = 0, 0

    async def work() -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        active -= 1

    @huey.task
    async def child() -> None:
        await work()

    @huey.task
    async def parent() -> None:
        await work()
        await (await child.enqueue())
        await work()
        await asyncio.gather(*[await child.enqueue() for _ in range(3)])
        await work()

    async with running(huey, concurrency=2):
        await (await huey.enqueue_many([parent.s() for _ in range(10)])).get(timeout=10)
    assert most == 2


async def test_a_parent_whose_wait_ends_without_a_result_has_its_slot_again(huey: Huey) -> None:
    may_end = asyncio.Event()

    @huey.task
    async def child() -> None:
        await may_end.wait()

    @huey.task
    async def parent() -> str:
        with pytest.raises(ResultTimeout):
            await (await child.enqueue()).get(timeout=0.05)
        may_end.set()
        return "went on"

    async with running(huey, concurrency=1) as worker:
        assert await (await parent.enqueue()).get(timeout=5) == "went on"
        assert worker._fetcher is not None
        dispatcher = worker._fetcher._dispatcher
        await until(lambda: dispatcher.free == 1)


async def test_a_wait_that_a_task_leaves_behind_lends_nothing(huey: Huey) -> None:
    left: list[asyncio.Future[None]] = []

    @huey.task
    async def never() -> None: ...

    @huey.task
    async def parent() -> None:
        result = await never.options(delay=3600).enqueue()
        left.append(asyncio.ensure_future(result.get()))
        client = await huey._parts.clients.open()
        await until(lambda: result.id in client._waiters)

    async with running(huey, concurrency=2) as worker:
        await (await huey.enqueue_many([parent.s() for _ in range(5)])).get(timeout=5)
        assert worker._fetcher is not None
        dispatcher = worker._fetcher._dispatcher
        await until(lambda: dispatcher.free == 2)
        for wait in left:
            wait.cancel()
        await asyncio.wait(left)
        await asyncio.sleep(0)
        assert dispatcher.free == 2


async def test_a_thread_that_was_left_behind_while_it_waited_counts_once(huey: Huey) -> None:
    may_end = threading.Event()

    @huey.task
    async def never() -> None: ...

    @huey.task(timeout=0.1)
    def parent() -> None:
        result = huey.sync.enqueue(never.options(delay=3600).s())
        # The end of the run ends the wait, too.
        with pytest.raises(CancelledError):
            result.get(timeout=10)
        may_end.wait(10)

    async with running(huey, threads=2) as worker:
        await (await parent.enqueue()).get_raw_result(timeout=5)
        assert worker._fetcher is not None
        [threads, _] = worker._fetcher._slots
        assert (threads.lost, threads.places) == (1, 3)
        may_end.set()
        await until(lambda: (threads.lost, threads.places) == (0, 4))
    await asyncio.to_thread(huey.sync.close)


async def test_parents_that_cannot_lend_their_slots_are_named(
    huey: Huey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lending, "_MOST_LOANS_PER_SLOT", 1)

    @huey.task(name="chain")
    async def chain(number: int) -> int:
        return await (await chain.enqueue(number - 1)) if number else 0

    async with running(huey, concurrency=1, shutdown_timeout=0):
        await chain.enqueue(3)
        await until(lambda: "keeps its slot" in caplog.text)
    assert "1 tasks wait for the results of others, and their slots are lent out: chain (1)" in caplog.text


async def test_a_parent_whose_time_is_up_leaves_no_thread_that_waits_for_ever(huey: Huey) -> None:
    ended = threading.Event()

    @huey.task
    def child() -> int:
        return 1

    @huey.task(timeout=0.2)
    def parent() -> int:
        try:
            # It is due after the time of the parent, which has the only thread.
            return huey.sync.enqueue(child.options(delay=1).s()).get()
        finally:
            ended.set()

    async with running(huey, concurrency=4, threads=1):
        with pytest.raises(TaskException, match=r"timeout 0\.2s"):
            await (await parent.enqueue()).get(timeout=5)
        assert await (await child.enqueue()).get(timeout=5) == 1
        assert ended.is_set()
    await asyncio.to_thread(huey.sync.close)


async def test_a_plain_parent_goes_on_while_its_child_keeps_the_only_thread(huey: Huey) -> None:
    may_end = threading.Event()

    @huey.task(timeout=0.2)
    def child() -> None:
        may_end.wait(20)

    @huey.task
    def parent() -> str:
        try:
            child.enqueue_sync().get(timeout=10)
        except TaskException as error:
            return str(error.metadata["error"])
        return ""

    async with running(huey, concurrency=4, threads=1):
        assert "timeout 0.2s" in await (await parent.enqueue()).get(timeout=5)
        may_end.set()
    await asyncio.to_thread(huey.sync.close)


async def test_a_run_does_not_see_the_context_of_the_run_whose_wait_freed_its_slot(huey: Huey) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="")
    began = asyncio.Event()

    @huey.task
    async def child() -> str:
        return tenant.get()

    @huey.task
    async def parent() -> str:
        tenant.set("acme")
        began.set()
        return await (await child.enqueue()).get(timeout=10)

    async with running(huey, concurrency=1):
        result = await parent.enqueue()
        await began.wait()
        stranger = await child.enqueue()
        assert (await result.get(timeout=5), await stranger.get(timeout=5)) == ("", "")
