"""Start event loop tasks at once, where the interpreter can do that."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextvars import Context

R = TypeVar("R")

if sys.version_info >= (3, 12):

    def start(
        coroutine: Coroutine[Any, Any, R], name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[R]:
        """Run `coroutine` as a task, in `context` or a copy of the current one, up to its first wait.

        The caller must keep a reference to the task and await its end.
        """
        return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), name=name, context=context, eager_start=True)

else:

    def start(
        coroutine: Coroutine[Any, Any, R], name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[R]:
        """Run `coroutine` as a task, in `context` or a copy of the current one, from the next iteration of the loop on.

        The caller must keep a reference to the task and await its end.
        """
        return asyncio.get_running_loop().create_task(coroutine, name=name, context=context)
