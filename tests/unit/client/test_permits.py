"""The permits of one event loop: lines of those who wait, renewals, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest

from aqueue import QueueUnavailable, TaskLockedException
from aqueue.client import permits
from aqueue.client.permits import Permit, Permits
from aqueue.client.subscribers import Subscribers
from aqueue.storage.memory.shared import MemorySharedState
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.protocol import Freed
from aqueue.testing import ManualClock

from ..facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aqueue.storage.shared import Grant

_MINUTE_MS = 60_000


class UnreliableSharedState(MemorySharedState):
    """SharedState that can be out of reach, whose answers can be slow, and which note who asked."""

    is_down = False
    asked: list[str]
    open_gate: asyncio.Event

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        self.asked.append(token)
        if self.is_down:
            raise QueueUnavailable("down")
        grant = await super().acquire(name, token, permits, ttl_ms)
        await self.open_gate.wait()
        return grant

    async def release(self, name: str, token: str) -> bool:
        await self.open_gate.wait()
        return await super().release(name, token)


class Bench:
    """Permits on a storage of its own, on a clock that stands still."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.storage = MemoryStorage("shop", self.clock)
        self.shared = UnreliableSharedState(self.clock, self._tell)
        self.shared.asked = []
        self.shared.open_gate = asyncio.Event()
        self.shared.open_gate.set()
        self.storage.shared = self.shared
        self.subscribers = Subscribers()
        self.permits = Permits(self.storage, self.subscribers, self._listen)
        self.listens = 0
        self.tells = True
        self._tokens = map("t{}".format, count(1))

    def _listen(self) -> None:
        self.listens += 1

    def _tell(self, event: object) -> None:
        if self.tells and isinstance(event, Freed):
            self.subscribers.tell(event)

    def permit(self, name: str = "lock", ttl_ms: int = _MINUTE_MS, permits: int = 1) -> Permit:
        return Permit(name, next(self._tokens), permits, ttl_ms)

    async def take(self, wait_ms: int = 0, name: str = "lock", ttl_ms: int = _MINUTE_MS) -> Permit:
        permit = self.permit(name, ttl_ms)
        await self.permits.take(permit, wait_ms)
        return permit

    async def pass_seconds(self, seconds: float) -> None:
        """Let time pass while something is held, and what is due then happen: in memory that takes a few turns."""
        await self.clock.wait_for_waiters()
        self.clock.advance(seconds)
        for _ in range(20):
            await asyncio.sleep(0)

    async def holders(self) -> list[str]:
        return [holder.token for holder in await self.shared.holders()]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with running(bench):
        yield bench
    assert bench.permits._lines == {}, "somebody still waits"


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permits, "_clock", bench.clock)
        async with _running(bench):
            yield


