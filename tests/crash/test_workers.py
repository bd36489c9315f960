"""What happens to tasks when their worker is killed, frozen, blocked or stopped."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import TaskException

from .app import second
from .rig import LEASE, until

if TYPE_CHECKING:
    from .rig import Rig, WorkerProcess

# From the kill: the lease has to run out, and somebody looks every quarter of one.
RECOVERY_SECONDS = 1.25 * LEASE
SLACK_SECONDS = 2


async def test_another_worker_ends_the_tasks_of_a_killed_one_within_one_and_a_quarter_leases(rig: Rig) -> None:
    gate = rig.gate()
    victim = rig.start_worker(concurrency=20)
    results = await rig.enqueue_many(20, "hold", gate)
    await rig.started(results)
    other = rig.start_worker(concurrency=20)
    await rig.up(other)

    victim.kill()
    killed_at = time.monotonic()
    rig.open(gate)

    assert await rig.values(results) == [2] * 20
    ends = rig.ledger.entries("end")
    assert {entry.pid for entry in ends} == {other.pid}
    assert ends[-1].at - killed_at < RECOVERY_SECONDS + SLACK_SECONDS
    assert rig.starts_of(results) == [2] * 20
    await rig.stop(other)
    await rig.check_drained()


@pytest.mark.parametrize("when", ["while another runs its tasks", "after another ended its tasks"])
async def test_a_worker_that_wakes_after_its_lease_changes_nothing(rig: Rig, when: str) -> None:
    gate = rig.gate()
    ends: list[tuple[str, dict[str, Any]]] = [
        ("returns", {}),
        ("fails", {}),
        ("fails", {"retries": 3}),
        ("asks for a retry", {}),
    ]
    # One worker that hears at once, when it wakes, that it has lost its tasks; and for each end one that is blocked by
    # its task, so that this end comes first.
    frozen = [rig.start_worker(concurrency=len(ends))]
    results = [await rig.enqueue("turn", gate, how, **options) for how, options in ends]
    await rig.started(results)
    frozen += [rig.start_worker(concurrency=1) for _ in ends]
    results += [await rig.enqueue("stun", gate, how, **options) for how, options in ends]
    await rig.started(results)
    for worker in frozen:
        rig.freeze(worker)
    rig.open(gate)
    other = rig.start_worker(concurrency=20)
    if when == "after another ended its tasks":
        rig.open(second(gate))
        assert await rig.values(results) == [2] * len(results)
    else:
        await until(lambda: _taken_over_by(other) == len(results), "every task taken over")

    for worker in frozen:
        worker.wake()

    def refused() -> bool:
        return [worker.said.count("changes nothing") for worker in frozen] == [len(ends)] + [1] * len(ends)

    await until(refused, "every late settlement refused")
    zombies = {worker.pid for worker in frozen[1:]}
    assert {entry.id for entry in rig.ledger.entries("end") if entry.pid in zombies} == {r.id for r in results[4:]}
    rig.open(second(gate))
    # From the store, whatever was heard before.
    assert await rig.values([rig.huey.result(result.id) for result in results]) == [2] * len(results)
    await rig.stop(*frozen, other)
    assert rig.starts_of(results) == [2] * len(results)
    await rig.check_drained()


async def test_workers_that_were_suspended_together_go_on_with_what_they_ran(rig: Rig) -> None:
    slow = rig.start_worker(concurrency=5)
    results = list(await rig.enqueue_many(5, "hold", rig.gate()))
    await rig.started(results)
    fast = rig.start_worker(concurrency=20)
    results += await rig.enqueue_many(5, "hold", rig.gate())
    await rig.started(results)
    rig.freeze(slow)
    rig.freeze(fast)
    await asyncio.sleep(1.2 * LEASE)
    fast.wake()
    # Meanwhile it looks for lost tasks, has room for them, and hears nothing of the other one.
    await asyncio.sleep(0.4 * LEASE)
    slow.wake()
    rig.open(rig.gate())

    assert await rig.values(results) == [1] * 10
    await rig.stop(slow, fast)
    assert rig.starts_of(results) == [1] * 10
    await rig.check_drained()


def _taken_over_by(worker: WorkerProcess) -> int:
    return sum(map(int, re.findall(r"Took over (\d+) tasks", worker.said)))


async def test_a_blocked_event_loop_keeps_its_tasks(rig: Rig) -> None:
    blocked = rig.start_worker(concurrency=20)
    results = [await rig.enqueue("hold", rig.gate()), await rig.enqueue("block", 1.6 * LEASE)]
    await rig.started(results)
    other = rig.start_worker(concurrency=20)
    rig.open(rig.gate())

    assert await rig.values(results) == [1, 1]
    assert rig.starts_of(results) == [1, 1]
    await rig.stop(blocked, other)
    await rig.check_drained()


async def test_a_stopped_worker_finishes_what_runs_and_leaves_the_rest_to_others_at_once(rig: Rig) -> None:
    gate = rig.gate()
    # Nobody waits for a lease of this length.
    stopped = rig.start_worker(concurrency=10, lease=60)
    results = await rig.enqueue_many(30, "hold", gate)
    await until(lambda: len(rig.ledger.entries("start")) == 10, "every slot taken")

    stopped.terminate()
    other = rig.start_worker(concurrency=30, lease=60)
    await rig.started(results)
    assert stopped.is_alive
    rig.open(gate)

    await rig.values(results)
    assert await stopped.exit_code() == 0
    assert rig.starts_of(results) == [1] * 30
    assert {entry.attempt for entry in rig.ledger.entries("start")} == {1}
    await rig.stop(other)
    await rig.check_drained()


async def test_a_worker_stopped_under_load_loses_nothing_and_starts_nothing_twice(rig: Rig) -> None:
    workers = [rig.start_worker(concurrency=5, lease=60) for _ in range(2)]
    await rig.up(*workers)
    async with rig.load() as load:
        for _ in range(3):
            await load.grow(by=100)
            stopped = workers.pop(0)
            stopped.terminate()
            workers.append(rig.start_worker(concurrency=5, lease=60))
            await rig.up(workers[-1])
            assert await stopped.exit_code() == 0
    results = load.since(0)
    await rig.values(results)
    assert rig.starts_of(results) == [1] * len(results)
    await rig.stop(*workers)
    await rig.check_drained()


async def test_workers_killed_at_any_moment_lose_nothing(rig: Rig) -> None:
    random = Random(3)
    workers = [rig.start_worker(concurrency=20) for _ in range(3)]
    await rig.up(*workers)
    async with rig.load() as load:
        for worker in workers[:2]:
            await load.grow(by=random.randrange(20, 200))
            worker.kill()
        await load.grow(by=50)
    results = load.since(0)
    await rig.values(results)
    # A start more for each time that its worker was killed.
    assert max(rig.starts_of(results)) <= 3
    await rig.stop(workers[2])
    await rig.check_drained()


async def test_a_task_that_does_not_let_go_cannot_keep_its_worker_from_stopping(rig: Rig) -> None:
    worker = rig.start_worker(concurrency=4, threads=2, shutdown_timeout=1)
    results = [await rig.enqueue("clings"), await rig.enqueue("hangs"), await rig.enqueue("hold", rig.gate())]
    await rig.started(results)
    await rig.stop(worker)
    # The one that could be stopped was given back, at no cost to it.
    rig.open(rig.gate())
    other = rig.start_worker(concurrency=4)
    assert await results[2].get(timeout=30) == 2
    assert [entry.attempt for entry in rig.ledger.entries("start") if entry.id == results[2].id] == [1, 1]
    other.kill()


async def test_a_task_that_kills_its_workers_is_dead_in_the_end_and_its_neighbours_are_done(rig: Rig) -> None:
    rig.open(rig.gate())
    before = await rig.enqueue_many(10, "hold", rig.gate())
    crash = await rig.enqueue("crash")
    after = await rig.enqueue_many(10, "hold", rig.gate())

    for code in (3, -signal.SIGSEGV, 3):
        assert await rig.start_worker(concurrency=30).exit_code() == code
    survivor = rig.start_worker(concurrency=30)
    with pytest.raises(TaskException) as caught:
        await crash.get(timeout=30)

    assert caught.value.state == "dead"
    assert rig.starts_of([crash]) == [3]
    await rig.values([*before, *after])
    assert await (await rig.enqueue("quick", "well")).get(timeout=30) == "well"
    await rig.stop(survivor)
    await rig.check_drained()


async def test_the_first_task_of_a_queue_and_priority_starts_at_once_whichever_worker_reads_it(rig: Rig) -> None:
    workers = {queue: rig.start_worker(queues=queue, concurrency=4) for queue in ("red", "blue")}
    await rig.up(*workers.values())
    for queue in workers:
        for priority in range(1, 4):
            began = time.monotonic()
            result = await rig.enqueue("quick", queue, queue=queue, priority=priority)
            assert await result.get(timeout=30) == queue
            assert time.monotonic() - began < 1
    await rig.stop(*workers.values())
    await rig.check_drained()
