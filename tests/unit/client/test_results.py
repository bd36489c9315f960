"""Handles on one task and on many."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    CancelExecution,
    Error,
    MemoryHuey,
    Progress,
    ResultGroup,
    ResultNotFound,
    ResultTimeout,
    State,
    TaskException,
)

from ...tour.running import running
from ..facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Bench:
    """An application with two tasks, and what each call of the second waits for."""

    def __init__(self) -> None:
        self.huey = MemoryHuey("shop")
        self.may_end: dict[str, asyncio.Event] = {name: asyncio.Event() for name in "abc"}

        @self.huey.task
        async def add(a: int, b: int) -> int:
            return a + b

        @self.huey.task
        async def wait(name: str) -> str:
            await self.may_end[name].wait()
            if name == "c":
                raise ValueError(name)
            return name

        self.add = add
        self.wait = wait


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with running(bench.huey):
        yield bench
        for event in bench.may_end.values():
            event.set()


# -- one result


async def test_a_handle_keeps_the_verdict_that_it_has_seen(bench: Bench) -> None:
    result = await bench.add.enqueue(1, 2)
    assert repr(result) == f"<Result {result.id}>"
    assert await result == 3
    assert repr(result) == f"<Result {result.id} done>"
    await bench.huey.close()
    assert (await result, await result.status(), await result.is_ready()) == (3, State.DONE, True)


async def test_a_handle_that_is_reset_looks_again(bench: Bench) -> None:
    result = await bench.add.enqueue(1, 2)
    assert await result == 3
    result.reset()
    assert repr(result) == f"<Result {result.id}>"
    assert await result == 3


async def test_a_result_is_what_was_sent_each_time_it_is_read(bench: Bench) -> None:
    """A reader that changes what it got changes it for nobody else."""
    echo = bench.huey.task(name="echo")(lambda value: value)
    result = await echo.enqueue([1])
    (await result).append(2)
    assert await result == [1]
    assert await bench.huey.result(result.id) == [1]


async def test_none_is_a_result_like_any_other(bench: Bench) -> None:
    """And not the sign that there is no verdict yet, as in Huey."""
    nothing = bench.huey.task(name="nothing")(lambda: None)
    result = await nothing.enqueue()
    assert await result.get(timeout=5) is None
    assert (await result.is_ready(), await result.status()) == (True, State.DONE)
    assert (await bench.huey.result("nobody").is_ready(), await bench.huey.result("nobody").get(blocking=False)) == (
        False,
        None,
    )


async def test_a_failure_can_be_had_without_raising_it(bench: Bench) -> None:
    result = await bench.wait.enqueue("c")
    assert await result.get_raw_result(blocking=False) is None
    with pytest.raises(ResultTimeout):
        await result.get_raw_result(timeout=0)
    bench.may_end["c"].set()
    failure = await result.get_raw_result(timeout=5)
    assert isinstance(failure, Error)
    assert (failure.metadata["type"], failure.metadata["state"]) == ("ValueError", "failed")
    assert await (await bench.add.enqueue(1, 2)).get_raw_result(timeout=5) == 3


async def test_a_failure_that_is_retried_leaves_no_error_behind(bench: Bench) -> None:
    """So a handle need not be reset after a retry: it has seen nothing, or the verdict."""
    may_succeed = asyncio.Event()

    @bench.huey.task(retries=1000, retry_delay=0.001)
    async def recover() -> str:
        if not may_succeed.is_set():
            raise ValueError("not yet")
        return "recovered"

    async def is_retrying() -> bool:
        return await result.status() is State.RETRYING

    result = await recover.enqueue()
    await until(is_retrying)
    assert await result.get(blocking=False) is None
    may_succeed.set()
    assert await result.get(timeout=5) == "recovered"


async def test_a_failure_is_raised_each_time_it_is_read(bench: Bench) -> None:
    bench.may_end["c"].set()
    result = await bench.wait.enqueue("c")
    for handle in (result, result, bench.huey.result(result.id)):
        with pytest.raises(TaskException) as caught:
            await handle.get(timeout=5)
        assert caught.value.metadata.keys() == {"state", "type", "error", "traceback", "attempt", "retries", "task_id"}
        assert (caught.value.state, caught.value.task_id) == ("failed", result.id)


async def test_not_blocking_gives_none_until_there_is_a_verdict(bench: Bench) -> None:
    result = await bench.wait.enqueue("a")
    assert await result.get(blocking=False) is None
    assert await result.is_ready() is False
    bench.may_end["a"].set()
    assert await result == "a"
    assert await bench.huey.result(result.id).get(blocking=False) == "a"
    assert await bench.huey.result("nobody").get(blocking=False) is None


async def test_a_timeout_is_hueys_and_pythons(bench: Bench) -> None:
    result = await bench.wait.enqueue("a")
    with pytest.raises(TimeoutError) as caught:
        await result.get(timeout=0.001)
    assert type(caught.value) is ResultTimeout
    with pytest.raises(ResultTimeout):
        await result.get(timeout=0)
    bench.may_end["a"].set()
    assert await result == "a"
    assert await bench.huey.result(result.id).get(timeout=0) == "a"


async def test_the_status_of_a_task_over_its_life(bench: Bench) -> None:
    huey = bench.huey
    states = []

    @huey.task(retries=1)
    async def look() -> None:
        states.append(await huey.result("mine").status())
        raise ValueError

    result = await look.options(id="mine", delay=0.02).enqueue()
    states.append(await result.status())
    with pytest.raises(TaskException):
        await result
    states.append(await huey.result("mine").status())
    assert states == [State.SCHEDULED, State.RUNNING, State.RUNNING, State.FAILED]
    assert await huey.result("nobody").status() is State.UNKNOWN


async def test_a_task_that_waits_for_its_retry_is_retrying(bench: Bench) -> None:
    retried = asyncio.Event()

    @bench.huey.task(retries=1, retry_delay=3600)
    async def fail() -> None:
        raise ValueError

    bench.huey.post_execute("note")(lambda *_: retried.set())
    result = await fail.enqueue()
    await retried.wait()
    assert await result.status() == "retrying"
    assert await result.get(blocking=False) is None


@pytest.mark.parametrize(("error", "state"), [(ValueError("no"), "failed"), (CancelExecution("no"), "cancelled")])
async def test_awaiting_a_task_that_did_not_end_well_says_how_it_ended(
    bench: Bench, error: Exception, state: str
) -> None:
    @bench.huey.task
    async def end() -> None:
        raise error

    result = await end.enqueue()
    with pytest.raises(TaskException, match="no") as caught:
        await result.get(timeout=5)
    assert (caught.value.state, await result.status()) == (state, state)


async def test_awaiting_a_task_that_came_too_late_says_so(bench: Bench) -> None:
    result = await bench.add.options(expires=datetime(2001, 1, 1)).enqueue(1, 2)
    with pytest.raises(TaskException, match="not started in time") as caught:
        await result.get(timeout=5)
    assert (caught.value.state, caught.value.traceback, await result.status()) == ("expired", "", "expired")


@pytest.mark.parametrize("task_id", ["", "a b", "x" * 201, "{a}", "*"])
def test_what_can_be_no_id_is_refused(task_id: str) -> None:
    with pytest.raises(ValueError, match="id must be"):
        MemoryHuey("shop").result(task_id)


async def test_results_that_are_not_kept_still_tell_their_end(bench: Bench) -> None:
    @bench.huey.task(results=False)
    async def quiet(fails: bool) -> int:
        if fails:
            raise ValueError
        return 5

    good, bad = await quiet.enqueue(False), await quiet.enqueue(True)
    assert await good is None
    with pytest.raises(TaskException, match="ValueError") as caught:
        await bad
    assert (caught.value.task_id, caught.value.state) == (bad.id, "failed")


async def test_a_failure_may_hold_the_failure_of_another_task(bench: Bench) -> None:
    bench.may_end["c"].set()

    @bench.huey.task
    async def outer() -> str:
        return await (await bench.wait.enqueue("c"))

    with pytest.raises(TaskException, match="ValueError") as caught:
        await (await outer.enqueue())
    assert caught.value.type == "TaskException"


# -- progress


async def test_progress_ends_with_the_task(bench: Bench) -> None:
    @bench.huey.task(context=True)
    async def copy(task: Any) -> None:
        await task.progress(1, 2, "half")
        await task.progress(2, 2, "done")

    result = await copy.enqueue()
    seen = [progress async for progress in result.progress()]
    assert seen[-1] == Progress(2, 2, "done") == (2, 2, "done")
    assert [progress async for progress in result.progress()] == [Progress(2, 2, "done")]


async def test_a_task_that_tells_nothing_has_no_progress(bench: Bench) -> None:
    result = await bench.add.enqueue(1, 2)
    assert [progress async for progress in result.progress()] == []
    with pytest.raises(ResultNotFound):
        await anext(bench.huey.result("nobody").progress())


# -- many results


async def test_a_group_is_a_list_of_handles(bench: Bench) -> None:
    group = await bench.add.map([(1, 2), (3, 4), (5, 6)])
    assert len(group) == 3
    assert [handle.id for handle in group] == [group[number].id for number in range(3)]
    assert group[-1].id == group[2].id
    assert repr(group) == "<ResultGroup of 3>"
    assert await group == await group.get(timeout=5) == [3, 7, 11]


async def test_the_timeout_of_a_group_is_one_for_all(bench: Bench) -> None:
    group = await bench.wait.map(["a", "b"])
    bench.may_end["a"].set()
    with pytest.raises(ResultTimeout, match=r"all of 2 results did not arrive within 0\.01 s"):
        await group.get(timeout=0.01)
    bench.may_end["b"].set()
    assert await group.get(timeout=5) == ["a", "b"]


async def test_a_group_raises_for_its_first_member_that_failed(bench: Bench) -> None:
    for event in bench.may_end.values():
        event.set()
    group = await bench.wait.map(["a", "c", "b"])
    with pytest.raises(TaskException) as caught:
        await group
    assert caught.value.task_id == group[1].id
    assert (await group[0], await group[2]) == ("a", "b")


async def test_a_group_of_nothing_is_there_at_once(bench: Bench) -> None:
    group = await bench.huey.enqueue_many([])
    assert await group == []
    assert [result async for result in group.as_completed()] == []


async def test_members_come_as_they_end_whatever_their_end(bench: Bench) -> None:
    group = await bench.wait.map(["a", "b", "c"])
    order = []
    bench.may_end["c"].set()
    async for result in group.as_completed(timeout=5):
        order.append(result.id)
        bench.may_end["b" if len(order) == 1 else "a"].set()
    assert order == [group[2].id, group[1].id, group[0].id]


async def test_waiting_for_members_has_a_timeout_too(bench: Bench) -> None:
    group = await bench.wait.map(["a", "b"])
    bench.may_end["a"].set()
    seen = []
    with pytest.raises(ResultTimeout, match=r"^1 of 2 results did not arrive within 0\.05 s$"):
        async for result in group.as_completed(timeout=0.05):
            seen.append(await result)
    assert seen == ["a"]


@pytest.mark.parametrize("timeout", [-1, math.nan])
async def test_a_timeout_that_is_none_is_refused(bench: Bench, timeout: float) -> None:
    group = await bench.add.map([(1, 2)])
    with pytest.raises(ValueError, match="timeout must be between"):
        await group.get(timeout=timeout)
    with pytest.raises(ValueError, match="timeout must be between"):
        await anext(group.as_completed(timeout=timeout))


async def test_members_that_nobody_knows_leave_no_noise(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    group: ResultGroup[Any] = ResultGroup([bench.huey.result("nobody"), bench.huey.result("no-one")])
    with pytest.raises(ResultNotFound):
        await anext(group.as_completed())
    with pytest.raises(ResultNotFound):
        await group
    await asyncio.sleep(0)
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_one_can_stop_taking_members(bench: Bench) -> None:
    group = await bench.wait.map(["a", "b"])
    bench.may_end["a"].set()
    members = group.as_completed()
    assert await (await anext(members)) == "a"
    await members.aclose()  # type: ignore[attr-defined]
    bench.may_end["b"].set()
    assert await group == ["a", "b"]
