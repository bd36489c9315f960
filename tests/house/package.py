"""The package as its tests read it: files and their syntax."""

from __future__ import annotations

import ast
import functools
import os
import subprocess
import sys
from pathlib import Path

import aqueue

ROOT = Path(__file__).parents[2]
PACKAGE = Path(aqueue.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def run(*arguments: str, source: Path = PACKAGE.parent) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds the package in the directory `source`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """Every node of the syntax of a module."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in nodes(path) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
