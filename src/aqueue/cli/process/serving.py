"""Run one worker in one process: its event loop, its signals, and an exit that nothing can hold up."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from .lifeline import STOP_SLACK

if TYPE_CHECKING:
    from collections.abc import Callable

    from ... import Huey
    from ...worker.worker import Worker
    from .lifeline import Lifeline
    from .shutdown import Steps

logger = logging.getLogger("aqueue.cli")

# The rest of the shutdown is immediate once a worker has stopped. After this many seconds something must be hanging.
LAST_SECONDS = 2.0


def serve(huey: Huey, options: dict[str, Any], steps: Steps, lifeline: Lifeline | None) -> None:
    """Run a worker until `steps` stop it or, in a burst, until nothing is left to do. Tell `lifeline` when it works.

    Raises:
        QueueUnavailable, ConfigurationError: the store cannot be reached, or cannot serve as a queue.
    """
    # Before there is an event loop, which does not even begin where it cannot work.
    worker = huey.create_worker(**options)
    runner = asyncio.Runner(loop_factory=_loop_factory())
    code = 1
    try:
        runner.run(_serve(huey, worker, steps, lifeline))
        code = 0
    finally:
        _exit_soon(code)
        runner.close()


async def _serve(huey: Huey, worker: Worker, steps: Steps, lifeline: Lifeline | None) -> None:
    stopping: set[asyncio.Task[None]] = set()

    def handle(step: int) -> None:
        if step == 1:
            logger.info("Stopping: running tasks have %g s to finish (a second signal interrupts them)", seconds)
            stopping.add(asyncio.ensure_future(worker.stop()))
        else:
            logger.info("Interrupting the running tasks (a third signal ends this process at once)")
            stopping.add(asyncio.ensure_future(worker.interrupt()))

    seconds = worker.options.shutdown_seconds
    steps.pass_to(handle, exit_at_last=True, at_once=lambda: worker.end_after(seconds))
    if lifeline is not None:
        lifeline.follow(steps, seconds + STOP_SLACK)
    ready = asyncio.ensure_future(_tell_ready(worker, lifeline))
    try:
        await worker.run()
    finally:
        ready.cancel()
        await huey.close()


async def _tell_ready(worker: Worker, lifeline: Lifeline | None) -> None:
    await worker.ready.wait()
    logger.info("Ready")
    if lifeline is not None:
        lifeline.tell_ready()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The factory of uvloop if it is installed, else None, which means asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _exit_soon(code: int) -> None:
    """End the process soon, even if a thread of a task still runs, or a task that ignores its cancellation."""

    def leave() -> None:
        logger.warning("Ending although a task, or a thread of one, still runs")
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    timer = threading.Timer(LAST_SECONDS, leave)
    timer.daemon = True
    timer.start()
    # When the interpreter calls its exit handlers, no task can hold it up any more, and the handlers may take longer.
    atexit.register(timer.cancel)
