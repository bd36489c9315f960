"""Mistakes that an editor marks before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

MYPY = [sys.executable, "-m", "mypy", "--strict"]
ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parents[2] / "src"

PREAMBLE = """
from datetime import datetime
from typing import Any
from aqueue import Huey, Result, TaskRun

huey = Huey("shop")

@huey.task(retries=3)
async def add(a: int, b: int = 2) -> int:
    return a + b

@huey.task
def subtract(a: int, b: int) -> int:
    return a - b

@huey.context_task(open, as_argument=True)
async def given(connection: Any, order: int) -> int:
    return order

async def main() -> None:
    result = await add.enqueue(1)
"""

# A line of a program, and what its error says.
MISTAKES = {
    'await add.enqueue("x")': 'Argument 1 to "enqueue" of "Task" has incompatible type "str"; expected "int"',
    "await add.enqueue()": 'Missing positional argument "a" in call to "enqueue" of "Task"',
    "await add.enqueue(1, 2, 3)": 'Too many arguments for "enqueue" of "Task"',
    "await add.enqueue(1, c=3)": 'Unexpected keyword argument "c" for "enqueue" of "Task"',
    "await add.enqueue(1, delay=5)": 'Unexpected keyword argument "delay" for "enqueue" of "Task"',
    'await add("x")': 'Argument 1 to "__call__" of "AsyncTask" has incompatible type "str"; expected "int"',
    'add.s("x")': 'Argument 1 to "s" of "Task" has incompatible type "str"; expected "int"',
    "add.s(1, 2, 3)": 'Too many arguments for "s" of "Task"',
    'await add.options(delay=5).enqueue("x")': 'of "ConfiguredTask" has incompatible type "str"; expected "int"',
    'add.enqueue_sync("x")': 'Argument 1 to "enqueue_sync" of "Task" has incompatible type "str"',
    "await subtract(1, 2)": 'actual type "int", expected type "Awaitable[Any]"',
    "await subtract.enqueue(1)": 'Missing positional argument "b" in call to "enqueue" of "Task"',
    "number: int = add(1, 2)": 'Incompatible types in assignment (expression has type "Coroutine[Any, Any, int]"',
    "text: str = await add(1, 2)": 'expression has type "int", variable has type "str"',
    "text: str = await result": 'expression has type "int", variable has type "str"',
    "text: list[str] = await (await add.map([1]))": "Incompatible types in assignment",
    "number: int = await result.get(blocking=False)": 'expression has type "int | None", variable has type "int"',
    "add.enqueue(1)": "must be used",
    "await huey.cancel(add)": 'Argument 1 to "cancel" of "Control" has incompatible type',
    'await given.enqueue(open("x"), 5)': 'Too many arguments for "enqueue" of "Task"',
    'await given.enqueue("x")': 'Argument 1 to "enqueue" of "Task" has incompatible type "str"; expected "int"',
    'await add.schedule((1,), eta="tomorrow")': 'Argument "eta" to "schedule" of "Task" has incompatible type "str"',
    "await add.schedule([1], delay=5)": 'Argument 1 to "schedule" of "Task" has incompatible type "list[int]"',
    "add.options(id=5)": 'Argument "id" to "options" of "Task" has incompatible type "int"; expected "str | None"',
    "result.value": '"Result[int]" has no attribute "value"',
    'huey.task("add")(len)': "No overload variant",
    "await huey.enqueue(add)": 'Argument 1 to "enqueue" of "Enqueueing" has incompatible type "AsyncTask',
    "await huey.enqueue_many([add])": "incompatible type",
    "result.get()": "must be used",
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The errors of each line of `MISTAKES`, from one run of the type checker."""
    directory = tmp_path_factory.mktemp("snippets")
    files = {}
    for number, line in enumerate(MISTAKES):
        file = directory / f"snippet_{number}.py"
        file.write_text(f"{PREAMBLE}    {line}\n")
        files[file.name] = line
    ran = subprocess.run(
        [*MYPY, "--follow-imports", "silent", "--config-file", "", "--cache-dir", directory / "cache", *files],
        cwd=directory,
        env={"MYPYPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.stderr, ran.stderr
    found: dict[str, list[str]] = {line: [] for line in MISTAKES}
    for line in ran.stdout.splitlines():
        path, _, message = line.partition(": error: ")
        if message:
            found[files[Path(path.rpartition(":")[0]).name]].append(message)
    return found


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_marked(line: str, errors: dict[str, list[str]]) -> None:
    assert any(MISTAKES[line] in message for message in errors[line]), errors[line]


def test_the_types_are_those_that_the_guide_promises() -> None:
    ran = subprocess.run(
        [*MYPY, Path(__file__).with_name("api.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
