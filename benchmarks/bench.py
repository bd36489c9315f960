"""The bench: starts the processes of a contestant, watches them, and reads what they cost."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environments import ROOT, environment
from benchmarks.job import Job
from benchmarks.scoreboard import DIRECTORY, Scoreboard
from benchmarks.settled import Condition, SqliteFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.contestants import Contestant
    from benchmarks.environments import Environment
    from benchmarks.server import Server
    from benchmarks.settled import Store

POLL = 0.002
"""Seconds between two looks at the scoreboard."""

LIFETIME = 180.0
"""Seconds after which a process is ended, whatever it does."""


class FailedError(Exception):
    """A contestant could not do what was asked; the message goes into the report."""


class Process:
    """One process of a contestant: a worker or a client action."""

    def __init__(self, python: Path, adapter: str, job: Job, board: str, errors: Path) -> None:
        self._errors = errors
        self.started = time.perf_counter_ns()
        with errors.open("w") as stderr:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.rivals", adapter, job.dump()],
                cwd=ROOT,
                env=environment() | {DIRECTORY: board},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        self._watchdog = threading.Timer(LIFETIME, self._end)
        self._watchdog.daemon = True
        self._watchdog.start()

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def read(self) -> dict[str, Any]:
        """The next line of the process."""
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            document: dict[str, Any] = json.loads(line)
            return document
        raise FailedError(self.last_words())

    def ask(self) -> dict[str, Any]:
        """The resources that a worker uses at this moment."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.read()

    def finish(self) -> dict[str, float]:
        """The numbers of a client action."""
        try:
            output, _ = self._process.communicate()
        finally:
            self.kill()
        if self._process.returncode or not output:
            raise FailedError(self.last_words())
        numbers: dict[str, float] = json.loads(output)
        return numbers

    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "ended without a word"

    def kill(self) -> None:
        """Kill it and its children."""
        self._watchdog.cancel()
        self._end()
        self._process.communicate()

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


class Workers:
    """The worker processes of one measurement."""

    def __init__(self, processes: list[Process], board: Scoreboard, store: Store) -> None:
        self.board = board
        self.started = processes[0].started
        self._processes = processes
        self._store = store
        greetings = [process.read() for process in processes]
        self._conditions = [Condition(tuple(command), goal) for command, goal in greetings[0]["settled"]]

    def wait_for(self, tasks: int, seconds: float) -> int:
        """Wait until `number` tasks have run or the time is over. Returns how many have run."""
        deadline = time.monotonic() + seconds
        while (count := self.board.count()) < tasks and time.monotonic() < deadline:
            for process in self._processes:
                if not process.alive():
                    raise FailedError(f"a worker ended: {process.last_words()}")
            time.sleep(POLL)
        return count

    def wait_settled(self, seconds: float = 10.0) -> int:
        """Wait until the contestant regards every task as finished; returns when that was, in ns."""
        if not self._conditions:
            return self.board.last()
        deadline = time.monotonic() + seconds
        while not self._store.settled(self._conditions):
            if time.monotonic() > deadline:
                raise FailedError("the tasks ran, but they were not settled")
            time.sleep(POLL / 2)
        return time.perf_counter_ns()

    def cost(self) -> tuple[float, float]:
        """CPU seconds since the first task, and resident MiB now, over all the processes."""
        answers = [process.ask() for process in self._processes]
        at_first = self.board.cpu_at_first()
        cpu = sum(answer["cpu"] - at_first[answer["pid"]] / 1e9 for answer in answers if answer["pid"] in at_first)
        return cpu, sum(answer["rss"] for answer in answers) / 2**20


class Bench:
    """Everything that a scenario needs."""

    def __init__(self, server: Server, environments: dict[str, Environment], *, quick: bool = False) -> None:
        self.server = server
        self.environments = environments
        self.quick = quick
        self.rates: dict[str, float] = {}
        """Tasks per second that each contestant has shown, for scenarios that load it to a share of that."""
        self._directory = tempfile.TemporaryDirectory(prefix="aqueue-bench-")
        self._file = Path(self._directory.name) / "data" / "bench.db"
        self._numbers = itertools.count()

    def tasks(self, contestant: Contestant, number: int) -> int:
        """How many tasks this contestant gets when an average one gets `number`."""
        return max(int(number * contestant.volume * (0.25 if self.quick else 1)), 100)

    def seconds(self, seconds: float) -> float:
        """A duration, shorter in a quick run."""
        return seconds / 2 if self.quick else seconds

    def job(self, contestant: Contestant, action: str, **options: Any) -> Job:
        """A job on the contestant's store."""
        url = f"sqlite:///{self._file}" if contestant.store == "sqlite" else self.server.url
        return Job(action, url, **options)

    def clear(self) -> None:
        """Remove all data of the previous measurement."""
        self.server.flush()
        shutil.rmtree(self._file.parent, ignore_errors=True)
        self._file.parent.mkdir()

    def call(self, contestant: Contestant, job: Job) -> dict[str, float]:
        """Run a client action to its end."""
        return self._start(contestant, job).finish()

    @contextmanager
    def calling(self, contestant: Contestant, job: Job) -> Iterator[None]:
        """Run a client action beside the block; it is killed at its end."""
        process = self._start(contestant, job)
        try:
            yield
        finally:
            process.kill()

    @contextmanager
    def workers(self, contestant: Contestant, job: Job, processes: int = 1) -> Iterator[Workers]:
        """Run worker processes beside the block; they are killed at its end."""
        job = replace(job, action="work")
        store = SqliteFile(self._file) if contestant.store == "sqlite" else self.server
        with tempfile.TemporaryDirectory(prefix="aqueue-bench-board-") as board:
            started = [self._start(contestant, job, board) for _ in range(processes)]
            try:
                yield Workers(started, Scoreboard(Path(board)), store)
            finally:
                for process in started:
                    process.kill()

    def _start(self, contestant: Contestant, job: Job, board: str = os.devnull) -> Process:
        python = self.environments[contestant.name].python
        errors = Path(self._directory.name) / f"{next(self._numbers)}.err"
        return Process(python, contestant.adapter, job, board, errors)
