"""Start event loop tasks at once, where the interpreter can do that."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

R = TypeVar("R")

if sys.version_info >= (3, 12):

    def start(coroutine: Coroutine[Any, Any, R], name: str | None = None) -> asyncio.Task[R]:
        """Run `coroutine` as a task. It runs up to its first wait before this call returns.

        The caller must keep a reference to the task and await its end.
        """
        return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), name=name, eager_start=True)

else:

    def start(coroutine: Coroutine[Any, Any, R], name: str | None = None) -> asyncio.Task[R]:
        """Run `coroutine` as a task, which starts in the next iteration of the loop.

        The caller must keep a reference to the task and await its end.
        """
        return asyncio.get_running_loop().create_task(coroutine, name=name)
