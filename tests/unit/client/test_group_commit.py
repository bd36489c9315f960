"""Callers share round trips: without a timer, without disturbing each other."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from aqueue import QueueUnavailable
from aqueue.client.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Store:
    """Answers each item with its square, once it is allowed to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    async def commit(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.set()
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return [item * item for item in items]


@asynccontextmanager
async def committing(commits: GroupCommit[int, int]) -> AsyncIterator[None]:
    running = asyncio.create_task(commits.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def submit(commits: GroupCommit[int, int], item: int) -> int:
    await commits.wait_for_room()
    return await commits.submit(item)


def submit_all(commits: GroupCommit[int, int], items: range) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(submit(commits, item)) for item in items]


async def test_a_lone_call_leaves_at_once() -> None:
    store = Store()
    commits = GroupCommit(store.commit)
    async with committing(commits):
        assert await commits.submit(3) == 9
        assert await commits.submit(4) == 16
    assert store.batches == [[3], [4]]


async def test_what_arrives_while_a_batch_is_under_way_is_the_next_one() -> None:
    store = Store()
    store.may_answer.clear()
    commits = GroupCommit(store.commit)
    async with committing(commits):
        first = commits.submit(0)
        await store.begun.wait()
        others = submit_all(commits, range(1, 100))
        await asyncio.sleep(0)
        store.may_answer.set()
        assert await first == 0
        assert await asyncio.gather(*others) == [item * item for item in range(1, 100)]
    assert store.batches == [[0], list(range(1, 100))]


async def test_a_batch_has_a_largest_size_and_keeps_the_order() -> None:
    store = Store()
    commits = GroupCommit(store.commit, largest_batch=10)
    async with committing(commits):
        assert await asyncio.gather(*submit_all(commits, range(35))) == [item * item for item in range(35)]
    assert [item for batch in store.batches for item in batch] == list(range(35))
    assert max(map(len, store.batches)) == 10


async def test_a_batch_is_one_flight() -> None:
    store = Store()
    commits = GroupCommit(store.commit, content=lambda item: bytes(item * 2**18))
    async with committing(commits):
        await asyncio.gather(*submit_all(commits, range(8)))
    assert store.batches == [[0, 1, 2], [3], [4], [5], [6], [7]]


async def test_an_error_reaches_every_caller_of_its_batch_and_no_other() -> None:
    store = Store()
    commits = GroupCommit(store.commit)
    async with committing(commits):
        store.error = QueueUnavailable("down")
        replies = await asyncio.gather(*submit_all(commits, range(3)), return_exceptions=True)
        assert [type(reply) for reply in replies] == [QueueUnavailable] * 3
        store.error = None
        assert await commits.submit(5) == 25


async def test_a_cancelled_caller_disturbs_nobody() -> None:
    store = Store()
    store.may_answer.clear()
    commits = GroupCommit(store.commit)
    async with committing(commits):
        callers = submit_all(commits, range(5))
        await store.begun.wait()
        waiting = submit_all(commits, range(5, 10))
        await asyncio.sleep(0)
        for caller in (callers[2], waiting[2]):
            caller.cancel()
            await asyncio.wait([caller])
        store.may_answer.set()
        replies = await asyncio.gather(*callers, *waiting, return_exceptions=True)
    assert [reply for reply in replies if isinstance(reply, int)] == [0, 1, 9, 16, 25, 36, 64, 81]
    assert store.batches[0] == [0, 1, 2, 3, 4]


async def test_beyond_its_room_callers_wait_and_not_their_items() -> None:
    store = Store()
    store.may_answer.clear()
    commits = GroupCommit(store.commit, largest_batch=500)
    async with committing(commits):
        callers = submit_all(commits, range(10_600))
        await store.begun.wait()
        assert len(commits._items) <= 10_000
        store.may_answer.set()
        assert await asyncio.gather(*callers) == [item * item for item in range(10_600)]


async def test_a_caller_that_gives_up_on_its_room_leaves_it_to_the_next() -> None:
    store = Store()
    store.may_answer.clear()
    commits = GroupCommit(store.commit, largest_batch=10_000)
    async with committing(commits):
        callers = submit_all(commits, range(20_000))
        await store.begun.wait()
        last = submit_all(commits, range(20_000, 20_002))
        await asyncio.sleep(0)
        store.may_answer.set()
        # The first of those who waited have been let in and have not moved yet.
        for caller in callers[10_000:]:
            caller.cancel()
        replies = await asyncio.gather(*last)
    assert replies == [20_000**2, 20_001**2]


async def test_whoever_waits_for_room_hears_of_the_end() -> None:
    store = Store()
    store.may_answer.clear()
    commits = GroupCommit(store.commit)
    async with committing(commits):
        callers = submit_all(commits, range(11_000))
        await store.begun.wait()
    replies = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(reply) for reply in replies] == [QueueUnavailable] * 11_000


async def test_its_end_is_an_error_of_those_who_still_wait_and_not_a_cancellation() -> None:
    store = Store()
    store.may_answer.clear()
    commits = GroupCommit(store.commit, largest_batch=1)
    async with committing(commits):
        callers = submit_all(commits, range(3))
        await store.begun.wait()
    replies = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(reply) for reply in replies] == [QueueUnavailable] * 3


async def test_nobody_waits_for_a_reply_after_its_end() -> None:
    store = Store()
    commits = GroupCommit(store.commit)
    async with committing(commits):
        assert await commits.submit(3) == 9
    with pytest.raises(QueueUnavailable):
        await commits.submit(4)
