"""``aqueue worker --processes``: a parent that keeps its children alive, and takes them with it."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ..shell import ENVIRONMENT, PATIENCE

if TYPE_CHECKING:
    from ..shell import Running, Shell

READY = "aqueue.cli: Ready"


def start(shell: Shell, *options: str, **env: str) -> Running:
    parent = shell.start("worker", "app", "--processes", "2", *options, **env)
    parent.wait_for(READY, times=2)
    return parent


def children(parent: Running) -> list[int]:
    """The process ids of all children so far."""
    return [int(pid) for pid in re.findall(r"is pid (\d+)", parent.said)]


def wait_for_end(handles: list[int]) -> None:
    """Wait until the processes behind these handles have ended."""
    for handle in handles:
        ended, _, _ = select.select([handle], [], [], PATIENCE)
        os.close(handle)
        assert ended, "a child still runs"


def test_children_share_the_work_and_end_with_the_first_signal(shell: Shell) -> None:
    parent = start(shell)
    task_id = shell.enqueue("add", "[1]")
    assert shell.state(task_id, "--wait") == "done"
    handles = [os.pidfd_open(pid) for pid in children(parent)]
    assert len(handles) == 2
    parent.send(signal.SIGTERM)
    assert parent.wait() == 0
    wait_for_end(handles)


def test_a_child_that_dies_is_replaced(shell: Shell) -> None:
    parent = start(shell)
    os.kill(children(parent)[1], signal.SIGKILL)
    parent.wait_for(READY, times=3)
    assert "was ended by signal 9 (Killed); restarting it in 0.5 s" in parent.said
    parent.send(signal.SIGTERM)
    assert parent.wait() == 0


def test_a_child_that_has_done_its_tasks_is_replaced_at_once(shell: Shell) -> None:
    parent = start(shell, "--max-tasks", "2")
    for number in range(5):
        shell.enqueue("add", f"[{number}]")
    # Of five tasks one process does two, so there is a third one.
    parent.wait_for(READY, times=3)
    parent.wait_for("has finished; another one takes its place")
    assert "restarted in" not in parent.said
    parent.send(signal.SIGTERM)
    assert parent.wait() == 0


def test_children_end_with_a_parent_that_is_killed(shell: Shell) -> None:
    parent = start(shell)
    handles = [os.pidfd_open(pid) for pid in children(parent)]
    parent.send(signal.SIGKILL)
    wait_for_end(handles)
    assert parent.said.count("Stopping: running tasks") == 2


BLOCKED = """
import asyncio, sys, time
from aqueue.cli.process.lifeline import Lifeline
from aqueue.cli.process.shutdown import Steps

async def block():
    steps = Steps()
    steps.pass_to(print)
    Lifeline(int(sys.argv[1])).follow(steps, 0.1)
    time.sleep(600)

asyncio.run(block())
"""


def test_a_child_whose_loop_is_blocked_is_killed_some_time_after_its_parent() -> None:
    ours, theirs = socket.socketpair()
    child = subprocess.Popen(
        [sys.executable, "-c", BLOCKED, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=ENVIRONMENT
    )
    theirs.close()
    ours.close()
    assert child.wait(PATIENCE) == -signal.SIGKILL


def test_a_mistake_is_told_once_and_ends_the_parent(shell: Shell) -> None:
    for spec, code in (("nosuch", 78), ("app:a:b", 2)):
        ran = shell.run("worker", spec, "--processes", "3")
        assert ran.code == code
        assert ran.err.count("aqueue: cannot import") + ran.err.count("APP must be") == 1


def test_a_store_that_is_not_there_yet_is_tried_again(shell: Shell) -> None:
    parent = shell.start("worker", "app", "--processes", "2", AQUEUE_URL="redis://localhost:1")
    parent.wait_for("ended with exit code 69; restarting it in 0.5 s")
    parent.wait_for("is unavailable", times=2)
    parent.send(signal.SIGTERM)
    assert parent.wait() == 0


def test_a_task_finishes_though_its_worker_and_the_parent_get_the_signal(shell: Shell) -> None:
    # systemd sends it to every process of a service.
    parent = start(shell)
    task_id = shell.enqueue("hold", '["started"]')
    shell.wait_for_file("started")
    for pid in children(parent):
        os.kill(pid, signal.SIGTERM)
    parent.wait_for("Stopping: running tasks", times=2)
    parent.send(signal.SIGTERM)
    parent.wait_for("worker processes")
    assert shell.state(task_id) == "running"
    shell.write("go", "")
    assert parent.wait() == 0
    assert shell.state(task_id) == "done"
    assert "Interrupting" not in parent.said


def start_importing(shell: Shell) -> Running:
    """A parent whose first child imports the application, without an end."""
    with (shell.directory / "app.py").open("a") as app:
        app.write("pathlib.Path('importing').touch()\ntime.sleep(600)\n")
    parent = shell.start("worker", "app", "--processes", "2")
    shell.wait_for_file("importing")
    return parent


def test_ctrl_c_in_a_terminal_is_for_the_parent_alone(shell: Shell) -> None:
    parent = start_importing(shell)
    os.killpg(parent.process.pid, signal.SIGINT)
    parent.wait_for("Stopping 1 worker processes")
    assert parent.wait() == 0
    assert "KeyboardInterrupt" not in parent.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_that_still_imports_the_application_ends_with_its_parent_at_once(shell: Shell, number: int) -> None:
    parent = start_importing(shell)
    handles = [os.pidfd_open(pid) for pid in children(parent)]
    parent.send(number)
    wait_for_end(handles)
    assert parent.wait() == (0 if number == signal.SIGTERM else -number)


def test_the_second_signal_interrupts_in_every_child(shell: Shell) -> None:
    parent = start(shell)
    task_id = shell.enqueue("hold", '["started"]')
    shell.wait_for_file("started")
    parent.send(signal.SIGTERM)
    parent.wait_for("Stopping: running tasks", times=2)
    parent.send(signal.SIGTERM)
    assert parent.wait() == 0
    assert shell.state(task_id) == "queued"


def test_the_third_signal_ends_children_that_resist(shell: Shell) -> None:
    parent = start(shell)
    shell.enqueue("resist", '["started"]')
    shell.wait_for_file("started")
    for said in ("Stopping: running tasks", "Interrupting"):
        parent.send(signal.SIGTERM)
        parent.wait_for(said)
    parent.send(signal.SIGTERM)
    assert parent.wait() == 128 + signal.SIGTERM


def test_a_burst_ends_when_every_child_has_done_its_part(shell: Shell) -> None:
    task_ids = [shell.enqueue("add", f"[{number}]") for number in range(3)]
    ran = shell.run("worker", "app", "--processes", "2", "--burst")
    assert ran.code == 0, ran.err
    assert [shell.state(task_id) for task_id in task_ids] == ["done"] * 3
    assert "restarted" not in ran.err
