"""Who may import whom, and what an import costs."""

from __future__ import annotations

import shutil
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from .package import PACKAGE, ROOT, run

if TYPE_CHECKING:
    from pathlib import Path

LINT = ("-c", "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache', '--no-logo'])")
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LAYERS = [contract for contract in CONFIGURATION["tool"]["importlinter"]["contracts"] if contract["type"] == "layers"]


def test_a_module_imports_only_from_lower_floors() -> None:
    ran = run(*LINT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_contract_of_layers_names_all_its_modules() -> None:
    """A new module has no floor until somebody gives it one."""
    assert [contract["name"] for contract in LAYERS if not contract.get("exhaustive")] == []


@pytest.mark.parametrize("of_the_house", [True, False], ids=["between packages", "inside packages"])
def test_one_import_from_a_higher_floor_is_seen_even_if_only_for_a_type(tmp_path: Path, of_the_house: bool) -> None:
    scratch = tmp_path / "aqueue"
    shutil.copytree(PACKAGE, scratch, ignore=shutil.ignore_patterns("__pycache__"))
    contracts = [contract for contract in LAYERS if (contract["containers"] == ["aqueue"]) is of_the_house]
    for contract in contracts:
        add_upward_import(scratch, contract)
    ran = run(*LINT, source=tmp_path)
    assert ran.returncode == 1, ran.stderr
    assert [contract["name"] for contract in contracts if f"{contract['name']} BROKEN" not in ran.stdout] == []


def add_upward_import(scratch: Path, contract: dict[str, Any]) -> None:
    """Let a module on the lowest floor of `contract` import one on the highest for a type."""
    (container,) = contract["containers"]
    highest, lowest = (contract["layers"][end].split()[0] for end in (0, -1))
    path = scratch.parent.joinpath(*container.split("."), lowest)
    module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    with module.open("a", encoding="utf-8") as file:
        file.write(f"\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {container}.{highest}\n")


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
