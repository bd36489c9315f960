"""What the tests of this folder wait for and look at."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_T = TypeVar("_T")

_PATIENCE_SECONDS = 30


async def soon(awaitable: Awaitable[_T]) -> _T:
    """What `awaitable` gives, which must be soon."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        return await awaitable


async def until(fact: Callable[[], Any]) -> Any:
    """Wait until `fact` is true, or what it gives to await; what that is."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            found = fact()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)


def sockets(path: Path) -> list[Path]:
    """Those of the processes that wait for something at the file `path`."""
    return [*path.parent.glob(f"{path.name}.d/*.sock")]


def move_away(path: Path) -> None:
    """Take a database and its log from under those who have it open."""
    for file in [*path.parent.glob(f"{path.name}*")]:
        file.rename(path.parent / f"old-{file.name}")
