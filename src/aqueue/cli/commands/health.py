"""``aqueue health``: one line and an exit code, for health checks of containers and for monitoring."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ...exceptions import HueyException
from ..parameters import duration, queue_name
from ..tables import printable, span
from ..target import find_store, store_options
from .info import blocked_now, worker_facts

if TYPE_CHECKING:
    from ... import Huey


class _Wanted(NamedTuple):
    """Which workers count: those with this name, on this host, that read this queue, seen this lately."""

    worker: str | None
    host: str | None
    queue: str | None
    within_ms: float | None

    def has(self, facts: dict[str, Any]) -> bool:
        return (
            (self.worker is None or f"{facts['consumer']}.".startswith(f"{self.worker}."))
            and (self.host is None or facts.get("host") == self.host)
            and (self.queue is None or self.queue in facts.get("queues", ()))
        )

    def has_seen(self, facts: dict[str, Any]) -> bool:
        """Whether the sign of life is recent: it comes every third of a lease."""
        within_ms = facts.get("lease_ms", 0) if self.within_ms is None else self.within_ms
        return bool(facts["seen_ms"] <= within_ms)


@click.command(epilog="Exit codes: 0 healthy; 1 not, or the store does not answer.")
@click.argument("word", metavar="[APP]", required=False)
@store_options
@click.option("--worker", metavar="NAME", help="Only this worker: its name, or how that begins, up to a dot.")
@click.option("--this-host", is_flag=True, help="Only workers on this host, for the health check of a container.")
@click.option("--queue", type=queue_name, metavar="NAME", help="Only workers that read this queue.")
@click.option(
    "--within",
    type=duration(),
    metavar="DURATION",
    help="Only workers that were seen this lately.  [default: the lease of each]",
)
def health(worker: str | None, this_host: bool, queue: str | None, within: float | None, **target: Any) -> int:
    """Check that a worker lives, that its event loop turns, and that the store answers."""
    host = socket.gethostname() if this_host else None
    wanted = _Wanted(worker, host, queue, None if within is None else within * 1000)
    try:
        is_healthy, text = _judge(wanted, asyncio.run(_workers(find_store(**target))))
    except HueyException as error:
        is_healthy, text = False, str(error)
    click.echo(printable(f"{'healthy' if is_healthy else 'unhealthy'}: {text}"))
    return 0 if is_healthy else 1


async def _workers(huey: Huey) -> list[dict[str, Any]]:
    async with huey:
        return worker_facts(await huey.queues.workers())


def _judge(wanted: _Wanted, workers: list[dict[str, Any]]) -> tuple[bool, str]:
    """Whether one of the wanted workers is well, and a line about the one that is best off."""
    found = sorted((facts for facts in workers if wanted.has(facts)), key=lambda facts: facts["seen_ms"])
    if not found:
        return False, "the store knows no such worker" if any(wanted[:3]) else "the store knows no worker"
    alive = [facts for facts in found if wanted.has_seen(facts)]
    if not alive:
        return False, f"the worker {found[0]['consumer']} was last seen {span(found[0]['seen_ms'])} ago"
    best = min(alive, key=lambda facts: bool(blocked_now(facts)))
    if stall := blocked_now(best):
        return False, f"the event loop of the worker {best['consumer']} is {stall}"
    return True, f"the worker {best['consumer']} was seen {span(best['seen_ms'])} ago, and its event loop turns"
