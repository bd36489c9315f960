"""The scoreboard: how many tasks ran, and when the first and the last of them did.

A task body must not pay for being watched.  Each thread that runs tasks owns one *card*, a few integers in a
memory-mapped file; `tick()` costs about 0.2 us and no system call.  The harness maps the same files and reads the
sums from outside, without waking the worker.  Times are `time.perf_counter_ns()`, one clock for the whole machine.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from pathlib import Path

DIRECTORY = "BENCH_SCOREBOARD"
"""Environment variable that names the directory of the cards."""

FIRST, LAST, COUNT, CPU_AT_FIRST = range(4)
"""The cells of a card: first tick (ns), last tick (ns), number of ticks, CPU of the process at the first tick (ns)."""

CARD_BYTES = 4 * 8


class _Local(threading.local):
    """The calling thread's card, once it has one."""

    shared: memoryview | None = None


_local = _Local()


def _map(path: Path) -> memoryview:
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), CARD_BYTES)).cast("q")


def _new_card() -> memoryview:
    """Make this thread's card; it appears under its final name only when it is complete."""
    card = Path(os.environ[DIRECTORY]) / f"{os.getpid()}-{threading.get_native_id()}.card"
    draft = card.with_suffix(".draft")
    draft.write_bytes(bytes(CARD_BYTES))
    _local.shared = shared = _map(draft)
    draft.rename(card)
    return shared


def begin() -> None:
    """The body of a task begins.  Only tasks that take time call it; for the others `tick` is the beginning, too."""
    shared = _local.shared or _new_card()
    if not shared[FIRST]:
        shared[FIRST] = time.perf_counter_ns()
        shared[CPU_AT_FIRST] = time.process_time_ns()


def tick() -> None:
    """The body of a task ends."""
    shared = _local.shared or _new_card()
    now = time.perf_counter_ns()
    if not shared[FIRST]:
        shared[FIRST] = now
        shared[CPU_AT_FIRST] = time.process_time_ns()
    shared[LAST] = now
    shared[COUNT] += 1


def late(seconds: float) -> None:
    """A task with a due time ran this many seconds after it."""
    with (Path(os.environ[DIRECTORY]) / f"{os.getpid()}.late").open("a") as file:
        file.write(f"{seconds}\n")


class Scoreboard:
    """The cards of one measurement, read by the harness."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cards: dict[Path, memoryview] = {}

    def _read(self) -> list[memoryview]:
        for path in self.directory.glob("*.card"):
            if path not in self._cards:
                self._cards[path] = _map(path)
        return [shared for shared in self._cards.values() if shared[FIRST]]

    def count(self) -> int:
        """How many tasks have ended."""
        return sum(shared[COUNT] for shared in self._read())

    def first(self) -> int:
        """When the first task began, in ns; only once there was one."""
        return min(shared[FIRST] for shared in self._read())

    def last(self) -> int:
        """When the last task so far ended, in ns."""
        return max(shared[LAST] for shared in self._read())

    def cpu_at_first(self) -> dict[int, int]:
        """Per process id: the CPU (ns) that the process had used when its first task began."""
        self._read()
        used: dict[int, int] = {}
        for path, shared in self._cards.items():
            pid = int(path.name.partition("-")[0])
            used[pid] = min(used.get(pid, shared[CPU_AT_FIRST]), shared[CPU_AT_FIRST])
        return used

    def lateness(self) -> list[float]:
        """By how many seconds each due task was late."""
        return [float(line) for path in self.directory.glob("*.late") for line in path.read_text().splitlines()]
