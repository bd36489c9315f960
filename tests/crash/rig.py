"""Worker processes that can be killed, frozen and woken, around one application on one store."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqueue import Huey, QueueUnavailable
from aqueue.client.results import ResultGroup
from aqueue.core.ids import new_token

from .app import declare
from .ledger import Ledger
from .outside import can_be_written, leftovers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from aqueue.client.results import Result

# The shortest lease that a worker accepts.
LEASE = 5

_ROOT = Path(__file__).parents[2]


async def until(fact: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = 30) -> None:
    """Wait for `fact` to be true."""
    deadline = time.monotonic() + seconds
    while True:
        found = fact()
        if found is True or (inspect.isawaitable(found) and await found):
            return
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.02)


def task_of(huey: Huey, name: str) -> Any:
    """The task of this name, of whatever signature."""
    return huey._parts.registry.get(name)


class WorkerProcess:
    """One worker, started by `command`. What it says goes to the file `log`."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def has_ended_well(self) -> bool:
        return self._process.poll() == 0

    @property
    def said(self) -> str:
        """Everything that it logged."""
        return self._log.read_text("utf-8", "replace")

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to stop, as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the kernel would, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    async def exit_code(self, seconds: float = 30) -> int:
        await until(lambda: not self.is_alive, f"the end of worker {self.pid}", seconds)
        return self._process.returncode


class Load:
    """What a producer that never rests has enqueued: when each call began, and what the store acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[float, Result[Any]]] = []

    def since(self, instant: float) -> list[Result[Any]]:
        """Acknowledged tasks whose enqueueing began after `instant`, on the monotonic clock."""
        return [result for began, result in self.acknowledged if began > instant]

    async def grow(self, by: int) -> None:
        """Wait until `by` more tasks are acknowledged."""
        wanted = len(self.acknowledged) + by
        await until(lambda: len(self.acknowledged) >= wanted, f"{by} more tasks acknowledged")


class Rig:
    """An application on the store at `url`, its ledger, its workers, and the gates that hold its tasks."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.name = f"crash-{new_token()}"
        self.ledger = Ledger(directory / "ledger")
        self.huey = declare(Huey(self.name, url), self.ledger)
        self.workers: list[WorkerProcess] = []
        self._directory = directory

    async def close(self) -> None:
        await self.huey.close()
        for worker in self.workers:
            worker.kill()
            print(f"---- worker {worker.pid}\n{worker.said}")

    # -- workers

    def start_worker(self, *, url: str | None = None, next_release: bool = False, **options: Any) -> WorkerProcess:
        """``aqueue worker`` on the store, or on `url` when it is to go through a proxy, with its `options`."""
        command = [sys.executable, "-m", "aqueue", "worker", "tests.crash.app:huey"]
        for name, value in {"lease": LEASE, **options}.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        # Options of the worker can also stand in the environment, and these are not ours.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AQUEUE_")}
        environment |= {
            "AQUEUE_URL": url or self.url,
            "CRASH_NAME": self.name,
            "CRASH_LEDGER": str(self._directory / "ledger"),
            "PYTHONFAULTHANDLER": "1",
        }
        if next_release:
            environment["CRASH_NEXT_RELEASE"] = "1"
        worker = WorkerProcess(command, environment, self._directory / f"worker-{len(self.workers)}.log")
        self.workers.append(worker)
        return worker

    async def up(self, *workers: WorkerProcess) -> None:
        """Wait until these workers are about to work."""
        pids = {worker.pid for worker in workers}
        await until(lambda: pids <= {entry.pid for entry in self.ledger.entries("up")}, "all workers up")

    def freeze(self, worker: WorkerProcess) -> None:
        """Stop this process where it stands, but not while it writes to a file: that would hold up everybody."""
        worker.freeze()
        while not can_be_written(self.url):
            worker.wake()
            worker.freeze()

    async def stop(self, *workers: WorkerProcess) -> None:
        """Stop these workers; each has to end well."""
        for worker in workers:
            worker.terminate()
        codes = {worker.pid: await worker.exit_code() for worker in workers}
        assert not any(codes.values()), f"exit codes by worker: {codes}"

    # -- tasks

    def gate(self, name: str = "gate") -> str:
        """A file for whose appearance tasks wait."""
        return str(self._directory / name)

    def open(self, gate: str) -> None:
        Path(gate).touch()

    async def enqueue(self, name: str, *arguments: Any, **options: Any) -> Result[Any]:
        result: Result[Any] = await task_of(self.huey, name).options(**options).enqueue(*arguments)
        return result

    async def enqueue_many(self, count: int, name: str, *arguments: Any) -> ResultGroup[Any]:
        calls = [task_of(self.huey, name).s(*arguments) for _ in range(count)]
        results: ResultGroup[Any] = await self.huey.enqueue_many(calls)
        return results

    async def started(self, results: Iterable[Result[Any]], times: int = 1) -> None:
        """Wait until each of these tasks was started that often."""
        ids = [result.id for result in results]

        def fact() -> bool:
            starts = self.ledger.starts()
            return all(starts[task_id] >= times for task_id in ids)

        await until(fact, f"{len(ids)} tasks started {times} times")

    def starts_of(self, results: Iterable[Result[Any]]) -> list[int]:
        """How often each of these tasks was started."""
        starts = self.ledger.starts()
        return [starts[result.id] for result in results]

    async def count(self, where: str) -> int:
        """How many tasks are ``ready``, ``running`` or ``scheduled``."""
        return sum(getattr(queue, where) for queue in await self.huey.queues.depths())

    async def values(self, results: Iterable[Result[Any]], seconds: float = 30) -> list[Any]:
        """What these tasks returned, once all of them have."""
        return await ResultGroup(results).get(timeout=seconds)

    @asynccontextmanager
    async def load(self) -> AsyncIterator[Load]:
        """A producer that enqueues in the background while the block runs."""
        load = Load()
        producer = asyncio.create_task(self._produce(load))
        try:
            yield load
        finally:
            producer.cancel()
            await asyncio.wait([producer])
        assert producer.cancelled(), "the producer ended by itself"

    async def _produce(self, load: Load) -> None:
        while True:
            began = time.monotonic()
            try:
                results = await self.enqueue_many(5, "quick", began)
            except QueueUnavailable:
                # Nobody said that these were kept, so nobody may count on them.
                continue
            load.acknowledged += [(began, result) for result in results]
            await asyncio.sleep(0.02)

    # -- what must hold at the end

    async def check_drained(self) -> None:
        """Nothing waits, runs or is scheduled, so nothing can ever start again; and nothing else is left behind."""
        busy = [queue for queue in await self.huey.queues.depths() if queue.ready or queue.running or queue.scheduled]
        assert not busy, f"not drained: {busy}"
        stopped = {worker.pid for worker in self.workers if worker.has_ended_well}
        listed = {int(worker.consumer.split(".")[-2]) for worker in await self.huey.queues.workers()} & stopped
        assert not listed, f"stopped workers that are still listed: {listed}"
        left = leftovers(self.url, self.name)
        assert not left, f"left behind: {left}"
        diagnosis = await self.huey.doctor()
        assert diagnosis.is_healthy, f"found: {diagnosis.findings}"
        self.ledger.check_fences()
