"""One virtual environment per contestant: their pins conflict, and none of them should be in ours."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.contestants import Contestant

ROOT = Path(__file__).resolve().parent.parent

CHECKOUT = "."
"""The requirement that stands for this checkout, installed so that every change of it counts at once."""


def default_cache() -> Path:
    """Where the environments live unless told otherwise: the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "aqueue-bench"


@dataclass(frozen=True)
class Environment:
    """An interpreter that can import the contestant, and what is installed beside it."""

    python: Path
    versions: dict[str, str]


def prepare(contestant: Contestant, python: str, cache: Path) -> Environment:
    """Make the contestant's environment, or find the one that an earlier run made from the same recipe."""
    ours = contestant.requirements == (CHECKOUT,)
    name = "aqueue" if ours else contestant.requirements[0].partition("=")[0].partition("[")[0]
    recipe = [describe_interpreter(python), *((str(ROOT),) if ours else contestant.requirements)]
    home = cache / f"{name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]}"
    interpreter = home / "bin" / "python"
    if ours:
        recipe.append((ROOT / "pyproject.toml").read_text())
    installed = home / "installed.json"
    made = json.loads(installed.read_text()) if installed.exists() else {"recipe": None}
    if made["recipe"] != recipe:
        print(f"installing {contestant.name} ...", file=sys.stderr)
        _run(python, "-m", "venv", "--clear", home)
        what = ("--editable", ROOT) if ours else contestant.requirements
        _run(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)
        listing = _run(interpreter, "-m", "pip", "list", "--disable-pip-version-check", "--format", "json")
        made = {"recipe": recipe, "versions": {each["name"]: each["version"] for each in json.loads(listing)}}
        installed.write_text(json.dumps(made))
    return Environment(interpreter, made["versions"])


def environment() -> dict[str, str]:
    """The variables that a contestant's process gets: it may keep its bytecode, as it would once it is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def describe_interpreter(python: str) -> str:
    """Its kind and version, as in `CPython 3.13.0`."""
    return _run(python, "-c", "import platform as p; print(p.python_implementation(), p.python_version())").strip()


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout
