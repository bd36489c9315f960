"""The suite is worth what it catches: each of the mutants breaks one rule, and some check must say so."""

from __future__ import annotations

from inspect import isclass
from typing import TYPE_CHECKING, Any

import pytest

from aqueue.storage.memory.intake import MemoryIntake
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.memory.tables import Tables
from aqueue.testing.conformance import CHECKS, burying, overseeing, pausing
from aqueue.testing.conformance import harness as suite
from aqueue.testing.conformance import shared_state as checks_of_shared_state

from .conftest import MemoryHarness
from .mutants import advancing, joining, looking, ownership, settling, shared_state, stopping, ways
from .mutants import burying as burying_mutants
from .mutants import overseeing as overseeing_mutants
from .mutants import pausing as pausing_mutants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import ModuleType

    from aqueue.storage.memory.admin import MemoryAdmin
    from aqueue.storage.memory.shared import MemorySharedState
    from aqueue.testing.conformance import Harness


def _mutants(*modules: ModuleType) -> list[type]:
    return [
        kind
        for module in modules
        for name, kind in vars(module).items()
        if isclass(kind) and kind.__module__ == module.__name__ and not name.startswith("_")
    ]


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory what happens happens at once: patience would only make the run longer."""
    monkeypatch.setattr(suite, "PATIENCE_SECONDS", 0.2)


@pytest.mark.parametrize(
    "mutant",
    _mutants(ways, settling, joining, ownership, stopping, looking, advancing),
    ids=lambda mutant: mutant.__name__,
)
async def test_a_broken_rule_is_caught(mutant: type) -> None:
    await _caught(mutant, _storage_with(mutant), CHECKS)


@pytest.mark.parametrize("mutant", _mutants(shared_state), ids=lambda mutant: mutant.__name__)
async def test_a_broken_rule_of_what_is_shared_is_caught(mutant: type[MemorySharedState]) -> None:
    class Storage(MemoryStorage):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.shared = mutant(self._clock, self._listeners.tell_everyone)

    await _caught(mutant, Storage, checks_of_shared_state.CHECKS)


@pytest.mark.parametrize(
    "mutant", _mutants(overseeing_mutants, burying_mutants, pausing_mutants), ids=lambda mutant: mutant.__name__
)
async def test_a_broken_rule_of_those_who_look_after_it_is_caught(mutant: type[MemoryAdmin]) -> None:
    class Storage(MemoryStorage):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            # Over the same tables.
            self.admin.__class__ = mutant

    await _caught(mutant, Storage, (*overseeing.CHECKS, *burying.CHECKS, *pausing.CHECKS))


def _storage_with(mutant: type) -> type[MemoryStorage]:
    """A memory storage that is `mutant`, or of which a part is."""
    if issubclass(mutant, MemoryStorage):
        return mutant

    class Storage(MemoryStorage):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if issubclass(mutant, Tables):
                self._tables.__class__ = mutant

        def open_intake(self, *arguments: Any) -> MemoryIntake:
            intake = super().open_intake(*arguments)
            if issubclass(mutant, MemoryIntake):
                intake.__class__ = mutant
            return intake

    return Storage


async def _caught(
    mutant: type, storage: type[MemoryStorage], checks: Sequence[Callable[[Harness], Awaitable[None]]]
) -> None:
    for check in checks:
        try:
            await check(MemoryHarness(storage))
        except (AssertionError, ValueError, TimeoutError):
            return
    pytest.fail(f"no check notices that {mutant.__name__}")
