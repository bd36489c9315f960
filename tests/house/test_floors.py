"""The house: who may import whom, what an import costs, and how large a room may be."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import aqueue

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = Path(aqueue.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

MOST_LINES_OF_A_MODULE = 450
MOST_LINES_OF_A_FUNCTION = 60

PUBLIC = [
    "SKIPPED",
    "Call",
    "CancelExecution",
    "Chord",
    "ChordResult",
    "ConfigurationError",
    "DeadLetter",
    "DecodeError",
    "Diagnosis",
    "EncodeError",
    "Error",
    "Group",
    "Huey",
    "HueyException",
    "JSONSerializer",
    "MemoryHuey",
    "Permit",
    "PickleSerializer",
    "Pipeline",
    "ProcessDied",
    "Progress",
    "QueueFull",
    "QueueUnavailable",
    "RateLimit",
    "RateLimitExceeded",
    "RedisHuey",
    "Result",
    "ResultGroup",
    "ResultInfo",
    "ResultNotFound",
    "ResultTimeout",
    "RetryTask",
    "Serializer",
    "SerializerMismatch",
    "SqliteHuey",
    "State",
    "Step",
    "Task",
    "TaskException",
    "TaskInfo",
    "TaskLock",
    "TaskLockedException",
    "TaskRun",
    "TaskTimeout",
    "TaskView",
    "__version__",
    "chord",
    "cron",
    "crontab",
    "current_task",
    "every",
    "group",
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds the package where this one does."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


# -- floors


def test_a_module_imports_only_from_lower_floors() -> None:
    ran = run("-c", "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])")
    assert ran.returncode == 0, ran.stdout + ran.stderr


# -- the public face


def test_the_public_names_are_these() -> None:
    assert aqueue.__all__ == PUBLIC


def test_every_public_name_is_there() -> None:
    namespace: dict[str, object] = {}
    exec("from aqueue import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(PUBLIC)


def test_no_public_name_is_that_of_a_module() -> None:
    """Whoever imports the module first would find it under the name."""
    assert {path.stem for path in PACKAGE.iterdir()} & {*PUBLIC} == set()


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_there_is_one_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", aqueue.__version__)
    assert f'__version__ = "{aqueue.__version__}"' in (PACKAGE / "_version.py").read_text("utf-8")
    # The metadata is made of that file when the distribution is installed; from a checkout there is none.
    installed = {found.version for found in metadata.distributions(name="aqueue-tasks")}
    assert installed <= {aqueue.__version__}


# -- what an import costs


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import aqueue", ["redis", "hiredis", "uvloop", "click", "sqlite3", "cronsim", "anyio"]),
        (
            "import aqueue; aqueue.MemoryHuey('shop')",
            ["redis", "hiredis", "uvloop", "click", "sqlite3", "aqueue.tasks.schedule"],
        ),
        ("import aqueue; aqueue.crontab(); aqueue.every(hours=1)", ["cronsim", "zoneinfo", "aqueue.app"]),
        ("import aqueue; aqueue.SqliteHuey('shop')", ["redis", "hiredis", "uvloop", "click"]),
        ("import aqueue; aqueue.RedisHuey('shop')", ["uvloop", "click", "sqlite3"]),
        ("import aqueue, aqueue.testing", ["redis", "hiredis", "uvloop", "click", "sqlite3", "pytest"]),
    ],
)
def test_nothing_is_imported_that_is_not_used(statement: str, unwanted: list[str]) -> None:
    ran = run("-c", f"{statement}; import sys; print(*sorted(set({unwanted}) & set(sys.modules)))")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []


# -- rooms


def test_a_module_is_read_in_one_sitting() -> None:
    lines = {relative(path): path.read_text("utf-8").count("\n") for path in MODULES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES_OF_A_MODULE} == {}


def test_a_function_fits_on_a_screen() -> None:
    lines = {
        f"{relative(path)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION} == {}


def test_a_module_says_what_it_is_for() -> None:
    written = [path for path in MODULES if path.read_text("utf-8").strip()]
    assert [relative(path) for path in written if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def test_nothing_depends_on_an_assertion() -> None:
    """``python -O`` removes them."""
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        if "conformance" not in path.parts
        for node in nodes(path)
        if isinstance(node, ast.Assert)
    ] == []


def test_no_error_is_swallowed_unseen() -> None:
    """A handler of every error does something about it."""
    assert [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and caught(node) & {"", "Exception", "BaseException"}
        and isinstance(node.body[0], (ast.Pass, ast.Continue))
    ] == []


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8")))


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names of the exceptions that it handles; an empty one where it handles everything."""
    return {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {""}
