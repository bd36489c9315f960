"""Every storage keeps every promise."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from aqueue.core.message import Envelope
from aqueue.storage.protocol import Connected
from aqueue.testing import conformance
from aqueue.testing.conformance import CHECKS, SHARED_CHECKS

from ..servers import SERVERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aqueue.storage.protocol import Event, Storage
    from aqueue.testing.conformance import Harness, SharedHarness

SHARED_STORAGES = ("sqlite", *SERVERS)
STORAGES = ("memory", *SHARED_STORAGES)


def _promise(check: object) -> str:
    return getattr(check, "__name__", "").removeprefix("check_")


@pytest.mark.parametrize("check", CHECKS, ids=_promise)
@pytest.mark.parametrize("harness", STORAGES, indirect=True)
async def test_storage(harness: Harness, check: Callable[[Harness], Awaitable[None]]) -> None:
    await check(harness)


@pytest.mark.parametrize("check", SHARED_CHECKS, ids=_promise)
@pytest.mark.parametrize("harness", SHARED_STORAGES, indirect=True)
async def test_shared_storage(harness: SharedHarness, check: Callable[[SharedHarness], Awaitable[None]]) -> None:
    await check(harness)


@pytest.mark.parametrize("harness", STORAGES, indirect=True)
def test_a_storage_is_used_from_one_event_loop_after_another(harness: Harness) -> None:
    storage = harness.make()
    for number in range(3):
        assert asyncio.run(_push_to_those_who_wait(storage, f"t{number}")) == f"t{number}"


async def _push_to_those_who_wait(storage: Storage, task_id: str) -> str:
    """The id that a waiting pull gives, beside a listener; both begin before there is anything."""
    await storage.open()
    connected = asyncio.Event()

    def handle(event: Event) -> None:
        if isinstance(event, Connected):
            connected.set()

    listener = asyncio.create_task(storage.listen("me", handle))
    intake = storage.open_intake("one", ["default"], 60_000)
    waiting = asyncio.create_task(intake.pull(1, 60_000))
    async with asyncio.timeout(15):
        await connected.wait()
        await storage.push([Envelope(task_id, b"")])
        [delivery] = await waiting
    listener.cancel()
    await asyncio.wait([listener])
    await storage.close()
    return delivery.id


def test_every_check_of_the_suite_is_run_once() -> None:
    modules = [
        importlib.import_module(f"{conformance.__name__}.{m.name}") for m in pkgutil.iter_modules(conformance.__path__)
    ]
    written = [
        value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("check_") and value.__module__ == module.__name__
    ]
    assert Counter((*CHECKS, *SHARED_CHECKS)) == Counter(written)
    assert len({_promise(check) for check in written}) == len(written)
