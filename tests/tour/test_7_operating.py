"""Looking after an application: what waits, what runs, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aqueue import ResultNotFound, State, TaskException

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_what_is_in_the_store_can_be_listed(huey: Huey) -> None:
    """With names and arguments, wherever the tasks are declared. Lists come in pages, so they hold nobody up."""

    @huey.task(name="look")
    async def look(what: str) -> list[str]:
        return [*{f"{task.name}({what})" for task in await huey.queues.running() if what in task.args}]

    async with huey:
        first, second = await look.map([("a",), ("b",)])
        await look.options(delay=3600).enqueue("later")
        assert [(task.id, task.args) for task in await huey.pending()] == [(first.id, ("a",)), (second.id, ("b",))]
        [later] = await huey.scheduled()
        assert (later.state, later.args) == (State.SCHEDULED, ("later",))
        assert [await huey.pending_count(), await huey.scheduled_count(), await huey.result_count()] == [2, 1, 0]
        async with running(huey, concurrency=1):
            assert await second == ["look(b)"]
        assert {info.id: info.value for info in await huey.all_results()} == {
            first.id: ["look(a)"],
            second.id: ["look(b)"],
        }


async def test_what_failed_for_good_can_be_run_again(huey: Huey) -> None:
    """It leaves a dead letter, for a week. A retry has the same id and all its retries, and happens once."""
    accounts = set()

    @huey.task(retries=1)
    async def pay(account: str) -> str:
        if account not in accounts:
            raise LookupError(account)
        return f"paid {account}"

    async with running(huey):
        with pytest.raises(TaskException):
            await (await pay.enqueue("ann"))
        [letter] = await huey.dead.list()
        assert (letter.args, letter.attempt, letter.metadata["type"]) == (("ann",), 2, "LookupError")
        accounts.add("ann")
        assert await (await huey.dead.retry(letter)) == "paid ann"
        with pytest.raises(ResultNotFound):
            await huey.dead.retry(letter)


async def test_a_queue_can_be_paused_in_every_process_at_once(huey: Huey) -> None:
    """What runs goes on. Nothing else starts until it is resumed, and the order of the line stays."""

    @huey.task(queue="mail")
    async def send(number: int) -> int:
        return number

    async with running(huey):
        await huey.queues.pause("mail")
        results = await send.map([(1,), (2,)])
        assert [await result.status() for result in results] == [State.QUEUED, State.QUEUED]
        await huey.queues.resume("mail")
        assert await results == [1, 2]


async def test_a_queue_can_be_emptied(huey: Huey) -> None:
    """``purge`` cancels what waits, so whoever awaits it is told; ``flush`` forgets everything."""

    @huey.task()
    async def work() -> None: ...

    async with huey:
        result = await work.enqueue()
        assert await huey.queues.purge("default") == 1
        with pytest.raises(TaskException, match="purged"):
            await result
        assert await huey.flush() == 1
        assert await huey.result(result.id).status() is State.UNKNOWN


async def test_a_doctor_proves_that_no_task_is_lost(huey: Huey) -> None:
    """Every task is in exactly one place, seen from both ends, while the workers work."""

    @huey.task()
    async def work(number: int) -> int:
        return number

    async with running(huey):
        results = await work.map([(number,) for number in range(100)])
        assert (await huey.doctor()).is_healthy
        assert sum(await results) == 4950
        assert (await huey.doctor()).examined == 100
