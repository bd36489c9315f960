"""What a task or a message can do wrong, and what becomes of it: a verdict, never the end of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aqueue import Huey, TaskException

from .misdeeds import MISDEEDS
from .outside import leftovers
from .rig import until

if TYPE_CHECKING:
    from .rig import Rig


async def test_whatever_a_task_does_it_gets_its_verdict_and_the_worker_goes_on(rig: Rig) -> None:
    worker = rig.start_worker(concurrency=50)
    results = {misdeed.__name__: await rig.enqueue(misdeed.__name__) for misdeed in MISDEEDS}
    verdicts: dict[str, str | None] = {}
    for name, result in results.items():
        try:
            await result.get(timeout=30)
            verdicts[name] = None
        except TaskException as error:
            verdicts[name] = error.type if error.state == "failed" else error.state

    assert verdicts == {misdeed.__name__: expected for misdeed, expected in MISDEEDS.items()}
    # Every slot and every thread is free again.
    assert await rig.values(await rig.enqueue_many(50, "quick", "well")) == ["well"] * 50
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_task_that_fails_unprintably_is_retried_like_any_other(rig: Rig) -> None:
    worker = rig.start_worker()
    result = await rig.enqueue("raise_unprintable", retries=2)
    with pytest.raises(TaskException) as caught:
        await result.get(timeout=30)
    assert (caught.value.type, caught.value.attempt) == ("Unprintable", 3)
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_task_that_nobody_knows_yet_waits_for_a_worker_that_does(rig: Rig) -> None:
    old = rig.start_worker()
    producer = Huey(rig.name, rig.url)

    @producer.task(name="later")
    async def later() -> str:
        return "not here"

    result = await later.enqueue()
    await until(lambda: "no task is named 'later'" in old.said, "a warning of the worker that does not know it")
    assert await (await rig.enqueue("quick", "well")).get(timeout=30) == "well"
    await rig.stop(old)
    newer = rig.start_worker(next_release=True)
    assert await result.get(timeout=30) == "known now"
    assert rig.ledger.starts()[result.id] == 1
    await rig.stop(newer)
    await producer.close()
    await rig.check_drained()


async def test_a_call_that_does_not_fit_the_function_any_more_fails_without_running(rig: Rig) -> None:
    producer = Huey(rig.name, rig.url)

    @producer.task(name="hold")
    async def hold(gate: str, tide: int) -> None: ...

    result = await hold.options(retries=5).enqueue("gate", tide=3)
    worker = rig.start_worker()
    with pytest.raises(TaskException) as caught:
        await result.get(timeout=30)
    assert (caught.value.type, caught.value.attempt) == ("TypeError", 1)
    assert "tide" in str(caught.value)
    assert rig.ledger.starts() == {}
    await rig.stop(worker)
    await producer.close()
    await rig.check_drained()


async def test_a_drained_store_holds_results_and_nothing_else(rig: Rig) -> None:
    results = [
        *await rig.enqueue_many(100, "quick", "x" * 10_000),
        *[await rig.enqueue("quick", priority=priority) for priority in range(-5, 6)],
        *[await rig.enqueue("quick", delay=delay / 10) for delay in range(10)],
        *[await rig.enqueue("flaky", failures) for failures in range(3)],
        await rig.enqueue("quick", results=False),
        await rig.enqueue("quick", result_ttl=0),
    ]
    assert leftovers(rig.url, rig.name), "what waits is not seen"
    worker = rig.start_worker()
    await rig.values(results)
    await rig.stop(worker)
    await rig.check_drained()
