"""Rate limits, as blocks, as decorators and around tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import Huey, MemoryHuey, RateLimitExceeded, TaskException, TaskRun

from ...tour.running import running
from ..facts import until

if TYPE_CHECKING:
    from collections.abc import Callable

# A window that no test outlives.
_LONG = 10**8


@pytest.fixture
def huey() -> Huey:
    return MemoryHuey("shop")


@pytest.mark.parametrize("sliding", [False, True])
async def test_a_limit_admits_exactly_as_many_as_it_says_however_many_come(
    huey_on_any_store: Huey, sliding: bool
) -> None:
    limit = huey_on_any_store.rate_limit("api", 25, _LONG, sliding=sliding)

    async with huey_on_any_store:
        calls = await asyncio.gather(*(limit.acquire() for _ in range(300)), return_exceptions=True)
        refusals = [error for error in calls if isinstance(error, RateLimitExceeded)]
        assert len(refusals) == 275
        assert {(error.key, error.retry) for error in refusals} == {("api", True)}
        assert all(0 < error.delay <= _LONG for error in refusals)
        assert await limit.current_usage() == 25
        await limit.reset()
        assert await limit.current_usage() == 0
        await limit.acquire()
        assert await limit.current_usage() == 1


async def test_limited_tasks_are_all_done_in_the_end(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    admitted: list[int] = []

    @huey.task(name="work")
    @huey.rate_limit("api", 4, 0.3, sliding=True)
    async def work(number: int) -> int:
        admitted.append(number)
        return number

    async with running(huey):
        assert await (await work.map(list(range(12)))).get(timeout=30) == list(range(12))
    assert sorted(admitted) == list(range(12))


async def test_a_limited_task_waits_and_loses_none_of_its_retries(huey: Huey) -> None:
    attempts: list[tuple[int, int]] = []

    @huey.pre_execute()
    def note(task: TaskRun) -> None:
        attempts.append((task.attempt, task.retries))

    @huey.task(name="work", retries=1)
    @huey.rate_limit("api", 1, 0.3)
    async def work() -> str:
        return "done"

    async with running(huey):
        assert await (await work.map([(), (), ()])).get(timeout=20) == ["done"] * 3
    assert len(attempts) > 3
    assert set(attempts) == {(1, 1)}


async def test_a_limited_task_without_retries_waits_too(huey: Huey) -> None:
    @huey.task(name="work")
    @huey.rate_limit("api", 1, 0.3)
    async def work() -> str:
        return "done"

    async with running(huey):
        assert await (await work.map([(), ()])).get(timeout=20) == ["done"] * 2


async def test_a_limit_without_retry_is_a_failure(huey: Huey) -> None:
    @huey.task(name="work")
    @huey.rate_limit("api", 1, _LONG, retry=False)
    async def work() -> str:
        return "done"

    async with running(huey):
        assert await (await work.enqueue()).get(timeout=20) == "done"
        with pytest.raises(TaskException) as caught:
            await (await work.enqueue()).get(timeout=20)
    assert (caught.value.state, caught.value.type) == ("failed", "RateLimitExceeded")


async def test_a_limit_without_retry_uses_up_the_retries_of_the_task(huey: Huey) -> None:
    attempts: list[int] = []

    @huey.pre_execute()
    def note(task: TaskRun) -> None:
        attempts.append(task.attempt)

    @huey.task(name="work", retries=2, retry_delay=0.01)
    @huey.rate_limit("api", 1, _LONG, retry=False)
    async def work() -> str:
        return "done"

    async with running(huey), huey.rate_limit("api", 1, _LONG):
        with pytest.raises(TaskException):
            await (await work.enqueue()).get(timeout=20)
    assert attempts == [1, 2, 3]


async def test_the_tasks_own_delay_goes_before_the_limits(huey: Huey) -> None:
    attempts: list[int] = []

    @huey.pre_execute()
    def note(task: TaskRun) -> None:
        attempts.append(task.attempt)

    @huey.task(name="work", retry_delay=0.01)
    @huey.rate_limit("api", 1, _LONG)
    async def work() -> str:
        return "done"

    async with running(huey), huey.rate_limit("api", 1, _LONG) as nothing:
        assert nothing is None
        result = await work.enqueue()
        await until(lambda: len(attempts) > 3)
        await huey.rate_limit("api", 1, _LONG).reset()
        assert await result.get(timeout=20) == "done"


def test_a_limit_holds_for_plain_functions_in_threads(huey_on_any_store: Huey) -> None:
    limit = huey_on_any_store.rate_limit("api", 2, _LONG, retry=False)
    assert repr(limit) == "<RateLimit api>"

    @limit
    def call(number: int) -> int:
        return number

    assert [call(1), call(2)] == [1, 2]
    with pytest.raises(RateLimitExceeded, match="rate limit api is used up"):
        call(3)
    with pytest.raises(RateLimitExceeded), limit:
        pytest.fail("it was entered")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("", 1, 1), ValueError, "the name of a rate limit must be text of 1 to 200 characters"),
        (("x", 0, 1), ValueError, "limit must be between 1 and 1000000, not 0"),
        (("x", 1.5, 1), TypeError, "limit must be an int, not 1.5"),
        (("x", 1, 0), ValueError, r"per must be at least 0\.001 seconds, not 0"),
        (("x", 1, "s"), TypeError, "per must be seconds"),
        (("x", 1, 1, 5), TypeError, "retry must be True or False, not 5"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_at_once(
    huey: Huey, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    declare: Callable[..., Any] = huey.rate_limit
    with pytest.raises(error, match=message):
        declare(*arguments)
