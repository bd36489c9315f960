"""Two type checkers agree on code as users write it: on what is right, and on what an editor marks as wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = Path(__file__).parent


@pytest.mark.parametrize(
    ("module", "options"),
    [("mypy", ("--strict",)), ("pyright", ("--pythonpath", sys.executable))],
    ids=["mypy", "pyright"],
)
def test_right_code_passes_and_every_mistake_is_marked(module: str, options: tuple[str, ...]) -> None:
    """A mistake that is not marked fails too: the comment that expects its error is then unnecessary."""
    pytest.importorskip(module)
    ran = subprocess.run(
        [sys.executable, "-m", module, *options, CODE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
