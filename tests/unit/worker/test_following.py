"""Workflows as users see them, in immediate mode and on a clock that is moved: values, handles, signals, stops."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    SKIPPED,
    CancelExecution,
    Error,
    Huey,
    JSONSerializer,
    MemoryHuey,
    PickleSerializer,
    ResultNotFound,
    State,
    Task,
    TaskException,
    TaskRun,
    chord,
    group,
)
from aqueue.signals import SIGNAL_ENQUEUED
from aqueue.testing import virtual_clock

from ...tour.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

calculator = MemoryHuey("calculator", serializer=PickleSerializer(keys=["k" * 16]))


@calculator.task(pool="process")
def show(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    return (*args, kwargs, os.getpid())


@pytest.fixture
async def huey() -> AsyncIterator[Huey]:
    async with MemoryHuey("shop", immediate=True) as huey:
        yield huey


@pytest.fixture
def give(huey: Huey) -> Task[..., Any]:
    @huey.task(name="give")
    async def give(value: Any = None, *ignored: Any) -> Any:
        return value

    return give


@pytest.fixture
def collect(huey: Huey) -> Task[..., Any]:
    @huey.task(name="collect")
    async def collect(*args: Any, **kwargs: Any) -> Any:
        return [*args, kwargs] if kwargs else list(args)

    return collect


@pytest.fixture
def fail(huey: Huey) -> Task[..., Any]:
    @huey.task(name="fail")
    async def fail(*ignored: Any) -> None:
        raise ValueError("no")

    return fail


@pytest.fixture
def told(huey: Huey) -> list[str]:
    """What is signalled: signal and first argument."""
    told: list[str] = []

    @huey.signal()
    def tell(signal: str, task: Any, *rest: Any) -> None:
        told.append(f"{signal} {task.args[0] if task.args else '-'}")

    return told


# -- what Huey's own tests say of chords


async def test_a_callback_has_its_own_arguments_first(give: Task[..., Any], collect: Task[..., Any]) -> None:
    callback = collect.s("own", a=1)
    result = await group([give.s(1), give.s(2)]).then(callback, "p", suffix="s").enqueue()
    assert await result == ["own", "p", [1, 2], {"a": 1, "suffix": "s"}]
    assert (callback.args, callback.kwargs) == (("own",), {"a": 1})


async def test_results_stand_in_the_order_of_members_whatever_their_priority(huey: Huey) -> None:
    ran: list[int] = []

    @huey.task
    async def note(number: int) -> int:
        ran.append(number)
        return number

    @huey.task
    async def same(results: list[int]) -> list[int]:
        return results

    huey.immediate = False
    async with running(huey, concurrency=1):
        members = [note.options(priority=priority).s(priority) for priority in (2, 1, 3)]
        assert await (await chord(members, same).enqueue()) == [2, 1, 3]
    assert ran == [3, 2, 1]


async def test_a_failed_member_raises_at_its_handle_and_is_an_error_for_the_callback(
    give: Task[..., Any], fail: Task[..., Any], collect: Task[..., Any]
) -> None:
    result = await chord([give.s(1), fail.s(), give.s(3)], collect).enqueue()
    [[first, failed, third]] = await result
    assert (first, type(failed), third) == (1, Error, 3)
    with pytest.raises(TaskException) as caught:
        await result.results[1]
    assert caught.value.metadata == failed.metadata


async def test_a_pipeline_in_a_chord_reports_once_and_its_tail_never_runs(
    huey: Huey, give: Task[..., Any], fail: Task[..., Any], collect: Task[..., Any], told: list[str]
) -> None:
    huey.immediate = False
    async with running(huey):
        revoked = give.options(id="revoked")
        await huey.revoke("revoked")
        members = [fail.s().then(give, "tail"), revoked.s("head").then(give, "tail").then(give, "tail"), give.s(3)]
        result = await chord(members, collect).enqueue()
        [[failed, skipped, third]] = await result
        assert (failed.metadata["type"], skipped, third) == ("ValueError", SKIPPED, 3)
    assert not [each for each in told if "tail" in each]


async def test_an_inner_chord_counts_with_the_last_value_of_its_pipeline(
    give: Task[..., Any], collect: Task[..., Any]
) -> None:
    inner = chord([give.s(1), give.s(2)], collect).then(collect, "last")
    assert await (await chord([inner, give.s(3)], collect).enqueue()) == [[["last", [[1, 2]]], 3]]


async def test_a_member_that_succeeds_in_the_end_was_never_a_failure(huey: Huey, collect: Task[..., Any]) -> None:
    """Unlike Huey's, a handler is no witness of every attempt: it is for what has failed."""
    handled: list[Any] = []

    @huey.task(retries=1, context=True)
    async def flaky(task: TaskRun) -> str:
        if task.attempt == 1:
            raise ConnectionError
        return "fine"

    @huey.task(retries=1)
    async def hopeless() -> None:
        raise ConnectionError

    @huey.task
    async def handle(*args: Any) -> None:
        handled.append(args)

    result = await chord([flaky.s().error(handle), hopeless.s().error(handle, "own")], collect).enqueue()
    [[fine, error]] = await result
    assert (fine, error.metadata["attempt"]) == ("fine", 2)
    [(own, exception)] = handled
    assert (own, type(exception)) == ("own", TaskException)


