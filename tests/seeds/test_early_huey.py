"""The texts of Huey's first version, "Understanding how commands are imported" and "Huey's API", in today's names.

What was an ``Invoker`` with its queue and its result store is a ``Huey``, ``queue_command(invoker)`` is ``huey.task``,
``AsyncData`` is a result, and the ``Configuration`` to which the consumer was pointed is the ``Huey`` object itself.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import aqueue
from aqueue import Huey, RedisHuey
from aqueue.core.ids import new_token
from aqueue.testing import virtual_clock

from ..examples.processes import environment, program, run, running
from ..tour.running import running_in_a_thread
from .test_imports import wait_until_it_says

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..servers import Server

# -- understanding how commands are imported

CONFIG = """\
# config.py
from aqueue import RedisHuey

huey = RedisHuey('test-queue', host='localhost', port=6379)
"""

COMMANDS = """\
# commands.py
from config import huey  # import the huey object we instantiated in config.py

@huey.task
def count_beans(num):
    print('Counted %s beans' % num)
"""

MAIN = """\
# main.py
from config import huey  # import the application
from commands import count_beans  # import any commands


if __name__ == '__main__':
    beans = input('How many beans? ')
    count_beans.enqueue_sync(int(beans))
    print('Enqueued job to count %s beans' % beans)
"""


def test_a_worker_that_is_pointed_at_main_counts_the_beans(tmp_path: Path, redis_server: Server) -> None:
    config = CONFIG.replace("6379", str(redis_server.port))
    for name, source in (("config.py", config), ("commands.py", COMMANDS), ("main.py", MAIN)):
        (tmp_path / name).write_text(source)
    env = environment(PYTHONPATH=str(Path(aqueue.__file__).parents[1]))
    with running(program("aqueue", "worker", "main.huey"), tmp_path, env) as worker:
        said = run(program("python", "main.py"), tmp_path, env, typed="7\n")
        assert said == "How many beans? Enqueued job to count 7 beans\n"
        wait_until_it_says(worker, "+ commands.count_beans", "Counted 7 beans")


# -- Huey's API


@pytest.fixture
def huey(redis_server: Server) -> Iterator[Huey]:
    huey = RedisHuey(f"test-{new_token()}", url=redis_server.url)
    yield huey
    huey.sync.close()


def declared(huey: Huey) -> Any:
    @huey.task
    def count_some_beans(num: int) -> str:
        # do some counting!
        return f"Counted {num} beans"

    return count_some_beans


def test_a_call_is_enqueued_and_its_result_fetched_later(huey: Huey) -> None:
    count_some_beans = declared(huey)
    res = count_some_beans.enqueue_sync(1000000)
    assert res.get(blocking=False) is None
    with running_in_a_thread(huey):
        assert res.get(timeout=20) == "Counted 1000000 beans"


def test_without_results_there_is_nothing_to_get(redis_server: Server) -> None:
    huey = RedisHuey(f"test-{new_token()}", url=redis_server.url, results=False)
    res = declared(huey).enqueue_sync(1000000)
    with running_in_a_thread(huey):
        assert res.get(timeout=20) is None
    assert res.status() == "done"
    huey.sync.close()


def test_a_command_can_be_executed_immediately(redis_server: Server) -> None:
    """``always_eager = True``, for debugging or where no consumer is to run: errors are raised at the call."""
    huey = RedisHuey("test-queue", url=redis_server.url, immediate=True, raise_exceptions=True)
    assert declared(huey).enqueue_sync(5).get() == "Counted 5 beans"
    divide = huey.task(name="divide")(lambda a, b: a / b)
    with pytest.raises(ZeroDivisionError):
        divide.enqueue_sync(1, 0)
    huey.sync.close()


async def test_the_execution_can_be_scheduled_for_a_certain_time(huey: Huey) -> None:
    count_some_beans = declared(huey)
    # get a datetime object representing one hour in the future
    in_an_hour = datetime.datetime.now() + datetime.timedelta(seconds=3600)
    async with virtual_clock(huey) as clock:
        # schedule "count_some_beans" to run in an hour
        res = await count_some_beans.schedule(args=(100000,), eta=in_an_hour)
        await clock.advance(3590)
        assert await res.status() == "scheduled"
        # A second more: the clock began when the hour was named, or up to a millisecond before that.
        await clock.advance(11)
        assert await res.get() == "Counted 100000 beans"


async def test_a_time_in_utc_need_not_be_converted(huey: Huey) -> None:
    count_some_beans = declared(huey)
    async with virtual_clock(huey) as clock:
        in_a_minute = clock.now().replace(tzinfo=None) + datetime.timedelta(minutes=1)
        res = await count_some_beans.schedule(kwargs={"num": 5}, eta=in_a_minute, convert_utc=False)
        await clock.advance(59)
        assert await res.get(blocking=False) is None
        await clock.advance(1)
        assert await res.get(blocking=False) == "Counted 5 beans"
