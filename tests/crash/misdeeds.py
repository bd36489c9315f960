"""What a task should not do to its worker, each as a task of its own, and how each must end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Stop(BaseException):
    """Not an Exception."""


async def return_function() -> Any:
    return lambda: None


async def return_object() -> Any:
    return object()


async def return_coroutine() -> Any:
    return asyncio.sleep(0)


async def return_itself() -> Any:
    ring: list[Any] = []
    ring.append(ring)
    return ring


async def return_deep() -> Any:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


async def return_too_much() -> Any:
    return "x" * (17 * 1024 * 1024)


async def return_surrogate() -> Any:
    return "\ud800"


async def raise_system_exit() -> None:
    raise SystemExit(7)


async def raise_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


async def raise_generator_exit() -> None:
    raise GeneratorExit


async def raise_stop() -> None:
    raise Stop("not an Exception")


async def raise_unprintable() -> None:
    raise Unprintable


async def raise_stop_iteration() -> None:
    raise StopIteration("x")


async def raise_stop_async_iteration() -> None:
    raise StopAsyncIteration("x")


async def raise_cancelled() -> None:
    raise asyncio.CancelledError


async def raise_memory_error() -> None:
    raise MemoryError


async def raise_much() -> None:
    raise ValueError("x" * 10_000_000)


async def raise_ring() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


async def raise_doubled() -> None:
    """Raise what has more paths to its innermost exception than anybody can show."""
    error: Exception = ValueError("innermost")
    for level in range(60):
        error = ExceptionGroup(f"level {level}", [error, error])
    raise error


async def raise_group() -> None:
    raise BaseExceptionGroup("two", [ValueError("one"), KeyboardInterrupt()])


async def recurse() -> None:
    await recurse()


async def cancel_itself() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.cancel()
    await asyncio.sleep(0)


async def swallow_cancellation() -> str:
    task = asyncio.current_task()
    if task is not None:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    return "swallowed"


def exit_in_thread() -> None:
    raise SystemExit(7)


def interrupt_in_thread() -> None:
    raise KeyboardInterrupt


def stop_iteration_in_thread() -> None:
    raise StopIteration("x")


def recurse_in_thread() -> None:
    recurse_in_thread()


def return_lock_in_thread() -> Any:
    return threading.Lock()


# The name of the exception with which each of them fails; None for the one that ends well.
MISDEEDS: dict[Callable[..., Any], str | None] = {
    return_function: "EncodeError",
    return_object: "EncodeError",
    return_coroutine: "EncodeError",
    return_itself: "EncodeError",
    return_deep: "EncodeError",
    return_too_much: "EncodeError",
    return_surrogate: "EncodeError",
    raise_system_exit: "SystemExit",
    raise_keyboard_interrupt: "KeyboardInterrupt",
    raise_generator_exit: "GeneratorExit",
    raise_stop: "Stop",
    raise_unprintable: "Unprintable",
    raise_stop_iteration: "RuntimeError",
    raise_stop_async_iteration: "StopAsyncIteration",
    raise_cancelled: "CancelledError",
    raise_memory_error: "MemoryError",
    raise_much: "ValueError",
    raise_ring: "ValueError",
    raise_doubled: "ExceptionGroup",
    raise_group: "BaseExceptionGroup",
    recurse: "RecursionError",
    cancel_itself: "CancelledError",
    swallow_cancellation: None,
    exit_in_thread: "SystemExit",
    interrupt_in_thread: "KeyboardInterrupt",
    stop_iteration_in_thread: "RuntimeError",
    recurse_in_thread: "RecursionError",
    return_lock_in_thread: "EncodeError",
}