async def test_none_is_a_result_like_any_other(give: Task[..., Any], collect: Task[..., Any]) -> None:
    assert await (await chord([give.s(None), give.s(1)], collect).enqueue()) == [[None, 1]]


# -- immediate mode


async def test_a_whole_workflow_has_run_when_its_enqueue_returns(
    huey: Huey, give: Task[..., Any], collect: Task[..., Any]
) -> None:
    result = await chord([give.s(1), give.s(2).then(collect)], collect).then(collect).enqueue()
    assert await result.pipeline_results[1].status() is State.DONE
    assert await result.pipeline_results[1] == [[[1, [2]]]]
    joined = await collect.after(give.s(1), give.s((2, 3))).enqueue("own")
    assert (await joined.status(), await joined) == (State.DONE, ["own", 1, (2, 3)])


async def test_a_task_may_enqueue_a_workflow_and_wait_for_it(huey: Huey, give: Task[..., Any]) -> None:
    @huey.task
    async def outer() -> Any:
        return await (await group([give.s(1), give.s(2).then(give, 5)]).enqueue())

    assert await (await outer.enqueue()) == [1, 5]


async def test_a_delayed_stage_runs_when_time_has_passed_since_the_one_before(huey: Huey, give: Task[..., Any]) -> None:
    huey.immediate = False
    async with virtual_clock(huey) as clock:
        first, second = await give.options(delay=100).s(1).then(give.options(delay=60)).enqueue()
        await clock.advance(100)
        assert [await first.status(), await second.status()] == [State.DONE, State.SCHEDULED]
        await clock.advance(59)
        assert await second.status() is State.SCHEDULED
        await clock.advance(1)
        assert await second == 1


async def test_a_stage_expires_so_long_after_it_was_due(huey: Huey, give: Task[..., Any]) -> None:
    async with virtual_clock(huey) as clock:
        results = await give.options(delay=3600).s(1).then(give.options(delay=60, expires=10)).enqueue()
        await clock.advance(3660)
        assert await results[1] == 1


async def test_an_enqueue_raises_what_the_first_failure_raised(
    huey: Huey, fail: Task[..., Any], collect: Task[..., Any]
) -> None:
    huey.raise_exceptions = True
    with pytest.raises(ValueError, match="no"):
        await chord([fail.options(id="failed").s()], collect.options(id="callback")).enqueue()
    assert await huey.result("callback").status() is State.DONE


# -- signals and handlers


async def test_each_task_is_enqueued_when_those_before_it_have_ended(
    give: Task[..., Any], told: list[str], huey: Huey
) -> None:
    await give.s("a").then(give, "b").enqueue()
    assert told == [
        *("enqueued a", "executing a", "complete a"),
        *("enqueued b", "executing b", "complete b"),
    ]


async def test_a_chord_signals_its_members_and_then_its_callback(
    give: Task[..., Any], collect: Task[..., Any], told: list[str]
) -> None:
    await chord([give.s("a"), give.s("b")], collect.s("c")).enqueue()
    assert told[:2] == ["enqueued a", "enqueued b"]
    assert sorted(told[2:6]) == ["complete a", "complete b", "executing a", "executing b"]
    assert told[6:] == ["enqueued c", "executing c", "complete c"]


async def test_a_task_that_is_retried_after_others_is_announced_once(huey: Huey, give: Task[..., Any]) -> None:
    enqueued: list[str] = []

    @huey.task(retries=1, context=True)
    async def flaky(*args: Any, task: TaskRun) -> None:
        if task.attempt == 1:
            raise ValueError

    huey.signal(SIGNAL_ENQUEUED)(lambda signal, task: enqueued.append(task.name.rpartition(".")[2]))
    await give.s(1).then(flaky).enqueue()
    assert enqueued == ["give", "flaky", "flaky"]


async def test_what_never_starts_is_not_announced(
    huey: Huey, give: Task[..., Any], fail: Task[..., Any], told: list[str]
) -> None:
    await fail.s("a").then(give, "b").error(give, "c").enqueue()
    assert told == ["enqueued a", "executing a", "error a"]


async def test_a_handler_that_refuses_a_task_keeps_its_whole_workflow_out(huey: Huey, give: Task[..., Any]) -> None:
    @huey.pre_enqueue()
    async def refuse(task: Any) -> None:
        if task.args == ("bad",):
            raise CancelExecution("not this one")

    with pytest.raises(CancelExecution):
        await give.options(id="first").s(1).then(give, "bad").enqueue()
    assert await huey.result("first").status() is State.UNKNOWN


