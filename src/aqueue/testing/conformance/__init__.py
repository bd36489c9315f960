"""The conformance suite for storages: checks that any test runner can run.

A check is an ``async def check_...(harness)`` that raises if the storage breaks a promise of
``aqueue.storage.protocol``. You provide the harness, which makes the storage under test and lets time pass for it.
Every storage must pass `CHECKS`; a storage that serves several processes must also pass `SHARED_CHECKS`. With pytest
and anyio::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check):
        await check(MyHarness())

With ``pytest.register_assert_rewrite("aqueue.testing.conformance")`` a failing check shows the compared values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    advancing,
    burying,
    calling_off,
    cascading,
    edges,
    events,
    inspection,
    joining,
    leasing,
    overseeing,
    owning,
    pausing,
    pulling,
    pushing,
    results,
    scheduling,
    settling,
    shared_state,
    sharing,
    simulation,
    stopping,
)
from .harness import Harness, SharedHarness
from .simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["CHECKS", "SHARED_CHECKS", "Harness", "SharedHarness", "simulate"]

CHECKS: tuple[Callable[[Harness], Awaitable[None]], ...] = (
    *pushing.CHECKS,
    *pulling.CHECKS,
    *settling.CHECKS,
    *joining.CHECKS,
    *cascading.CHECKS,
    *calling_off.CHECKS,
    *owning.CHECKS,
    *leasing.CHECKS,
    *scheduling.CHECKS,
    *advancing.CHECKS,
    *stopping.CHECKS,
    *results.CHECKS,
    *events.CHECKS,
    *inspection.CHECKS,
    *overseeing.CHECKS,
    *burying.CHECKS,
    *pausing.CHECKS,
    *edges.CHECKS,
    *simulation.CHECKS,
    *shared_state.CHECKS,
)

SHARED_CHECKS: tuple[Callable[[SharedHarness], Awaitable[None]], ...] = (*sharing.CHECKS, *shared_state.SHARED_CHECKS)
