"""The sign of life: from a thread of its own, whatever the event loop does."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from aqueue import QueueUnavailable
from aqueue.core.message import Envelope
from aqueue.worker.execution.held import HeldDelivery
from aqueue.worker.services.heartbeat import Heartbeat

from ...facts import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aqueue.core.message import Receipt
    from aqueue.storage.protocol import Intake

    from ..bench import Bench


# It beats three times in one.
_LEASE_MS = 3


def brisk(bench: Bench) -> Intake:
    return bench.storage.open_intake("worker", ["default"], _LEASE_MS)


class LeaseKeepers:
    """What the heartbeat's thread does. `act` is called in it, before each renewal."""

    def __init__(self) -> None:
        self.count = 0
        self.closed = 0
        self.act: Callable[[], object] = lambda: None
        self._beaten = threading.Condition()

    def before(self) -> None:
        with self._beaten:
            self.count += 1
            self._beaten.notify_all()
        self.act()

    def wait_for(self, count: int) -> None:
        """Block this thread until there were `count` more beats."""
        with self._beaten:
            wanted = self.count + count
            assert self._beaten.wait_for(lambda: self.count >= wanted, 20)


@pytest.fixture
def keepers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[LeaseKeepers]:
    keepers = LeaseKeepers()
    monkeypatch.setattr("aqueue.worker.services.heartbeat._PAUSE_SECONDS", 0.5)
    bench.storage.on_beat = keepers.before
    bench.storage.on_pulse_closed = lambda: setattr(keepers, "closed", keepers.closed + 1)
    yield keepers
    for thread in threading.enumerate():
        if thread.name == "aqueue-heartbeat":
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def lost() -> list[Receipt]:
    return []


def unexpected(receipts: list[Receipt]) -> None:
    raise AssertionError(f"nothing was cancelled, and these are to be: {receipts}")


@pytest.fixture
def heartbeat(bench: Bench, lost: list[Receipt]) -> Heartbeat:
    return Heartbeat(brisk(bench), lambda: b"description", bench.held, lost.extend, unexpected)


async def hold(bench: Bench, count: int) -> list[Receipt]:
    await bench.storage.push([Envelope(f"t{number}", b"") for number in range(count)])
    deliveries = await bench.pull(count)
    bench.held.update({delivery.receipt: HeldDelivery(delivery) for delivery in deliveries})
    return list(bench.held)


async def test_what_is_held_keeps_its_lease(bench: Bench, heartbeat: Heartbeat, keepers: LeaseKeepers) -> None:
    receipts = await hold(bench, 3)
    async with bench.serving(heartbeat.run()):
        bench.clock.advance(1_000)
        await asyncio.to_thread(keepers.wait_for, 2)
        tasks = [bench.storage._lent[receipt] for receipt in receipts]
        assert {task.leased_until_ms for task in tasks} == {bench.clock.now_ms() + _LEASE_MS}


async def test_the_worker_is_seen_with_its_description(
    bench: Bench, heartbeat: Heartbeat, keepers: LeaseKeepers
) -> None:
    async with bench.serving(heartbeat.run()):
        await asyncio.to_thread(keepers.wait_for, 2)
        [worker] = await bench.storage.workers()
    assert (worker.consumer, worker.description, worker.seen_ms) == ("worker", b"description", 0)


async def test_a_blocked_event_loop_does_not_stop_it(bench: Bench, heartbeat: Heartbeat, keepers: LeaseKeepers) -> None:
    await hold(bench, 1)
    async with bench.serving(heartbeat.run()):
        await until(lambda: keepers.count)
        keepers.wait_for(5)  # in the loop's own thread


async def test_what_is_lost_is_told_in_the_event_loop(bench: Bench, keepers: LeaseKeepers, lost: list[Receipt]) -> None:
    [_, gone] = await hold(bench, 2)
    del bench.storage._lent[gone]
    told_in = []

    def lose(receipts: list[Receipt]) -> None:
        lost.extend(receipts)
        told_in.append(threading.current_thread())

    heartbeat = Heartbeat(brisk(bench), lambda: b"", bench.held, lose, unexpected)
    async with bench.serving(heartbeat.run()):
        await until(lambda: lost)
    assert set(lost) == {gone}
    assert set(told_in) == {threading.current_thread()}


@pytest.mark.parametrize("error", [QueueUnavailable("down"), ValueError("unforeseen")])
async def test_an_error_does_not_end_it(
    bench: Bench, heartbeat: Heartbeat, keepers: LeaseKeepers, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    keepers.act = fail
    async with bench.serving(heartbeat.run()):
        await asyncio.to_thread(keepers.wait_for, 3)
        assert await bench.storage.workers() == []
        keepers.act = lambda: None
        await asyncio.to_thread(keepers.wait_for, 2)
        assert len(await bench.storage.workers()) == 1
    assert "could not be renewed: down" in caplog.text or "The heartbeat failed, and goes on" in caplog.text


async def test_tasks_may_come_and_go_while_it_beats(bench: Bench, heartbeat: Heartbeat, keepers: LeaseKeepers) -> None:
    receipts = await hold(bench, 200)
    async with bench.serving(heartbeat.run()):
        for _ in range(20):
            kept = dict(bench.held)
            for receipt in receipts:
                bench.held.pop(receipt, None)
            await asyncio.sleep(0)
            bench.held.update(kept)
        await asyncio.to_thread(keepers.wait_for, 1)


async def test_it_ends_with_its_task_and_gives_its_connection_back(
    bench: Bench, heartbeat: Heartbeat, keepers: LeaseKeepers
) -> None:
    async with bench.serving(heartbeat.run()):
        await until(lambda: keepers.count)
    assert keepers.closed == 1
    seen = keepers.count
    await asyncio.sleep(0)
    assert keepers.count == seen


def test_a_store_that_keeps_it_waiting_does_not_keep_the_loop_from_ending(
    bench: Bench, heartbeat: Heartbeat, keepers: LeaseKeepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.worker.services.heartbeat._PAUSE_SECONDS", 0.001)
    may_answer = threading.Event()
    keepers.act = lambda: may_answer.wait(20)

    async def work() -> None:
        async with bench.serving(heartbeat.run()):
            await until(lambda: keepers.count)

    asyncio.run(work())
    [thread] = [thread for thread in threading.enumerate() if thread.name == "aqueue-heartbeat"]
    assert thread.daemon
    may_answer.set()
    thread.join(20)
    assert keepers.closed == 1


async def test_leases_are_renewed_even_if_the_worker_cannot_describe_itself(
    bench: Bench, keepers: LeaseKeepers, caplog: pytest.LogCaptureFixture
) -> None:
    await hold(bench, 1)
    descriptions = iter([b"first"])
    heartbeat = Heartbeat(brisk(bench), lambda: next(descriptions), bench.held, unexpected, unexpected)
    async with bench.serving(heartbeat.run()):
        await asyncio.to_thread(keepers.wait_for, 3)
        [worker] = await bench.storage.workers()
    assert worker.description == b"first"
    assert "cannot describe itself" in caplog.text
