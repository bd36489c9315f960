"""``aqueue demo`` runs anywhere, ends well, and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ..shell import ENVIRONMENT, PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from ..shell import Shell


@pytest.fixture
def scratch(shell: Shell) -> Path:
    """Where temporary files go; everything in it is the demo's."""
    directory = shell.directory / "tmp"
    directory.mkdir()
    shell.env = {"TMPDIR": str(directory)}
    return directory


def test_the_demo_shows_a_mixed_load_and_cleans_up(shell: Shell, scratch: Path) -> None:
    # Settings for other workers are none for this one.
    ran = shell.run("demo", "--tasks", "400", AQUEUE_QUEUES="nosuch", AQUEUE_APP="nosuch", AQUEUE_URL="redis://nosuch")
    assert (ran.code, ran.err) == (0, "")
    rows = {line.split()[0]: line.split() for line in ran.out.splitlines() if line.strip()}
    done = {name: int(rows[name][1]) for name in ("add", "fetch", "digest", "order", "bill", "report")}
    assert done == {"add": 318, "fetch": 60, "digest": 8, "order": 12, "bill": 0, "report": 1}
    assert rows["bill"][2:4] == ["2", "4"]
    assert int(rows["order"][3]) >= 12
    assert "400 of 400" in ran.out
    assert "\033" not in ran.out
    assert list(scratch.iterdir()) == []


def test_the_demo_runs_on_a_server(shell: Shell, redis_url: str) -> None:
    ran = shell.run("demo", "--tasks", "100", "--url", redis_url, PYTHONIOENCODING="ascii")
    assert (ran.code, ran.err) == (0, "")
    assert "Store: Redis" in ran.out or "Store: Valkey" in ran.out
    assert ran.out.isascii()


def test_the_demo_cleans_up_after_ctrl_c(shell: Shell, scratch: Path) -> None:
    demo = shell.start("demo", "--tasks", "20000")
    assert demo.process.stdout is not None
    pid = 0
    for line in demo.process.stdout:
        if line.startswith("Worker: process "):
            pid = int(line.split()[2].rstrip(","))
        if line.startswith("Enqueued"):
            break
    worker = os.pidfd_open(pid)
    demo.send(signal.SIGINT)
    assert demo.wait() == 130
    assert "Traceback" not in demo.said
    assert list(scratch.iterdir()) == []
    # Its end was waited for: there is nothing left to wait for here.
    os.close(worker)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_bars_move_in_a_terminal(shell: Shell, scratch: Path) -> None:
    ours, theirs = pty.openpty()
    environment = ENVIRONMENT | shell.env | {"TERM": "xterm", "COLUMNS": "60", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        [sys.executable, "-m", "aqueue", "demo", "--tasks", "50"], cwd=shell.directory, env=environment, stdout=theirs
    ) as demo:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break
        assert demo.wait(PATIENCE) == 0
    os.close(ours)
    assert "\u2588" in shown.decode()
    moving = [part for part in shown.decode().split("\r\033[K") if part.startswith("tasks ")]
    assert len(moving) > 5
    assert all(len(part.splitlines()[0]) < 60 for part in moving)
