"""The application whose workers are crashed. Every task notes in the ledger what happens to it.

The workers import ``huey``; the test process calls ``declare`` on an application of its own, to enqueue.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aqueue import Huey, RetryTask

from .ledger import Ledger
from .misdeeds import MISDEEDS

if TYPE_CHECKING:
    from aqueue.tasks.context import TaskRun


def declare(huey: Huey, ledger: Ledger) -> Huey:
    """Declare on `huey` everything that workers of any age know."""

    @huey.on_startup()
    def up() -> None:
        ledger.write_up()

    @huey.task(name="quick", context=True)
    async def quick(value: object = None, *, task: TaskRun) -> object:
        ledger.write("start", task)
        return value

    @huey.task(name="hold", context=True)
    async def hold(gate: str, *, task: TaskRun) -> int:
        """Run until the gate is opened; tell which delivery of the task did it."""
        ledger.write("start", task)
        await opened(gate)
        ledger.write("end", task)
        return task.fence

    @huey.task(name="lock", context=True)
    async def lock(gate: str, ttl: float, *, task: TaskRun) -> bool:
        """Hold a lock until the gate is opened; tell whether it was ours to the end."""
        async with huey.lock_task("shared", ttl=ttl) as permit:
            ledger.write("start", task)
            await opened(gate)
            return permit.is_held

    @huey.task(name="turn", context=True)
    async def turn(gate: str, how: str, *, task: TaskRun) -> int:
        """End as `how` says in the first delivery, and well in the second; each waits for a gate of its own."""
        ledger.write("start", task)
        await opened(gate if task.fence == 1 else second(gate))
        ledger.write("end", task)
        return end_as(how, task)

    @huey.task(name="stun", context=True)
    async def stun(gate: str, how: str, *, task: TaskRun) -> int:
        """Like `turn`, but in the first delivery nothing else happens in the event loop meanwhile."""
        ledger.write("start", task)
        while task.fence == 1 and not is_open(gate):
            time.sleep(0.02)  # noqa: ASYNC251 - the fault itself
        await opened(gate if task.fence == 1 else second(gate))
        ledger.write("end", task)
        return end_as(how, task)

    @huey.task(name="flaky", context=True, retries=2, retry_delay=0.3)
    async def flaky(failures: int, *, task: TaskRun) -> int:
        """Fail that often, then return the attempt."""
        ledger.write("start", task)
        if task.attempt <= failures:
            raise ValueError(f"attempt {task.attempt}")
        return task.attempt

    @huey.task(name="block", context=True)
    async def block(seconds: float, *, task: TaskRun) -> int:
        """Block the event loop, when everything else in it has got going."""
        await asyncio.sleep(0.1)
        ledger.write("start", task)
        time.sleep(seconds)  # noqa: ASYNC251 - the fault itself
        return task.fence

    @huey.task(name="grip", context=True)
    async def grip(*, task: TaskRun) -> None:
        """Hold the interpreter in C code for longer than any test."""
        await asyncio.sleep(0.1)
        ledger.write("start", task)
        re.match(r"(a+)+$", "a" * 60 + "b")

    @huey.task(name="crash", context=True)
    async def crash(*, task: TaskRun) -> None:
        """Take the worker down, each time in another way."""
        ledger.write("start", task)
        if task.fence % 2:
            os._exit(3)
        os.kill(os.getpid(), signal.SIGSEGV)

    @huey.task(name="clings", context=True)
    async def clings(*, task: TaskRun) -> None:
        """Never end, whatever anybody says."""
        ledger.write("start", task)
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ledger.write("cancelled", task)

    @huey.task(name="hangs", context=True)
    def hangs(*, task: TaskRun) -> None:
        """Occupy a thread for longer than anybody waits."""
        ledger.write("start", task)
        time.sleep(600)

    @huey.task(name="leave", context=True)
    async def leave(how: str, *, task: TaskRun) -> None:
        """Close the application inside of its own worker."""
        ledger.write("start", task)
        if how == "a block":
            async with huey:
                pass
        else:
            await huey.close()

    @huey.task(name="climb", context=True)
    def climb(how: str, steps: int, *, task: TaskRun) -> list[bool]:
        """Report each step, from a thread; tell which reports were recorded."""
        ledger.write("start", task)
        report = task.progress_sync if how == "a call" else lambda *step: asyncio.run(task.progress(*step))
        return [report(step + 1, steps) for step in range(steps)]

    @huey.task(name="measure", context=True)
    async def measure(data: str, *, task: TaskRun) -> int:
        ledger.write("start", task)
        return len(data)

    @huey.task(name="produce", context=True)
    async def produce(gate: str, size: int, *, task: TaskRun) -> str:
        """Return this many characters, once the gate is opened."""
        ledger.write("start", task)
        await opened(gate)
        return "x" * size

    for misdeed in MISDEEDS:
        huey.task(name=misdeed.__name__)(misdeed)
    return huey


def declare_later(huey: Huey, ledger: Ledger) -> None:
    """Declare on `huey` what only the workers of the next release know."""

    @huey.task(name="later", context=True)
    async def later(*, task: TaskRun) -> str:
        ledger.write("start", task)
        return "known now"


def end_as(how: str, task: TaskRun) -> int:
    """The end of a task whose first delivery does what `how` says; the others return what delivery they were."""
    if task.fence == 1 and how == "fails":
        raise ValueError(how)
    if task.fence == 1 and how == "asks for a retry":
        raise RetryTask(how)
    return task.fence


async def opened(gate: str) -> None:
    """Wait until the file `gate` is there."""
    while not is_open(gate):  # noqa: ASYNC110 - nothing tells of a file
        await asyncio.sleep(0.02)


def second(gate: str) -> str:
    """The gate for which the second delivery of a task waits whose first one waits for `gate`."""
    return f"{gate}-of-the-second"


def is_open(gate: str) -> bool:
    return Path(gate).exists()


if "CRASH_LEDGER" in os.environ:
    _ledger = Ledger(Path(os.environ["CRASH_LEDGER"]))
    huey = declare(Huey(os.environ["CRASH_NAME"]), _ledger)
    if "CRASH_NEXT_RELEASE" in os.environ:
        declare_later(huey, _ledger)
