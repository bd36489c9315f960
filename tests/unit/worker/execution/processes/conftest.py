from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .bench import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """The children import where we import: they find the jobs by the name that these have here."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    bench = Bench()
    yield bench
    await bench.runner.close()


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Writes modules that can be imported until the end of the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        # For the end of the test, at which it is forgotten.
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
        importlib.invalidate_caches()

    return write


@pytest.fixture
def imported(write_module: Callable[[str, str], None]) -> Callable[[str, str], Any]:
    """Writes a module, and imports it."""

    def write_and_import(name: str, text: str) -> Any:
        write_module(name, text)
        return importlib.import_module(name)

    return write_and_import
