"""The text "Understanding how tasks are imported", followed as it is written, with ``await`` where aqueue awaits."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import aqueue
from aqueue import Huey

from ..examples.processes import PATIENCE_SECONDS, environment, program, run, running

if TYPE_CHECKING:
    from ..examples.processes import Running
    from ..servers import Server

CONFIG = """\
# config.py
from aqueue import RedisHuey

huey = RedisHuey('testing')
"""

TASKS = """\
# tasks.py
from config import huey

@huey.task()
def add(a, b):
    return a + b
"""

MAIN = """\
# main.py
import asyncio

from config import huey  # import the "huey" object.
from tasks import add  # import any tasks / decorated functions


async def main():
    result = await add.enqueue(1, 2)
    print('1 + 2 = %s' % await result.get(blocking=True))


if __name__ == '__main__':
    asyncio.run(main())
"""


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """The three modules of the text."""
    for name, source in (("config.py", CONFIG), ("tasks.py", TASKS), ("main.py", MAIN)):
        (tmp_path / name).write_text(source)
    return tmp_path


@pytest.fixture(params=["redis", "sqlite"])
def env(request: pytest.FixtureRequest, layout: Path) -> dict[str, str]:
    """``RedisHuey('testing')`` is on localhost, unless the environment says where."""
    url = f"sqlite:///{layout / 'testing.db'}"
    if request.param == "redis":
        server: Server = request.getfixturevalue("redis_server")
        url = server.url
    return environment(AQUEUE_URL=url, PYTHONPATH=str(Path(aqueue.__file__).parents[1]))


def wait_until_it_says(worker: Running, *texts: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not all(text in worker.said for text in texts):
        assert worker.process.poll() is None, f"it ended:\n{worker.said}"
        assert time.monotonic() < deadline, f"it did not say {texts}:\n{worker.said}"
        time.sleep(0.01)


@pytest.mark.parametrize("spelling", ["main.huey", "main:huey"])
def test_a_worker_that_is_pointed_at_main_knows_its_tasks(layout: Path, env: dict[str, str], spelling: str) -> None:
    with running(program("aqueue", "worker", spelling), layout, env) as worker:
        assert run(program("python", "main.py"), layout, env) == "1 + 2 = 3\n"
        wait_until_it_says(worker, "application  testing", "+ tasks.add")


def test_what_is_enqueued_before_the_worker_starts_is_run_when_it_does(layout: Path, env: dict[str, str]) -> None:
    with running(program("python", "main.py"), layout, env, ends_with=0) as script:
        with running(program("aqueue", "worker", "main.huey"), layout, env):
            assert script.process.wait(PATIENCE_SECONDS) == 0
        assert script.said == "1 + 2 = 3\n"


def test_a_task_that_is_not_recognized_is_kept_for_a_worker_that_knows_it(layout: Path, env: dict[str, str]) -> None:
    """Pointed at ``config.huey``, a worker imports no tasks. Huey raises an exception then; here nothing gets lost."""
    with running(program("aqueue", "worker", "config.huey"), layout, env) as worker:
        enqueued = run(
            program("python", "-c", "import asyncio, main; print(asyncio.run(main.add.enqueue(1, 2)).id)"), layout, env
        )
        task_id = enqueued.strip()
        wait_until_it_says(worker, "tasks        0: is the module that declares them imported?")
        wait_until_it_says(
            worker, f"Task {task_id}: no task is named 'tasks.add' here", "It is kept, and offered again"
        )
        assert worker.process.poll() is None
    with running(program("aqueue", "worker", "main.huey"), layout, env):
        assert asyncio.run(result_of(env["AQUEUE_URL"], task_id)) == 3


async def result_of(url: str, task_id: str) -> object:
    async with Huey("testing", url=url) as huey:
        return await huey.result(task_id).get(timeout=PATIENCE_SECONDS)


def test_a_task_is_no_less_a_function(layout: Path, env: dict[str, str]) -> None:
    assert run(program("python", "-c", "import main; print(main.add(1, 2), main.add.name)"), layout, env) == (
        "3 tasks.add\n"
    )
