"""Locks whose holders are killed or frozen, and locks that are waited for in another process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from aqueue import TaskLockedException
from aqueue.client import permits

from .rig import until

if TYPE_CHECKING:
    from aqueue import Permit, Result

    from .rig import Rig, WorkerProcess

_HOUR = 3600


async def _hold(rig: Rig, ttl: float) -> tuple[WorkerProcess, Result[bool]]:
    """A worker in which a task holds the lock until the gate is opened."""
    worker = rig.start_worker()
    result = await rig.enqueue("lock", rig.gate(), ttl)
    await rig.started([result])
    with pytest.raises(TaskLockedException):
        await rig.huey.lock_task("shared").acquire()
    return worker, result


def _wait_for_it(rig: Rig) -> asyncio.Task[Permit]:
    return asyncio.create_task(rig.huey.lock_task("shared", wait=30).acquire())


async def test_a_killed_holder_keeps_its_lock_no_longer_than_its_time_to_live(rig: Rig) -> None:
    worker, _ = await _hold(rig, ttl=2)
    waiting = _wait_for_it(rig)
    worker.kill()
    assert (await waiting).is_held
    await rig.huey.flush_locks(force=True)


async def test_what_a_killed_worker_held_can_be_flushed_when_its_lease_is_over(rig: Rig) -> None:
    worker, _ = await _hold(rig, _HOUR)
    assert await rig.huey.flush_locks() == set(), "it is alive"
    worker.kill()

    async def flushed() -> bool:
        return await rig.huey.flush_locks() == {"shared"}

    await until(flushed, "the lock flushed")
    assert not await rig.huey.is_locked("shared")


async def test_a_release_wakes_waiters_in_other_processes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # Within the life of this test nobody asks again by itself.
    monkeypatch.setattr(permits, "_LONGEST_REFUSAL_MS", _HOUR * 1000)
    worker, result = await _hold(rig, _HOUR)
    waiting = _wait_for_it(rig)
    await until((await rig.huey._parts.clients.open())._listening.is_set, "the wait")
    assert not waiting.done()
    rig.open(rig.gate())
    assert (await waiting).is_held
    assert await rig.values([result]) == [True]
    assert await rig.huey.flush_locks(force=True) == {"shared"}
    await rig.stop(worker)


async def test_a_frozen_holder_loses_its_lock_and_learns_it_when_it_wakes(rig: Rig) -> None:
    worker, result = await _hold(rig, ttl=2)
    waiting = _wait_for_it(rig)
    rig.freeze(worker)
    assert (await waiting).is_held
    worker.wake()
    await until(lambda: "Lock shared was lost" in worker.said, "the loss noticed")
    rig.open(rig.gate())
    assert await rig.values([result]) == [False]
    assert await rig.huey.is_locked("shared"), "what the loser leaves is not its own"
    await rig.huey.flush_locks(force=True)
    await rig.stop(worker)
