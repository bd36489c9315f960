"""What happened to each task, written down by the processes that ran it, where no crash can take it back."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue.tasks.context import TaskRun


class Entry(NamedTuple):
    """One event in one run of one task. `at` is on a clock that all processes of the machine share, in seconds."""

    event: str
    id: str
    attempt: int
    fence: int
    pid: int
    at: float


class Ledger:
    """A directory with one file per process, to which each of them only appends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)

    def write(self, event: str, run: TaskRun) -> None:
        """Note `event` of `run`; it is on the disk when this returns."""
        self._append(Entry(event, run.id, run.attempt, run.fence, os.getpid(), time.monotonic()))

    def write_up(self) -> None:
        """Note that this process is a worker that is about to work."""
        self._append(Entry("up", "", 0, 0, os.getpid(), time.monotonic()))

    def _append(self, entry: Entry) -> None:
        with (self._directory / f"{entry.pid}.jsonl").open("ab", buffering=0) as file:
            file.write(json.dumps(entry).encode() + b"\n")
            os.fsync(file.fileno())

    def entries(self, event: str) -> list[Entry]:
        """Every entry of this kind so far, in the order of time."""
        found = []
        for path in self._directory.iterdir():
            lines = path.read_bytes().splitlines(keepends=True)
            # A process that was killed while it wrote leaves half a line.
            found += [Entry(*json.loads(line)) for line in lines if line.endswith(b"\n")]
        return sorted((entry for entry in found if entry.event == event), key=lambda entry: entry.at)

    def starts(self) -> Counter[str]:
        """How often each task was started, by id."""
        return Counter(entry.id for entry in self.entries("start"))

    def check_fences(self) -> None:
        """Every start of a task has a higher fence than the start before it."""
        last: dict[str, int] = {}
        for entry in self.entries("start"):
            assert entry.fence > last.get(entry.id, 0), f"the fence of {entry.id} does not rise: {entry}"
            last[entry.id] = entry.fence
