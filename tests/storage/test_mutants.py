"""The suite is worth what it catches: each of the mutants breaks one rule, and some check must say so."""

from __future__ import annotations

from inspect import isclass
from typing import TYPE_CHECKING

import pytest

from aqueue.testing.conformance import CHECKS
from aqueue.testing.conformance import harness as suite

from .conftest import MemoryHarness
from .mutants import advancing, looking, ownership, settling, ways

if TYPE_CHECKING:
    from aqueue.storage.memory import MemoryStorage

MUTANTS = [
    kind
    for module in (ways, settling, ownership, looking, advancing)
    for name, kind in vars(module).items()
    if isclass(kind) and kind.__module__ == module.__name__ and not name.startswith("_")
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
async def test_a_broken_rule_is_caught(mutant: type[MemoryStorage], monkeypatch: pytest.MonkeyPatch) -> None:
    # In memory what happens happens at once: patience would only make the run longer.
    monkeypatch.setattr(suite, "PATIENCE_SECONDS", 0.2)
    for check in CHECKS:
        try:
            await check(MemoryHarness(mutant))
        except (AssertionError, ValueError, TimeoutError):
            return
    pytest.fail(f"no check notices that {mutant.__name__}")