# -- serializers and processes


@pytest.mark.parametrize(
    "serializer",
    [
        JSONSerializer(keys=["k" * 16], compress_from=0),
        PickleSerializer(keys=["k" * 16]),
    ],
    ids=["signed", "pickle"],
)
async def test_every_serializer_carries_a_workflow(serializer: Any) -> None:
    huey = MemoryHuey("sealed", serializer=serializer)

    @huey.task
    async def echo(*args: Any) -> Any:
        return args

    @huey.task
    async def fail(*ignored: Any) -> None:
        raise ValueError("no")

    async with running(huey):
        result = await chord([echo.s(b"\n\0"), fail.s().then(echo), echo.s(1).then(echo)], echo).enqueue()
        [[echoed, failed, last]] = await result
        assert (echoed, failed.metadata["type"], last) == ((b"\n\0",), "ValueError", (1,))
        with pytest.raises(TaskException, match="no"):
            await result.results[1]
        waiting = await echo.options(delay=3600).s().then(echo).enqueue()
        assert await waiting[0].cancel()
        with pytest.raises(TaskException, match="cancelled before it started"):
            await waiting[1]


async def test_a_child_process_gets_what_came_before() -> None:
    async with running(calculator):
        result = await chord([show.s(1), show.s({2})], show, on_failure="fail_fast").enqueue()
        [[one, _, _], [two, _, _]], nothing, child = await result
        assert (one, two, nothing) == (1, {2}, {})
        assert child != os.getpid()


# -- stops


async def test_cancelling_a_stage_that_waits_ends_what_is_behind_it(huey: Huey, give: Task[..., Any]) -> None:
    async with virtual_clock(huey) as clock:
        first, second, third = await give.options(delay=10).s(1).then(give).then(give).enqueue()
        assert await second.status() is State.WAITING
        assert await second.cancel()
        assert [await each.status() for each in (first, second, third)] == ["scheduled", "cancelled", "cancelled"]
        with pytest.raises(TaskException, match="cancelled before it started") as caught:
            await third
        assert caught.value.task_id == second.id
        await clock.advance(10)
        assert await first == 1
        assert await second.status() is State.CANCELLED
        assert not await second.cancel()


async def test_cancelling_a_member_leaves_its_place_to_a_placeholder(
    huey: Huey, give: Task[..., Any], collect: Task[..., Any]
) -> None:
    async with virtual_clock(huey) as clock:
        result = await chord([give.s(1), give.options(delay=10).s(2), give.options(delay=5).s(3)], collect).enqueue()
        assert await result.results[1].cancel()
        await clock.advance(5)
        assert await result == [[1, SKIPPED, 3]]


async def test_a_stage_is_revoked_while_it_waits_and_restored_until_it_starts(huey: Huey, give: Task[..., Any]) -> None:
    async with virtual_clock(huey) as clock:
        for restores in (False, True):
            _, second, third = await give.options(delay=10).s(1).then(give).then(give).enqueue()
            await second.revoke()
            assert await second.is_revoked()
            assert not restores or await second.restore()
            await clock.advance(10)
            assert await second.status() == await third.status() == ("done" if restores else "cancelled")


async def test_only_the_last_task_of_a_workflow_can_be_rescheduled_and_only_when_it_has_its_inputs(
    huey: Huey, give: Task[..., Any], collect: Task[..., Any]
) -> None:
    async with virtual_clock(huey) as clock:
        first, second = await give.options(delay=10).s((1, 2)).then(collect.options(delay=60), "own").enqueue()
        with pytest.raises(ValueError, match="cannot be rescheduled, because others wait for it"):
            await first.reschedule()
        with pytest.raises(ValueError, match="cannot be rescheduled, because it still waits for others"):
            await second.reschedule()
        await clock.advance(10)
        assert await second.status() is State.SCHEDULED
        sooner = await second.reschedule()
        assert await sooner == ["own", 1, 2]
        assert await second.status() is State.CANCELLED
        with pytest.raises(ResultNotFound):
            await second.reschedule()


async def test_a_dead_member_is_an_error_and_its_handler_runs(huey: Huey, collect: Task[..., Any]) -> None:
    """Bytes that make no sense, say: nobody could tell its worker what to do."""

    @huey.task
    async def handle(error: TaskException) -> str:
        return error.state

    @huey.task(name="gone")
    async def gone() -> None: ...

    huey.immediate = False
    async with huey:
        result = await chord([gone.options(timeout=5).s().error(handle.options(id="handler"))], collect).enqueue()
        storage = (await huey._parts.clients.open()).storage
        task: Any = storage._tasks[result.results[0].id]  # type: ignore[attr-defined]
        task.payload = b"junk"
        async with running(huey):
            [[dead]] = await result
            assert (type(dead), dead.metadata["state"]) == (Error, "dead")
            assert await huey.result("handler") == "dead"
