"""Child processes of real workers: how they end with them, and what they have from them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ....cli.shell import ENVIRONMENT, PATIENCE, Shell
from .bench import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP = """
import logging
import os
import pathlib
import re
import signal
import time

from aqueue import Huey

huey = Huey("shop")


def tell():
    pathlib.Path("started").write_text(str(os.getpid()))


@huey.task(pool="process")
def spin():
    tell()
    while True:
        pass


@huey.task(pool="process")
def hold_the_interpreter():
    tell()
    re.match("(a+)+$", "a" * 100 + "b")


@huey.task(pool="process")
def hold():
    tell()
    while not pathlib.Path("go").exists():
        time.sleep(0.005)


@huey.task(pool="process")
def say(text):
    logging.getLogger("shop").warning(text)
    return os.getpid()


@huey.task(pool="process", retries=1)
def die_once(path):
    if not pathlib.Path(path).exists():
        pathlib.Path(path).touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return "lived"
"""


@pytest.fixture
def shell() -> Iterator[Shell]:
    with tempfile.TemporaryDirectory() as directory:
        shell = Shell(Path(directory))
        shell.write("app.py", APP)
        yield shell
        shell.close()


def started(shell: Shell) -> int:
    """The child in which the task is that tells."""
    wait_until(lambda: (shell.directory / "started").exists() and (shell.directory / "started").read_text() != "")
    return int((shell.directory / "started").read_text())


def wait_until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("task", ["spin", "hold_the_interpreter"])
def test_no_child_outlives_its_worker(shell: Shell, task: str) -> None:
    worker = shell.start_worker()
    shell.enqueue(task)
    child = started(shell)
    worker.send(signal.SIGKILL)
    worker.wait()
    wait_until(lambda: not is_alive(child))


def test_no_idle_child_outlives_its_worker(shell: Shell) -> None:
    worker = shell.start_worker()
    shell.write("go", "")
    task_id = shell.enqueue("hold")
    child = started(shell)
    wait_until(lambda: shell.state(task_id) == "done")
    worker.send(signal.SIGKILL)
    worker.wait()
    wait_until(lambda: not is_alive(child))


def test_a_stop_that_every_process_is_told_of_lets_the_task_finish(shell: Shell) -> None:
    worker = shell.start_worker()
    task_id = shell.enqueue("hold")
    child = started(shell)
    os.killpg(worker.process.pid, signal.SIGINT)
    os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGTERM)
    worker.wait_for("Stopping")
    shell.write("go", "")
    assert worker.wait() == 0
    assert shell.state(task_id) == "done"
    assert not is_alive(child)


def test_an_interrupted_task_is_given_back_and_its_child_is_gone(shell: Shell) -> None:
    worker = shell.start_worker("--shutdown-timeout", "0")
    task_id = shell.enqueue("spin")
    child = started(shell)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert shell.state(task_id) == "queued"
    assert not is_alive(child)


def test_a_task_whose_child_died_is_retried(shell: Shell) -> None:
    task_id = shell.enqueue("die_once", '["died"]')
    worker = shell.run("worker", "app", "--burst")
    assert worker.code == 0
    assert shell.state(task_id) == "done"
    assert re.search(r"will be retried: ProcessDied\('child process \d+ was ended by signal 11 ", worker.err)


def test_a_child_logs_as_its_worker_does(shell: Shell) -> None:
    task_id = shell.enqueue("say", '["tea is low"]')
    worker = shell.run("worker", "app", "--burst", "--log-format", "json")
    [record] = [record for line in worker.err.splitlines() if (record := json.loads(line))["logger"] == "shop"]
    assert (record["level"], record["message"], record["task_id"]) == ("WARNING", "tea is low", task_id)
    assert record["process"] not in {json.loads(line)["process"] for line in worker.err.splitlines()} - {
        record["process"]
    }


def test_every_worker_process_has_so_many_children(shell: Shell) -> None:
    worker = shell.start("worker", "app", "--processes", "2", "--children", "3")
    worker.wait_for("3 in processes", times=2)


def test_a_worker_says_in_one_line_which_task_has_no_process(shell: Shell) -> None:
    shell.write("app.py", APP + "\n\ndef late():\n    pass\n\n\nhuey.task(pool='process')(late)\n")
    worker = shell.run("worker", "app", "--burst")
    assert worker.code == 78
    assert worker.err.startswith("aqueue: the task app.late cannot run in a child process: app.late is not that task.")
    assert worker.err.count("\n") == 1


SCRIPT = """
import asyncio

from aqueue import MemoryHuey, TaskException

huey = MemoryHuey("script")


class NeedsArguments(Exception):
    def __init__(self, one, two):
        super().__init__("only one")


@huey.task(pool="process", retries=1, retry_on=NeedsArguments)
def work(attempt):
    from aqueue import current_task

    if current_task().attempt == attempt:
        raise NeedsArguments(1, 2)
    return [__name__, work.name]


async def main():
    async with huey, asyncio.TaskGroup() as group:
        worker = huey.create_worker()
        group.create_task(worker.run())
        try:
            print(await (await work.enqueue(1)))
        except TaskException as error:
            print(error.traceback)
        await worker.stop()


"""


def run_script(directory: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    (directory / name).write_text(text)
    return subprocess.run(
        [sys.executable, name], cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE
    )


def test_a_task_may_be_in_the_script_that_was_started(tmp_path: Path) -> None:
    ran = run_script(tmp_path, "my-script.py", SCRIPT + "if __name__ == '__main__':\n    asyncio.run(main())\n")
    assert ran.stdout == "['my-script', 'my-script.work']\n", ran.stderr


def test_a_script_that_starts_a_worker_when_it_is_imported_is_refused(tmp_path: Path) -> None:
    ran = run_script(tmp_path, "script.py", SCRIPT + "asyncio.run(main())\n")
    assert "put that code under if __name__ == '__main__'" in ran.stdout


def test_a_script_that_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    ran = run_script(tmp_path, "script", SCRIPT + "if __name__ == '__main__':\n    asyncio.run(main())\n")
    assert "the task script.work cannot run in a child process: 'script' does not lead to the script" in ran.stderr
