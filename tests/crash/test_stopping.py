"""What becomes of a request to stop a task when processes are killed in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aqueue import TaskException

from .rig import until

if TYPE_CHECKING:
    from aqueue.client.results import Result

    from .rig import Rig


async def ends_cancelled(result: Result[Any]) -> None:
    with pytest.raises(TaskException) as caught:
        await result.get(timeout=30)
    assert caught.value.state == "cancelled", caught.value.metadata


async def test_a_cancel_reaches_a_task_in_another_process(rig: Rig) -> None:
    # With a lease like this the heartbeat, which is the safety net, would come too late.
    worker = rig.start_worker(lease=600)
    coroutine, thread = await rig.enqueue("hold", rig.gate()), await rig.enqueue("hangs")
    await rig.started([coroutine, thread])
    for result in (coroutine, thread):
        assert await result.cancel()
        await ends_cancelled(result)
    assert await (await rig.enqueue("quick", "well")).get(timeout=30) == "well"
    assert worker.is_alive
    await rig.check_drained()


async def test_a_task_whose_worker_is_killed_with_the_request_does_not_run_again(rig: Rig) -> None:
    victim = rig.start_worker()
    cancelled, other = await rig.enqueue("hold", rig.gate("never")), await rig.enqueue("hold", rig.gate())
    await rig.started([cancelled, other])
    # It is frozen, so that the request finds it alive and unable to answer.
    rig.freeze(victim)
    assert await cancelled.cancel()
    victim.kill()
    heir = rig.start_worker()
    await rig.up(heir)
    rig.open(rig.gate())
    await ends_cancelled(cancelled)
    assert await other.get(timeout=30) == 2
    assert rig.starts_of([cancelled, other]) == [1, 2]
    await rig.stop(heir)
    await rig.check_drained()


async def test_what_is_revoked_while_no_worker_lives_does_not_run(rig: Rig) -> None:
    results = [await rig.enqueue("quick", number) for number in range(3)]
    await results[1].revoke()
    worker = rig.start_worker()
    await ends_cancelled(results[1])
    assert await rig.values([results[0], results[2]]) == [0, 2]
    assert rig.starts_of(results) == [1, 0, 1]
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_worker_that_wakes_after_its_task_was_cancelled_elsewhere_changes_nothing(rig: Rig) -> None:
    gate = rig.gate()
    frozen = rig.start_worker()
    result = await rig.enqueue("hold", gate)
    await rig.started([result])
    rig.freeze(frozen)
    assert await result.cancel()
    other = rig.start_worker()
    await ends_cancelled(result)
    rig.open(gate)
    frozen.wake()
    await until(lambda: "not ours any more" in frozen.said, "the worker that hears that it lost its task")
    await ends_cancelled(result)
    await rig.stop(frozen, other)
    await rig.check_drained()
