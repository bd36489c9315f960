"""Tasks that follow other tasks: pipelines, handlers of failures, groups, chords, and any graph of these."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import SKIPPED, CancelExecution, Error, State, TaskException, chord, group

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey, Task

LONG_AGO = datetime(2000, 1, 1)


@pytest.fixture
def add(huey: Huey) -> Task[..., int]:
    @huey.task(name="add")
    async def add(a: int, b: int) -> int:
        return a + b

    return add


@pytest.fixture
def mul(huey: Huey) -> Task[..., int]:
    @huey.task(name="mul")
    async def mul(a: int, b: int) -> int:
        return a * b

    return mul


@pytest.fixture
def collect(huey: Huey) -> Task[..., list[Any]]:
    @huey.task(name="collect")
    async def collect(results: list[Any]) -> list[Any]:
        return results

    return collect


@pytest.fixture
def fail(huey: Huey) -> Task[..., None]:
    @huey.task(name="fail")
    async def fail(*ignored: Any) -> None:
        raise ValueError("no good")

    return fail


# -- pipelines


async def test_a_pipeline_hands_each_result_to_the_next_stage(
    huey: Huey, add: Task[..., int], mul: Task[..., int]
) -> None:
    """The result is one more argument, behind those that the stage has already. There is a handle for each stage."""
    async with running(huey):
        results = await add.s(1, 2).then(mul, 10).then(add, 4).enqueue()
        assert await results == [3, 30, 34]
        assert await results[1] == 30


async def test_a_tuple_is_more_arguments_and_a_dict_keywords(huey: Huey) -> None:
    """``None`` adds nothing, and anything else is one argument."""

    @huey.task()
    async def give(value: Any) -> Any:
        return value

    @huey.task()
    async def show(*args: Any, **kwargs: Any) -> str:
        return f"{args} {kwargs}"

    async with running(huey):
        for value, shown in [
            ((1, 2), "('first', 1, 2) {}"),
            ({"a": 1}, "('first',) {'a': 1}"),
            (None, "('first',) {}"),
            ([1, 2], "('first', [1, 2]) {}"),
            (0, "('first', 0) {}"),
        ]:
            results = await give.s(value).then(show, "first").enqueue()
            assert (await results)[1] == shown


async def test_a_failure_ends_the_rest_of_its_pipeline(huey: Huey, fail: Task[..., None], add: Task[..., int]) -> None:
    """The later stages never run. Their handles say so at once, and whose failure it was."""
    async with running(huey):
        first, second, third = await fail.s().then(add, 1).then(add, 2).enqueue()
        for result in (first, second, third):
            with pytest.raises(TaskException, match="no good") as caught:
                await result
            assert caught.value.task_id == first.id
        assert [await first.status(), await second.status()] == [State.FAILED, State.CANCELLED]


async def test_a_delay_of_a_stage_counts_from_the_end_of_the_one_before(huey: Huey, add: Task[..., int]) -> None:
    """Options of a stage stand where they always do."""
    async with running(huey):
        first, second = await add.s(1, 2).then(add.options(delay=60, priority=5), 3).enqueue()
        assert await first == 3
        assert await second.status() is State.SCHEDULED


# -- handlers


async def test_a_handler_runs_when_its_task_has_failed(huey: Huey, fail: Task[..., None], add: Task[..., int]) -> None:
    """It gets its own arguments, and then what went wrong. Where nothing does, it does not run."""
    handled: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    @huey.task()
    async def report(what: str, error: TaskException) -> None:
        handled.put_nowait((what, error.type, error.task_id))

    async with running(huey):
        assert await (await add.s(1, 2).error(report, "addition").enqueue()) == 3
        failed = await fail.s().error(report, "failure").enqueue()
        assert await handled.get() == ("failure", "ValueError", failed.id)
        assert handled.empty()


async def test_each_stage_has_a_handler_of_its_own(huey: Huey, fail: Task[..., None], add: Task[..., int]) -> None:
    """A second ``error`` handles the failure of the first handler."""
    handled: asyncio.Queue[str] = asyncio.Queue()

    @huey.task()
    async def report(what: str, error: TaskException) -> None:
        handled.put_nowait(what)

    async with running(huey):
        pipeline = add.s(1, 2).error(report, "first").then(fail).error(fail).error(report, "handler").then(add, 1)
        results = await pipeline.error(report, "last").enqueue()
        with pytest.raises(TaskException):
            await results
        assert await handled.get() == "handler"
        assert handled.empty()


# -- groups and chords


async def test_a_group_is_enqueued_in_one_step(huey: Huey, add: Task[..., int], mul: Task[..., int]) -> None:
    """Results come in the order of the members. A pipeline counts as one: with the result of its last stage."""
    async with running(huey):
        results = await group([add.s(1, 2), mul.s(3, 4), add.s(1, 1).then(mul, 5)]).enqueue()
        assert await results == [3, 12, 10]


async def test_a_chord_calls_back_with_all_results(
    huey: Huey, add: Task[..., int], collect: Task[..., list[Any]]
) -> None:
    """In the order of its members, whatever the order in which they end."""
    async with running(huey):
        result = await chord([add.s(number, number) for number in range(5)], collect).enqueue()
        assert await result == [0, 2, 4, 6, 8]
        assert await result.callback == [0, 2, 4, 6, 8]
        assert await result.results == [0, 2, 4, 6, 8]


async def test_a_group_becomes_a_chord_and_a_chord_goes_on(
    huey: Huey, add: Task[..., int], mul: Task[..., int]
) -> None:
    """``then`` gives the callback arguments of its own; what follows it gets what it returned."""

    @huey.task()
    async def join(separator: str, results: list[int], *, suffix: str) -> str:
        return separator.join(map(str, results)) + suffix

    @huey.task()
    async def length(text: str) -> int:
        return len(text)

    async with running(huey):
        result = await group([add.s(1, 2), mul.s(3, 4)]).then(join, "-", suffix="!").then(length).enqueue()
        assert await result == "3-12!"
        assert await result.pipeline_results == ["3-12!", 5]


async def test_chords_stand_in_chords(huey: Huey, add: Task[..., int], collect: Task[..., list[Any]]) -> None:
    """Any depth will do. An empty one calls back with an empty list."""
    async with running(huey):
        inner = chord([add.s(1, 2), add.s(3, 4)], collect)
        outer = chord([inner, add.s(5, 6).then(add, 7), chord([], collect)], collect)
        assert await (await outer.enqueue()) == [[3, 7], 18, []]


async def test_a_callback_sees_who_has_failed(huey: Huey, add: Task[..., int], fail: Task[..., None]) -> None:
    """``Error`` stands for a member that failed, ``SKIPPED`` for one that was cancelled or came too late."""

    @huey.task()
    async def cancel() -> None:
        raise CancelExecution

    @huey.task()
    async def judge(results: list[Any]) -> list[str]:
        names = {int: "fine", Error: "failed"}
        return ["skipped" if result is SKIPPED else names[type(result)] for result in results]

    async with running(huey):
        members = [add.s(1, 2), fail.s(), cancel.s(), add.options(expires=LONG_AGO).s(1, 2), fail.s().then(add, 1)]
        result = await chord(members, judge).enqueue()
        assert await result == ["fine", "failed", "skipped", "skipped", "failed"]


async def test_a_chord_can_leave_failures_out_or_give_up(
    huey: Huey, add: Task[..., int], fail: Task[..., None], collect: Task[..., list[Any]]
) -> None:
    """``on_failure`` says which."""
    async with running(huey):
        lenient = await chord([add.s(1, 2), fail.s(), add.s(3, 4)], collect, on_failure="ignore").enqueue()
        assert await lenient == [3, 7]
        strict = await chord([add.s(1, 2), fail.s()], collect, on_failure="fail_fast").enqueue()
        with pytest.raises(TaskException, match="no good"):
            await strict
        assert await strict.results[0] == 3


async def test_cancelling_a_stage_ends_what_is_behind_it(huey: Huey, add: Task[..., int], mul: Task[..., int]) -> None:
    """What is before it goes on. A chord would go on too, with ``SKIPPED`` in its place."""
    async with running(huey):
        first, second, third = await add.options(delay=0.2).s(1, 2).then(mul, 10).then(add, 4).enqueue()
        assert await second.cancel()
        assert [await second.status(), await third.status()] == [State.CANCELLED, State.CANCELLED]
        assert await first == 3


# -- any graph


async def test_a_task_comes_after_any_others(huey: Huey, add: Task[..., int], mul: Task[..., int]) -> None:
    """What several are after is run once. The last one brings along all that it needs."""
    runs: list[str] = []

    @huey.task()
    async def load(name: str) -> int:
        runs.append(name)
        return len(name)

    async with running(huey):
        loaded = load.s("four")
        doubled, tripled = mul.after(loaded).s(2), mul.after(loaded).s(3)
        assert await (await add.after(doubled, tripled).enqueue()) == 20
        assert runs == ["four"]


async def test_a_workflow_is_enqueued_as_a_whole_or_not_at_all(huey: Huey, add: Task[..., int]) -> None:
    """Under ids of your own, enqueueing it again gives the same tasks."""
    async with running(huey):
        workflow = add.options(id="order-1").s(1, 2).then(add.options(id="order-2"), 3)
        assert await (await workflow.enqueue()) == [3, 6]
        again = await workflow.enqueue()
        assert [result.created for result in again] == [False, False]
        assert await again == [3, 6]
