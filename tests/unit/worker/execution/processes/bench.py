"""A runner with child processes, and what a test can know of processes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from aqueue.core.codec import decode_value, encode_message
from aqueue.core.lifecycle import Returned
from aqueue.core.message import Delivery, Message, Receipt
from aqueue.testing import ManualClock
from aqueue.worker.execution.runner import Runner
from aqueue.worker.options import WorkerOptions

from . import jobs

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue.worker.execution.processes.pool import ProcessPool
    from aqueue.worker.execution.report import RunReport


class Bench:
    """A runner of the `jobs`, with at most `children` processes."""

    def __init__(self, children: int = 2) -> None:
        self.reports: list[Any] = []
        self.runner = Runner(
            jobs.huey._parts,
            WorkerOptions(threads=4, children=children),
            ManualClock(),
            report=self._report,
            is_revoked=_never,
        )

    async def _report(self, delivery: Delivery, progress: bytes, reply: str) -> bool:
        self.reports.append((delivery.id, decode_value(progress), reply))
        return True

    @property
    def pool(self) -> ProcessPool:
        return self.runner._processes

    async def run(self, task: Any, /, *args: Any, failures: int = 0, overrides: Any = None, **kwargs: Any) -> RunReport:
        """Run a call of `task`."""
        message = Message("id", task.name, args, kwargs, "client", overrides=overrides)
        delivery = Delivery("id", encode_message(message), Receipt("worker", "place", "entry", 1), failures, fence=5)
        return await self.runner.run(delivery)

    async def value(self, task: Any, /, *args: Any, **kwargs: Any) -> Any:
        """What a call of `task` returns."""
        report = await self.run(task, *args, **kwargs)
        assert isinstance(report.outcome, Returned), report
        return decode_value(report.outcome.value)


def metadata(report: RunReport) -> dict[str, Any]:
    """What whoever awaits the result is told of an error."""
    outcome: Any = report.outcome
    decoded: dict[str, Any] = decode_value(outcome.error)
    return decoded


def pids(directory: Path) -> set[int]:
    """The processes that have left a file there."""
    return {int(path.name) for path in directory.iterdir() if path.name.isdigit()}


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


async def _never(task_id: str, task: str) -> bool:
    return False
