"""The doctor: proof that no task is lost, and warnings about tasks that no worker will run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..exceptions import DecodeError
from ..storage.admin import EVERYTHING, Place
from .inspection import listed
from .signs import blocked, described

if TYPE_CHECKING:
    from ..client.loops import ClientPerLoop
    from ..core.codec import Codec
    from ..storage.admin import Finding, StorageAdmin
    from ..storage.protocol import QueueDepth, Storage, WorkerInfo
    from ..tasks.registry import Registry

# Nobody reads a longer list of findings.
MOST_FINDINGS = 1000
# What is due is promoted at once wherever a worker runs; a minute means that none does.
_OVERDUE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of an examination.

    `examined` is the number of tasks and verdicts that were read. Each of the `findings` is a fault in the store: a
    task that is in no place, or in two. The `warnings` are not faults; each is one sentence, for example about tasks
    that no worker will run.
    """

    examined: int
    findings: list[Finding]
    warnings: list[str]

    @property
    def is_healthy(self) -> bool:
        """Whether every task is in exactly one place."""
        return not self.findings


class Doctor:
    """Looks for faults in the store of an application."""

    def __init__(self, clients: ClientPerLoop, codec: Codec, registry: Registry) -> None:
        self._clients = clients
        self._codec = codec
        self._registry = registry

    async def examine(self) -> Diagnosis:
        """Prove that every task of the application is in exactly one place; see ``Huey.doctor``."""
        storage = await self._clients.storage()
        examined, findings = await _examine(storage.admin)
        return Diagnosis(examined, findings, await self._warnings(storage))

    async def _warnings(self, storage: Storage) -> list[str]:
        workers = await storage.workers()
        attended = _attended(workers)
        depths, paused = await storage.depths(), await storage.admin.paused()
        now_ms = self._clients.clock.now_ms()
        warnings = [text for depth in depths if (text := _unattended(depth, attended, paused))]
        for depth in depths:
            first = await listed(storage.admin, Place.SCHEDULED, 1, depth.queue)
            if first and first[0].at_ms < now_ms - _OVERDUE_MS:
                warnings.append(
                    f"tasks of the queue {depth.queue!r} are due, and nobody puts them in line: no worker runs"
                )
        lent = await listed(storage.admin, Place.LENT, None, None)
        if abandoned := sum(kept.at_ms < now_ms for kept in lent):
            warnings.append(f"tasks are in the hands of workers that give no sign of life: {abandoned}")
        for worker in workers:
            if stall := blocked(described(worker), now_ms):
                warnings.append(f"the event loop of the worker {worker.consumer} is {stall}")
        return [*warnings, *await self._silenced(storage)]

    async def _silenced(self, storage: Storage) -> list[str]:
        """A warning about each schedule that is silent because the clock of a worker was ahead."""
        from ..tasks.schedule import decoded  # most applications have none

        warnings, now_ms = [], await storage.now_ms()
        for name, data in (await storage.schedules()).items():
            # Another version of the application may have stored it.
            with contextlib.suppress(DecodeError, KeyError, TypeError, ValueError):
                state = decoded(name, data, self._codec)
                schedule = self._registry.schedule(name, state)
                if state and schedule and schedule.is_ahead(state.after_ms, now_ms):
                    minutes = (state.after_ms - now_ms) // 60_000
                    warnings.append(
                        f"the schedule {name!r} was fired up to {minutes} minutes ahead of the store's clock, by a "
                        "worker whose clock was wrong; a worker that serves it goes on from now within a minute"
                    )
        return warnings


async def _examine(admin: StorageAdmin) -> tuple[int, list[Finding]]:
    """The number of examined tasks, and each finding once."""
    examined = 0
    findings: dict[Finding, None] = {}
    async with contextlib.aclosing(admin.examine()) as steps:
        async for step in steps:
            examined += step.tasks
            if len(findings) < MOST_FINDINGS:
                findings.update(dict.fromkeys(step.findings))
    return examined, list(findings)[:MOST_FINDINGS]


def _attended(workers: list[WorkerInfo]) -> set[str]:
    """The queues of the workers whose last heartbeat is at most two leases ago."""
    queues: set[str] = set()
    for worker in workers:
        # A worker of another version may describe itself differently.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            description = described(worker)
            if worker.seen_ms <= 2 * description["lease_ms"]:
                queues.update(description["queues"])
    return queues


def _unattended(depth: QueueDepth, attended: set[str], paused: set[str]) -> str:
    """Why no worker will run the ready tasks of a queue; '' if one will."""
    if not depth.ready:
        return ""
    if not paused.isdisjoint((depth.queue, EVERYTHING)):
        return f"tasks wait in the queue {depth.queue!r}, which is paused: {depth.ready}"
    if depth.queue not in attended:
        return f"tasks wait in the queue {depth.queue!r}, which no worker reads: {depth.ready}"
    return ""
