"""Workers whose event loop is blocked: they say so, in time, and can be ended."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .rig import until

if TYPE_CHECKING:
    from .rig import Rig

_LONG = 60


async def stall(rig: Rig) -> dict[str, Any] | None:
    """What the one worker says about its event loop."""
    [worker] = await rig.huey.queues.workers()
    found: dict[str, Any] | None = json.loads(worker.description)["blocked"]
    return found


async def test_a_blocked_event_loop_is_named_in_the_log_and_in_the_list_of_workers(rig: Rig) -> None:
    worker = rig.start_worker(lease=600)
    result = await rig.enqueue("block", 6)
    await rig.started([result])

    async def named() -> bool:
        return "has been blocked" in worker.said and await stall(rig) is not None

    await until(named, "the name of the task that blocks the loop", seconds=2)
    found = await stall(rig)
    assert found is not None
    assert (found["task"], found["id"]) == ("block", result.id)
    assert found["where"].endswith(" in block")
    assert f"by the task block ({result.id})" in worker.said
    assert "time.sleep(seconds)" in worker.said
    [task] = await rig.huey.queues.running()
    assert task.note == "blocks the event loop"
    [warning] = (await rig.huey.doctor()).warnings
    assert "is blocked for" in warning
    assert result.id in warning
    assert await result.get(timeout=30) == 1
    await until(lambda: "turns again" in worker.said, "the end of the stall")

    async def cleared() -> bool:
        return await stall(rig) is None

    await until(cleared, "a sign of life without a stall", seconds=2)
    assert worker.said.count("has been blocked") == 1
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_blocked_worker_ends_within_its_patience(rig: Rig) -> None:
    worker = rig.start_worker(shutdown_timeout=2)
    result = await rig.enqueue("block", _LONG)
    await rig.started([result])
    began = time.monotonic()
    worker.terminate()
    assert await worker.exit_code() == 143
    assert time.monotonic() - began < 5
    assert f"by the task block ({result.id})" in worker.said.partition("Ending: the time to stop is over")[2]


async def test_a_worker_ends_after_the_stall_timeout(rig: Rig) -> None:
    worker = rig.start_worker(stall_timeout=5)
    await rig.enqueue("block", _LONG)
    assert await worker.exit_code() == 1
    assert "in block" in worker.said.partition("Timeout (")[2]


async def test_c_code_that_holds_the_interpreter_cannot_outlast_the_stall_timeout(rig: Rig) -> None:
    worker = rig.start_worker(stall_timeout=5)
    await rig.enqueue("grip")
    assert await worker.exit_code() == 1
    assert "in grip" in worker.said.partition("Timeout (")[2]


async def test_a_task_that_ignores_its_timeout_is_named_once_in_the_log_and_among_those_that_run(rig: Rig) -> None:
    worker = rig.start_worker()
    result = await rig.enqueue("resist", rig.gate())
    await until(lambda: f"The task resist ({result.id}) goes on" in worker.said, "the line that names the task")

    async def noted() -> bool:
        [task] = await rig.huey.queues.running()
        return task.note == "goes on after its timeout"

    await until(noted, "the note beside the task")
    rig.open(rig.gate())
    assert await result.get(timeout=30) == "at last"
    assert worker.said.count("goes on") == 1
    await rig.stop(worker)
    await rig.check_drained()
