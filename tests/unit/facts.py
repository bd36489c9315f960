"""Waiting for what nobody announces."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 30


async def until(fact: Callable[[], object]) -> None:
    """Let others run until `fact` holds; it may be a coroutine function."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            held = fact()
            if await held if inspect.isawaitable(held) else held:
                return
            # It is a fact inside of what is under test, which sets no event.
            await asyncio.sleep(0)
