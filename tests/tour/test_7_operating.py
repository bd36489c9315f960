"""Looking after an application: what waits, what runs, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue import State

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_what_is_in_the_store_can_be_listed(huey: Huey) -> None:
    """With names and arguments, wherever the tasks are declared. Lists come in pages, so they hold nobody up."""

    @huey.task(name="look")
    async def look(what: str) -> list[str]:
        return [*{f"{task.name}({what})" for task in await huey.running() if what in task.args}]

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
