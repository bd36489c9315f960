"""What an application can find out about its store, and about who looks after its tasks."""

from __future__ import annotations

from typing import Any

from aqueue import Huey, every
from aqueue.app.doctor import MOST_FINDINGS
from aqueue.storage.admin import Finding
from aqueue.tasks.schedule import ScheduleState
from aqueue.testing.conformance.harness import keeper_of, pull

from ...tour.running import running
from ..facts import until


def declared(huey: Huey, **options: Any) -> Any:
    @huey.task(name="add", **options)
    async def add(a: int) -> int:
        return a

    return add


async def test_a_healthy_store_has_no_faults(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    add = declared(huey)
    assert (await huey.doctor()).examined == 0
    async with running(huey):
        await until(huey.queues.workers)
        await add.map([(1,), (2,)])
        await (await add.enqueue(3)).get(timeout=10)
        await add.options(delay=60).enqueue(4)
        await add.s(5).then(add.options(delay=60)).enqueue()
        diagnosis = await huey.doctor()
        assert (diagnosis.is_healthy, diagnosis.findings, diagnosis.warnings) == (True, [], [])
        assert diagnosis.examined == 6


async def test_a_task_in_no_place_is_a_fault(huey: Huey) -> None:
    result = await declared(huey).enqueue(1)
    storage: Any = (await huey._parts.clients.open()).storage
    storage._ready.clear()
    diagnosis = await huey.doctor()
    assert not diagnosis.is_healthy
    assert diagnosis.findings == [Finding("lost", result.id, "is queued, and in no place")]


async def test_a_schedule_that_a_fast_clock_has_silenced_is_worth_a_warning(huey: Huey) -> None:
    @huey.periodic_task(every(minutes=1), name="sweep")
    async def sweep() -> None: ...

    storage = (await huey._parts.clients.open()).storage
    ahead = ScheduleState(await storage.now_ms() + 7_230_000).encoded("sweep", huey._parts.codec)
    await storage.advance("sweep", b"", ahead, [])
    [warning] = (await huey.doctor()).warnings
    assert "'sweep' was fired up to 120 minutes ahead" in warning


async def test_findings_are_told_up_to_a_number(huey: Huey) -> None:
    await declared(huey).map([(number,) for number in range(MOST_FINDINGS + 10)])
    storage: Any = (await huey._parts.clients.open()).storage
    storage._ready.clear()
    diagnosis = await huey.doctor()
    assert (diagnosis.examined, len(diagnosis.findings)) == (MOST_FINDINGS + 10, MOST_FINDINGS)


async def test_tasks_that_no_worker_reads_are_worth_a_warning(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    add = declared(huey)
    async with running(huey, queues=["default"]):
        await add.options(queue="mial").enqueue(1)
        await until(huey.queues.workers)
        diagnosis = await huey.doctor()
        assert diagnosis.is_healthy
        assert diagnosis.warnings == ["tasks wait in the queue 'mial', which no worker reads: 1"]


async def test_tasks_that_are_paused_are_worth_a_warning(huey: Huey) -> None:
    await declared(huey).enqueue(1)
    for name in ("default", None):
        await huey.queues.pause(name)
        assert (await huey.doctor()).warnings == ["tasks wait in the queue 'default', which is paused: 1"]
        await huey.queues.resume(name)


async def test_tasks_of_the_dead_are_worth_a_warning(huey: Huey) -> None:
    await declared(huey).enqueue(1)
    storage: Any = (await huey._parts.clients.open()).storage
    await pull(storage, 1, consumer="gone")
    assert (await huey.doctor()).warnings == []
    for task in storage._lent.values():
        task.leased_until_ms -= 60_000
    told = "tasks are in the hands of workers that give no sign of life: 1"
    assert (await huey.doctor()).warnings == [told]


async def test_overdue_tasks_are_worth_a_warning(huey: Huey) -> None:
    await declared(huey).options(delay=3600).enqueue(1)
    storage: Any = (await huey._parts.clients.open()).storage
    storage._scheduled[:] = [(due_ms - 3_700_000, serial, task) for due_ms, serial, task in storage._scheduled]
    told = "tasks of the queue 'default' are due, and nobody puts them in line: no worker runs"
    assert (await huey.doctor()).warnings == [told]


async def test_a_worker_that_describes_itself_in_another_way_is_no_error(huey: Huey) -> None:
    await declared(huey).enqueue(1)
    storage = (await huey._parts.clients.open()).storage
    for description in (b"", b"[]", b"{}", b'{"lease_ms": "soon"}', b"\xff"):
        keeper_of(storage, "other").renew([], description)
        assert (await huey.doctor()).warnings == ["tasks wait in the queue 'default', which no worker reads: 1"]
