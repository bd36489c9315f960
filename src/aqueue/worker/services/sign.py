"""What a worker says about itself in each sign of life, for operators."""

from __future__ import annotations

import heapq
import os
import socket
import time
from operator import attrgetter
from typing import TYPE_CHECKING

import orjson

from ..._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...core.message import Receipt
    from ..execution.held import HeldDelivery
    from ..options import WorkerOptions
    from .watchdog import Watchdog

# A sign of life travels every few seconds: with all of 100,000 tasks it would be too long.
MOST_RUNS = 100


class SignOfLife:
    """Describes the worker with these `options`, which reads `queues` and has these deliveries `held`.

    `count_stuck` counts the slots that are lost to bodies that do not end.
    """

    def __init__(
        self,
        options: WorkerOptions,
        queues: Sequence[str],
        held: Mapping[Receipt, HeldDelivery],
        watchdog: Watchdog,
        count_stuck: Callable[[], int],
    ) -> None:
        self._options = options
        self._queues = queues
        self._held = held
        self._watchdog = watchdog
        self._count_stuck = count_stuck

    def encoded(self) -> bytes:
        """The description as JSON; from any thread."""
        # Copied in one step of the interpreter, because the loop changes it meanwhile.
        held = list(self._held.values())
        stall = self._watchdog.stall
        return orjson.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "version": __version__,
                "queues": self._queues,
                "concurrency": self._options.concurrency,
                "running": len(held),
                "stuck": self._count_stuck(),
                "lease_ms": self._options.lease_ms,
                "blocked": None if stall is None else stall._asdict(),
                "runs": self._runs(held, stall.id if stall else ""),
            }
        )

    def _runs(self, held: list[HeldDelivery], blocker: str) -> list[dict[str, object]]:
        """The runs that began first, at most `MOST_RUNS`."""
        epoch = time.time() - time.monotonic()
        began = heapq.nsmallest(MOST_RUNS, (each for each in held if each.began), key=attrgetter("began"))
        return [
            {
                "id": each.delivery.id,
                "began_ms": int((epoch + each.began) * 1000),
                "note": "blocks the event loop" if each.delivery.id == blocker else "",
            }
            for each in began
        ]