@asynccontextmanager
async def _running(bench: Bench) -> AsyncIterator[None]:
    loop = asyncio.create_task(bench.permits.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.wait([loop])


async def in_line(bench: Bench, number: int, name: str = "lock") -> None:
    await until(lambda: name in bench.permits._lines and bench.permits._lines[name].length == number)


# -- taking


async def test_a_permit_is_held_from_its_taking_to_its_giving_back(bench: Bench) -> None:
    permit = bench.permit()
    assert not permit.is_held
    await bench.permits.take(permit, 0)
    assert permit.is_held
    assert permit.fence > 0
    assert repr(permit) == f"<Permit lock fence={permit.fence} held>"
    assert await bench.permits.give_back(permit)
    assert not permit.is_held
    assert await bench.holders() == []


async def test_who_does_not_wait_is_refused_at_once_and_leaves_no_line(bench: Bench) -> None:
    await bench.take()
    with pytest.raises(TaskLockedException, match=r"^unable to acquire lock lock$") as caught:
        await bench.take()
    assert 0 < caught.value.delay <= 5, "a hint, however long the lock may be held"
    assert bench.listens == 0


async def test_a_waiter_is_refused_when_its_time_is_over(bench: Bench) -> None:
    held = await bench.take()
    with pytest.raises(TaskLockedException) as caught:
        await bench.take(wait_ms=20)
    assert caught.value.delay > 0
    assert await bench.holders() == [held.token]


async def test_those_who_wait_come_in_the_order_of_their_arrival(bench: Bench) -> None:
    held = await bench.take()
    order = []

    async def enter(number: int) -> None:
        permit = await bench.take(wait_ms=_MINUTE_MS)
        order.append(number)
        await bench.permits.give_back(permit)

    waiting = []
    for number in range(20):
        waiting.append(asyncio.create_task(enter(number)))
        await in_line(bench, number + 1)
    await bench.permits.give_back(held)
    await asyncio.gather(*waiting)
    assert order == list(range(20))


async def test_only_the_first_of_those_who_wait_asks_the_store(bench: Bench) -> None:
    held = await bench.take()
    waiting = [asyncio.create_task(bench.take(wait_ms=_MINUTE_MS)) for _ in range(100)]
    await in_line(bench, 100)
    for _ in range(10):
        bench.subscribers.tell(Freed("lock"))
        await asyncio.sleep(0)
    assert len(set(bench.shared.asked)) == 2
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await bench.permits.give_back(held)


async def test_a_line_for_one_name_holds_up_nobody_else(bench: Bench) -> None:
    held = await bench.take(name="one")
    waiting = asyncio.create_task(bench.take(wait_ms=_MINUTE_MS, name="one"))
    await in_line(bench, 1, "one")
    await bench.take(wait_ms=_MINUTE_MS, name="other")
    await bench.permits.give_back(held)
    await waiting


async def test_a_release_in_the_same_process_need_not_be_told(bench: Bench) -> None:
    bench.tells = False
    held = await bench.take()
    waiting = asyncio.create_task(bench.take(wait_ms=_MINUTE_MS))
    await in_line(bench, 1)
    await bench.permits.give_back(held)
    assert (await waiting).is_held


async def test_a_release_that_was_not_told_is_found_by_asking_again(bench: Bench) -> None:
    elsewhere = await bench.shared.acquire("lock", "elsewhere", 1, _MINUTE_MS)
    assert elsewhere.fence
    bench.tells = False
    waiting = asyncio.create_task(bench.take(wait_ms=_MINUTE_MS))
    await in_line(bench, 1)
    await bench.shared.release("lock", "elsewhere")
    await bench.clock.wait_for_waiters()
    bench.clock.advance(6)
    assert (await waiting).is_held


async def test_a_permit_that_lapses_is_found_by_asking_again(bench: Bench) -> None:
    bench.tells = False
    await bench.shared.acquire("lock", "crashed", 1, 1_000)
    waiting = asyncio.create_task(bench.take(wait_ms=_MINUTE_MS))
    await bench.clock.wait_for_waiters()
    bench.clock.advance(1.2)
    assert (await waiting).is_held


# -- cancelled, or out of reach


async def test_who_is_cancelled_in_the_line_holds_nothing_and_holds_nobody_up(bench: Bench) -> None:
    held = await bench.take()
    waiting = [asyncio.create_task(bench.take(wait_ms=_MINUTE_MS)) for _ in range(3)]
    await in_line(bench, 3)
    waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.wait(waiting[:2])
    await bench.permits.give_back(held)
    last = await waiting[2]
    assert await bench.holders() == [last.token]


@pytest.mark.parametrize("wait_ms", [0, _MINUTE_MS])
async def test_what_was_granted_to_somebody_who_is_cancelled_is_released(bench: Bench, wait_ms: int) -> None:
    bench.shared.open_gate.clear()
    asking = asyncio.create_task(bench.take(wait_ms))
    await until(bench.holders)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    bench.shared.open_gate.set()
    await until(lambda: not bench.permits._releases)
    assert await bench.holders() == []


async def test_a_release_is_carried_out_though_its_caller_is_cancelled(bench: Bench) -> None:
    permit = await bench.take()
    bench.shared.open_gate.clear()
    giving = asyncio.create_task(bench.permits.give_back(permit))
    await until(lambda: bench.permits._releases)
    giving.cancel()
    await asyncio.wait([giving])
    bench.shared.open_gate.set()
    await until(lambda: not bench.permits._releases)
    assert await bench.holders() == []


async def test_an_outage_is_an_error_for_who_asks(bench: Bench) -> None:
    bench.shared.is_down = True
    for wait_ms in (0, _MINUTE_MS):
        with pytest.raises(QueueUnavailable):
            await bench.take(wait_ms)


async def test_closing_ends_every_wait_with_an_error() -> None:
    bench = Bench()
    async with running(bench):
        await bench.take()
        waiting = [asyncio.create_task(bench.take(wait_ms=_MINUTE_MS)) for _ in range(3)]
        await in_line(bench, 3)
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [QueueUnavailable] * 3


async def test_closing_carries_out_what_is_under_way() -> None:
    bench = Bench()
    async with running(bench):
        permit = await bench.take()
        bench.shared.open_gate.clear()
        giving = asyncio.create_task(bench.permits.give_back(permit))
        await until(lambda: bench.permits._releases)
        asyncio.get_running_loop().call_later(0.05, bench.shared.open_gate.set)
    assert bench.permits._releases == set()
    assert await giving


# -- renewing


async def test_what_is_held_is_renewed(bench: Bench) -> None:
    first = await bench.take()
    await bench.pass_seconds(10)
    later = await bench.take(name="other", ttl_ms=_MINUTE_MS // 2)
    for _ in range(30):
        await bench.pass_seconds(10)
        assert first.is_held
        assert later.is_held
    assert sorted(await bench.holders()) == [first.token, later.token]


async def test_what_is_taken_later_and_lapses_earlier_is_renewed_in_time(bench: Bench) -> None:
    await bench.take(ttl_ms=60 * _MINUTE_MS)
    await bench.clock.wait_for_waiters()
    short = await bench.take(name="other", ttl_ms=3_000)
    for _ in range(5):
        await bench.pass_seconds(1)
    assert short.is_held
    assert short.token in await bench.holders()


async def test_what_was_given_back_is_not_renewed(bench: Bench) -> None:
    released, kept = await bench.take(), await bench.take(name="other")
    await bench.permits.give_back(released)
    bench.shared.asked.clear()
    await bench.pass_seconds(20)
    assert bench.shared.asked == [kept.token]


async def test_what_was_given_back_elsewhere_is_not_renewed(bench: Bench) -> None:
    """An application may be closed and opened again while a permit is held."""
    permit, kept = await bench.take(), await bench.take(name="other")
    assert await Permits(bench.storage, bench.subscribers, bench._listen).give_back(permit)
    bench.shared.asked.clear()
    await bench.pass_seconds(20)
    assert bench.shared.asked == [kept.token]


async def test_a_permit_that_somebody_else_got_is_lost(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    permit = await bench.take()
    bench.shared._facts.clear()
    assert (await bench.shared.acquire("lock", "other", 1, _MINUTE_MS)).fence > permit.fence
    assert permit.is_held, "nobody knows yet"
    await bench.pass_seconds(20)
    assert not permit.is_held
    assert "Lock lock was lost: it was not renewed within 60 s" in caplog.text
    assert not await bench.permits.give_back(permit)
    assert await bench.holders() == ["other"]


async def test_a_permit_that_lapsed_in_between_is_lost_though_nobody_took_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    permit = await bench.take()
    bench.shared._facts.clear()
    await bench.pass_seconds(20)
    assert not permit.is_held
    assert "Lock lock was lost" in caplog.text
    await until(lambda: not bench.permits._releases)
    assert await bench.holders() == []


async def test_a_permit_that_cannot_be_renewed_is_held_no_longer_than_it_was_granted_for(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "aqueue.locks")
    permit = await bench.take()
    bench.shared.is_down = True
    await bench.pass_seconds(20)
    assert "Lock lock could not be renewed: down" in caplog.text
    await bench.pass_seconds(39)
    assert permit.is_held
    await bench.pass_seconds(1)
    assert not permit.is_held


async def test_a_short_outage_loses_no_permit(bench: Bench) -> None:
    permit = await bench.take()
    bench.shared.is_down = True
    await bench.pass_seconds(20)
    await bench.pass_seconds(30)
    bench.shared.is_down = False
    await bench.pass_seconds(1)
    await bench.pass_seconds(20)
    assert permit.is_held
    assert await bench.holders() == [permit.token]
