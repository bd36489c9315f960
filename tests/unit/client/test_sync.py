"""The same calls for code that cannot await: from scripts, from threads, from plain functions as tasks."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    Huey,
    QueueUnavailable,
    RedisHuey,
    ResultNotFound,
    ResultTimeout,
    SqliteHuey,
    State,
    TaskException,
    chord,
    group,
)

from ...tour.running import running_in_a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def huey(tmp_path: Path) -> Iterator[Huey]:
    huey = SqliteHuey("shop", filename=tmp_path / "shop.db")
    yield huey
    huey.sync.close()


def declare(huey: Huey) -> Any:
    @huey.task(name="divide")
    async def divide(a: int, b: int) -> float:
        return a / b

    return divide


def test_a_script_enqueues_and_waits_without_an_event_loop(huey: Huey) -> None:
    divide = declare(huey)
    with running_in_a_thread(huey):
        result = huey.sync.enqueue(divide.s(6, 2))
        assert repr(result) == f"<SyncResult {result.id}>"
        assert result.get(timeout=20) == 3.0
        assert (result.created, result.status(), result.is_ready()) == (True, State.DONE, True)
        assert divide.enqueue_sync(8, b=2).get(timeout=20) == 4.0
        assert [member.get(timeout=20) for member in huey.sync.enqueue_many([divide.s(1, 1), divide.s(4, 2)])] == [1, 2]
        assert huey.sync.result(result.id).get(timeout=20) == 3.0


def test_a_script_enqueues_workflows(huey: Huey) -> None:
    divide = declare(huey)

    @huey.task(name="total")
    async def total(numbers: list[float]) -> float:
        return sum(numbers)

    with running_in_a_thread(huey):
        stages = huey.sync.enqueue(divide.s(6, 2).then(divide, 12))
        assert [stage.get(timeout=20) for stage in stages] == [3, 4]
        assert [each.get(timeout=20) for each in huey.sync.enqueue(group([divide.s(6, 2), divide.s(8, 2)]))] == [3, 4]
        sums = huey.sync.enqueue(chord([divide.s(6, 2), divide.s(8, 2)], total).then(divide, 14))
        assert sums.get(timeout=20) == sums.callback.get(timeout=20) == 7
        assert [each.get(timeout=20) for each in sums.results] == [3, 4]
        assert [each.get(timeout=20) for each in sums.pipeline_results] == [7, 2]


def test_a_script_stops_and_reschedules_what_it_enqueued(huey: Huey) -> None:
    divide = declare(huey)
    later = huey.sync.enqueue(divide.options(delay=3600).s(6, 2))
    later.revoke()
    assert (later.is_ready(), later.is_revoked(), later.restore(), later.is_revoked()) == (False, True, True, False)
    now = later.reschedule(priority=5)
    assert (later.status(), later.cancel()) == (State.CANCELLED, False)
    with running_in_a_thread(huey):
        assert now.get(timeout=20) == 3.0


def test_its_errors_are_the_same(huey: Huey) -> None:
    divide = declare(huey)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        divide.enqueue_sync(1)
    with pytest.raises(ResultNotFound):
        huey.sync.result("nobody").get()
    result = huey.sync.enqueue(divide.s(1, 0))
    assert result.get(blocking=False) is None
    with pytest.raises(ResultTimeout):
        result.get(timeout=0.01)
    with running_in_a_thread(huey), pytest.raises(TaskException, match="division by zero"):
        result.get(timeout=20)
    unreachable = RedisHuey("shop", port=1)
    with pytest.raises(QueueUnavailable):
        declare(unreachable).enqueue_sync(1, 2)
    unreachable.sync.close()


def test_many_threads_share_one_line_to_the_store(huey: Huey) -> None:
    divide = declare(huey)
    before = threading.active_count()
    divide.enqueue_sync(1, 1)
    used = threading.active_count() - before
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: divide.enqueue_sync(number, 1), range(100)))
    assert threading.active_count() - before == used
    with running_in_a_thread(huey), ThreadPoolExecutor(8) as threads:
        results = threads.map(lambda number: divide.enqueue_sync(number, 1).get(timeout=20), range(100))
        assert list(results) == list(range(100))


def test_a_plain_function_as_a_task_may_enqueue_others(huey: Huey) -> None:
    divide = declare(huey)

    @huey.task(name="outer")
    def outer() -> float:
        return float(divide.enqueue_sync(6, 2).get(timeout=20))

    with running_in_a_thread(huey):
        assert outer.enqueue_sync().get(timeout=20) == 3.0


async def test_an_event_loop_is_not_blocked(huey: Huey) -> None:
    divide = declare(huey)
    with pytest.raises(RuntimeError, match=r"a synchronous call would block this event loop: use await"):
        divide.enqueue_sync(6, 2)


def test_what_was_closed_is_opened_again(huey: Huey) -> None:
    divide = declare(huey)
    for _ in range(3):
        result = divide.enqueue_sync(6, 2)
        assert result.status() == "queued"
        huey.sync.close()
        huey.sync.close()
        assert result.status() == "queued", "a handle outlives the connection that made it"


def test_a_forked_child_has_a_line_of_its_own(huey: Huey) -> None:
    divide = declare(huey)
    here = divide.enqueue_sync(6, 2)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, divide.enqueue_sync(8, 2).id.encode())
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    there = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert huey.sync.result(there).status() == here.status() == "queued"
