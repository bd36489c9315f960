"""The clock that tests move by hand."""

from __future__ import annotations

import asyncio

import pytest

from aqueue.testing import ManualClock


async def test_a_wait_ends_when_its_time_has_come_and_not_before() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(clock.wait(asyncio.Event(), 5))
    await clock.wait_for_waiters()
    clock.advance(4.999)
    await clock.wait_for_waiters()
    assert not waiting.done()
    clock.advance(0.001)
    assert await waiting is False


async def test_a_wait_ends_when_its_event_is_set() -> None:
    clock = ManualClock()
    event = asyncio.Event()
    waiting = asyncio.create_task(clock.wait(event, 5))
    await clock.wait_for_waiters()
    event.set()
    assert await waiting is True
    assert clock.monotonic() == 0


async def test_a_wait_for_what_is_there_already_does_not_wait() -> None:
    clock = ManualClock()
    event = asyncio.Event()
    assert await clock.wait(event, 0) is False
    assert await clock.wait(event, -1) is False
    event.set()
    assert await clock.wait(event, 5) is True


async def test_the_event_wins_when_both_come_at_once() -> None:
    clock = ManualClock()
    event = asyncio.Event()
    waiting = asyncio.create_task(clock.wait(event, 5))
    await clock.wait_for_waiters()
    event.set()
    clock.advance(5)
    assert await waiting is True


async def test_only_the_waits_that_are_due_end() -> None:
    clock = ManualClock()
    waits = [asyncio.create_task(clock.wait(asyncio.Event(), seconds)) for seconds in (1, 2, 3)]
    await clock.wait_for_waiters(3)
    clock.advance(2)
    await asyncio.gather(*waits[:2])
    assert not waits[2].done()
    clock.advance(1)
    await waits[2]


async def test_waiters_are_counted_anew_after_each_step() -> None:
    clock = ManualClock()
    rounds = []

    async def service() -> None:
        while True:
            await clock.wait(asyncio.Event(), 1)
            rounds.append(clock.monotonic())

    running = asyncio.create_task(service())
    for _ in range(3):
        await clock.wait_for_waiters()
        clock.advance(1)
    await clock.wait_for_waiters()
    assert rounds == [1, 2, 3]
    running.cancel()
    await asyncio.wait([running])


async def test_a_cancelled_wait_waits_no_longer() -> None:
    clock = ManualClock()
    cancelled = asyncio.create_task(clock.wait(asyncio.Event(), 1))
    await clock.wait_for_waiters()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    kept = asyncio.create_task(clock.wait(asyncio.Event(), 1))
    await clock.wait_for_waiters(1)
    clock.advance(1)
    assert await kept is False


def test_both_readings_move_together() -> None:
    clock = ManualClock(now_ms=5_000)
    for _ in range(1_000):
        clock.advance(0.0015)
    assert (clock.now_ms(), clock.monotonic()) == (6_500, 1.5)


def test_time_does_not_go_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(-0.001)


def test_it_serves_one_event_loop_after_another() -> None:
    clock = ManualClock()

    async def wait_a_second() -> bool:
        waiting = asyncio.create_task(clock.wait(asyncio.Event(), 1))
        await clock.wait_for_waiters()
        clock.advance(1)
        return await waiting

    assert [asyncio.run(wait_a_second()) for _ in range(3)] == [False] * 3
