"""How a worker runs, validated once."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from ..core.clock import span_ms
from ..core.ids import check_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

SHORTEST_LEASE_SECONDS = 5.0
SHORTEST_STALL_SECONDS = 5.0
MOST_CONCURRENCY = 100_000
MOST_TASKS = 1_000_000_000
MOST_PORT = 65_535


class WorkerKeywords(TypedDict, total=False):
    """The options of a worker as type checkers see them; ``WorkerOptions`` describes and checks them."""

    concurrency: int
    threads: int
    children: int | None
    queues: Sequence[str] | None
    burst: bool
    lease: float | timedelta
    shutdown_timeout: float | timedelta
    max_crashes: int
    periodic: bool
    max_tasks: int | None
    stall_timeout: float | timedelta | None
    health_port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options of one worker process. Times are seconds or timedeltas.

    `concurrency` is how many tasks run at once, `threads` how many of them may be plain functions in threads, and
    `children` how many may be plain functions in child processes (None: one per CPU). `queues` names the queues to read
    (None: those of the registered tasks). With `burst` the worker stops when no task is left. `lease` is how long a
    task stays with a worker that does not renew its lease. `shutdown_timeout` is how long running tasks may go on after
    the worker was asked to stop. `max_crashes` is how many deliveries of one task may end without a verdict. `periodic`
    is whether to enqueue periodic tasks when they are due, and `max_tasks` is the number of tasks after which to stop
    (None: never). `stall_timeout` is how long the event loop may stand still before the worker ends its process, which
    may not do anything else then (None: for ever). `health_port` is the TCP port on which it answers health checks
    (None: it does not).
    """

    concurrency: int = 100
    threads: int = 16
    children: int | None = None
    queues: Sequence[str] | None = None
    burst: bool = False
    lease: float | timedelta = 30.0
    shutdown_timeout: float | timedelta = 25.0
    max_crashes: int = 3
    periodic: bool = True
    max_tasks: int | None = None
    stall_timeout: float | timedelta | None = None
    health_port: int | None = None

    def __post_init__(self) -> None:
        _check_count("concurrency", self.concurrency, MOST_CONCURRENCY)
        _check_count("threads", self.threads, 1000)
        if self.children is not None:
            _check_count("children", self.children, 1000)
        _check_count("max_crashes", self.max_crashes, 1000)
        if self.max_tasks is not None:
            _check_count("max_tasks", self.max_tasks, MOST_TASKS)
        if self.health_port is not None:
            _check_count("health_port", self.health_port, MOST_PORT)
        if not isinstance(self.periodic, bool):
            raise TypeError(f"periodic must be True or False, not {self.periodic!r}")
        if self.queues is not None:
            if not isinstance(self.queues, (tuple, list)):
                raise TypeError(f"queues must be a tuple of names, not {self.queues!r}")
            if not self.queues:
                raise ValueError("queues must name at least one queue")
            for queue in self.queues:
                check_name(queue, "queue")
            object.__setattr__(self, "queues", tuple(dict.fromkeys(self.queues)))
        if span_ms(self.lease, "lease") < SHORTEST_LEASE_SECONDS * 1000:
            raise ValueError(f"lease must be at least {SHORTEST_LEASE_SECONDS:g} seconds, not {self.lease!r}")
        span_ms(self.shutdown_timeout, "shutdown_timeout")
        if self.stall_timeout is not None and self.stall_seconds < SHORTEST_STALL_SECONDS:
            raise ValueError(
                f"stall_timeout must be at least {SHORTEST_STALL_SECONDS:g} seconds, not {self.stall_timeout!r}"
            )

    @property
    def most_children(self) -> int:
        return self.children or os.cpu_count() or 1

    @property
    def lease_ms(self) -> int:
        return span_ms(self.lease, "lease")

    @property
    def shutdown_seconds(self) -> float:
        return span_ms(self.shutdown_timeout, "shutdown_timeout") / 1000

    @property
    def stall_seconds(self) -> float:
        """Infinity without a `stall_timeout`."""
        return math.inf if self.stall_timeout is None else span_ms(self.stall_timeout, "stall_timeout") / 1000


def _check_count(name: str, value: object, highest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not 1 <= value <= highest:
        raise ValueError(f"{name} must be between 1 and {highest}, not {value!r}")
