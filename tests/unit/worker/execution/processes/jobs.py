"""Tasks that run in child processes, which import this module. Files are how they and a test meet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqueue import CancelExecution, MemoryHuey, RetryTask, TaskRun, current_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

huey = MemoryHuey("jobs")

PROCESS: dict[str, Any] = {"pool": "process"}


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.005)


def my_run() -> TaskRun:
    run = current_task()
    assert run is not None
    return run


# -- that end well


@huey.task(**PROCESS)
def echo(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@huey.task(**PROCESS)
def length(text: str) -> int:
    return len(text)


@huey.task(**PROCESS)
def repeat(text: str, times: int) -> str:
    return text * times


@huey.task(**PROCESS)
def pid() -> int:
    return os.getpid()


@huey.task(**PROCESS)
def hold(directory: str) -> int:
    """Leave our pid in the directory, and wait there until we are let go."""
    Path(directory, str(os.getpid())).touch()
    wait_for(Path(directory, "go"))
    return os.getpid()


@huey.task(timeout=0.2, **PROCESS)
def hurry() -> str:
    return "in time"


@huey.task(retries=3, timeout=60, queue="reports", priority=7, **PROCESS)
def about_itself() -> list[Any]:
    run = my_run()
    return [run.id, run.name, list(run.args), run.attempt, run.retries, run.fence, run.queue, run.priority]


@huey.task(timeout=60, **PROCESS)
def time_left() -> float:
    return my_run().time_remaining


@huey.task(context=True, **PROCESS)
def given(a: int, *, task: TaskRun) -> list[Any]:
    return [a, task.id, task is current_task()]


@huey.task(**PROCESS)
def report() -> bool:
    return asyncio.run(my_run().progress(1, 2, "half"))


@huey.task(**PROCESS)
def report_too_late(directory: str) -> None:
    """Leave a thread behind that reports when the run is over."""
    run = my_run()

    def report_when_told() -> None:
        wait_for(Path(directory, "go"))
        told = asyncio.run(run.progress(1))
        Path(directory, f"told {told}").touch()

    threading.Thread(target=report_when_told, daemon=True).start()


variable: ContextVar[str] = ContextVar("variable", default="unset")


@huey.task(**PROCESS)
def set_variable() -> str:
    before = variable.get()
    variable.set("set")
    return before


entered: list[str] = []


@contextmanager
def connection() -> Iterator[str]:
    entered.append("open")
    yield "a connection"
    entered.append("close")


@asynccontextmanager
async def async_connection() -> AsyncIterator[str]:
    asyncio.get_running_loop()
    with connection() as made:
        yield made


@huey.context_task(connection, True, **PROCESS)
def inside(made: str, a: int) -> list[Any]:
    return [made, a, list(entered), os.getpid(), my_run().id]


@huey.context_task(async_connection, True, context=True, **PROCESS)
def inside_async(made: str, a: int, *, task: TaskRun) -> list[Any]:
    return [made, a, list(entered), os.getpid(), my_run().id]


@huey.task(**PROCESS)
def be_told_to_stop() -> list[Any]:
    """Get the signals of a shutdown, and ask what programs that we start do about them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    program = "import signal; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    forked = os.fork()
    if not forked:
        os._exit(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
    return [started.stdout.strip(), os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])]


@huey.task(**PROCESS)
def read_stdin() -> str:
    return sys.stdin.read()


@huey.task(**PROCESS)
def say(text: str) -> None:
    logging.getLogger("shop").warning("%s", text)


# -- that raise


class Known(Exception):
    """Travels."""


class NeedsArguments(Known):
    """Cannot be made of its args."""

    def __init__(self, one: int, *, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Unpicklable(Known):
    def __reduce__(self) -> Any:
        raise TypeError


class Explosive(Known):
    """Ends the process in which it is unpickled, as far as it can."""

    def __reduce__(self) -> Any:
        return sys.exit, (1,)


@dataclass(frozen=True)
class Frozen(Known):
    """Refuses all that an unpickler and a log want to set."""

    number: int


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def with_local_class() -> None:
    class Local(Known):
        pass

    raise Local("here")


def recurse() -> None:
    recurse()


def fail(error: BaseException) -> None:
    raise error


RAISING: dict[str, Any] = {
    "Known": lambda: fail(Known("text", 5)),
    "NeedsArguments": lambda: fail(NeedsArguments(1, two=2)),
    "Unpicklable": lambda: fail(Unpicklable("text")),
    "Explosive": lambda: fail(Explosive("text")),
    "Frozen": lambda: fail(Frozen(5)),
    "Unprintable": lambda: fail(Unprintable()),
    "with_local_class.<locals>.Local": with_local_class,
    "ZeroDivisionError": lambda: 1 / 0,
    "RecursionError": recurse,
    "ExceptionGroup": lambda: fail(ExceptionGroup("many", [ValueError(1), OSError(2)])),
    "SystemExit": sys.exit,
    "KeyboardInterrupt": lambda: fail(KeyboardInterrupt()),
    "CancelledError": lambda: fail(asyncio.CancelledError()),
    "StopIteration": lambda: fail(StopIteration()),
    "TimeoutError": lambda: fail(TimeoutError()),
}


@huey.task(**PROCESS)
def throw(name: str) -> None:
    RAISING[name]()


@huey.task(retries=1, retry_on=Known, **PROCESS)
def throw_and_retry(name: str) -> None:
    RAISING[name]()


@huey.task(retries=1, **PROCESS)
def cancel(retry: bool | None) -> None:
    raise CancelExecution("enough", retry=retry)


@huey.task(**PROCESS)
def ask_for_a_retry(delay: float) -> None:
    raise RetryTask("again", delay=delay)


@huey.task(retries=1, **PROCESS)
def return_what_cannot_travel() -> object:
    return object()


# -- that do not end, or take their process with them


@huey.task(retries=1, timeout=0.1, **PROCESS)
def loop_for_ever() -> None:
    while True:
        pass


@huey.task(timeout=0.5, **PROCESS)
def start_a_program(directory: str) -> None:
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(directory, str(program.pid)).touch()
    program.wait()


@huey.task(**PROCESS)
def die(how: str) -> None:
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.Signals[how])


@huey.task(**PROCESS)
def die_and_leave_a_fork(directory: str) -> None:
    forked = os.fork()
    if not forked:
        with contextlib.suppress(BaseException):
            time.sleep(600)
        os._exit(0)
    Path(directory, str(forked)).touch()
    os._exit(4)
