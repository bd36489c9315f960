"""Waiting for what nobody announces."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(fact: Callable[[], object]) -> None:
    """Let others run until `fact` holds."""
    while not fact():  # noqa: ASYNC110 - it is a fact inside of what is under test, which sets no event
        await asyncio.sleep(0)
