"""Where tasks run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aqueue import SqliteHuey

from .running import running

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue import Huey


async def test_a_worker_reads_the_queues_it_is_told_to(huey: Huey) -> None:
    """Tasks wait in queues; a worker without ``queues=`` reads those of all tasks."""

    @huey.task(queue="mails")
    async def send_mail() -> str:
        return "sent"

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with huey:
        mail, total = await send_mail.enqueue(), await add.enqueue(1, 2)
        async with running(huey, queues=["mails"]):
            assert await mail == "sent"
            assert await total.status() == "queued"
        async with running(huey):
            assert await total == 3


async def test_a_worker_can_stop_when_nothing_is_left(huey: Huey) -> None:
    """A burst works until the queues are empty."""
    done = []

    @huey.task()
    async def work(number: int) -> None:
        done.append(number)

    async with huey:
        await work.map(range(100))
        await huey.create_worker(burst=True).run()
    assert sorted(done) == list(range(100))


async def test_a_worker_lives_inside_an_application(huey: Huey) -> None:
    """``create_worker`` makes one for the running event loop: start it with the application, stop it at its end."""

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with huey:
        worker = huey.create_worker(concurrency=10)
        working = asyncio.create_task(worker.run())
        assert await (await add.enqueue(1, 2)) == 3
        await worker.stop()
        await working


async def test_a_file_needs_no_server(tmp_path: Path) -> None:
    """``SqliteHuey`` keeps tasks and results in a file that several processes may share, and that outlasts them."""
    huey = SqliteHuey("shop", filename=tmp_path / "shop.db")

    @huey.task()
    async def add(a: int, b: int) -> int:
        return a + b

    async with huey:
        task_id = (await add.enqueue(1, 2)).id
    async with running(huey):
        assert await huey.result(task_id) == 3
