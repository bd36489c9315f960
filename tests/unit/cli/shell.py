"""Real ``aqueue`` processes, and waiting for what they say."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import aqueue

PATIENCE = 30.0

_SOURCE = str(Path(aqueue.__file__).parent.parent)
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("AQUEUE_")} | {
    "PYTHONPATH": _SOURCE
}


class Ran(NamedTuple):
    """What a command that ended left behind."""

    code: int
    out: str
    err: str


class Running:
    """A command that runs. What it writes to stderr can be waited for."""

    def __init__(self, words: tuple[str, ...], cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aqueue", *words],
            cwd=cwd,
            env=ENVIRONMENT | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said = ""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.said += line
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has said `text`, so often."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self.said.count(text) >= times, PATIENCE)
            assert self.said.count(text) >= times, f"{text!r} is not in what it said:\n{self.said}"

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def close(self) -> None:
        """End it and all that it started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class Shell:
    """Runs ``aqueue`` in a directory, with `env` as the only AQUEUE_* variables."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env: dict[str, str] = {}
        self._running: list[Running] = []

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *words: str, **env: str) -> Ran:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "aqueue", *words],
            cwd=self.directory,
            env=ENVIRONMENT | self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **env: str) -> Running:
        """Start a command, and go on while it runs."""
        running = Running(words, self.directory, self.env | env)
        self._running.append(running)
        return running

    def start_worker(self, *options: str, **env: str) -> Running:
        """Start a worker of the module ``app``, and wait until it works."""
        running = self.start("worker", "app", *options, **env)
        running.wait_for("aqueue.cli: Ready")
        return running

    def enqueue(self, *words: str) -> str:
        """Enqueue a task of the module ``app``; its id."""
        ran = self.run("enqueue", "app", *words)
        assert ran.code == 0, ran.err
        return ran.out.strip()

    def state(self, task_id: str, *options: str) -> str:
        ran = self.run("result", "app", task_id, *options)
        return ran.out.partition("state")[2].split()[0]

    def wait_for_file(self, name: str) -> None:
        """Wait until a task has made the file."""
        deadline = threading.Event()
        timer = threading.Timer(PATIENCE, deadline.set)
        timer.start()
        while not (self.directory / name).exists():
            assert not deadline.wait(0.01), f"nobody made {name}"
        timer.cancel()

    def close(self) -> None:
        for running in self._running:
            running.close()
