"""``aqueue top``: a view of queues, workers and running tasks that refreshes itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ...storage.admin import EVERYTHING
from ..parameters import count, duration
from ..tables import call, cut, from_now, span, table
from ..target import find_store, store_options
from .info import trouble, worker_facts
from .listing import how_far

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ... import DeadLetter, Huey, TaskInfo
    from ...storage.protocol import QueueDepth

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_MOST_TASKS = 10
_MOST_LETTERS = 5


@dataclass(slots=True)
class _View:
    """What the page shows at one moment."""

    depths: list[QueueDepth]
    paused: set[str]
    workers: list[dict[str, Any]]
    running: list[TaskInfo]
    letters: Sequence[DeadLetter]
    at: float = field(default_factory=lambda: asyncio.get_running_loop().time())


@click.command()
@click.argument("word", metavar="[APP]", required=False)
@store_options
@click.option(
    "--interval", type=duration(0.1), default=1.0, show_default=True, metavar="DURATION", help="Time between refreshes."
)
@click.option("--count", "pages", type=count(1, 1_000_000), metavar="NUMBER", help="Exit after NUMBER refreshes.")
def top(interval: float, pages: int | None, **target: Any) -> None:
    """Watch queues and workers until Ctrl-C."""
    try:
        asyncio.run(_watch(find_store(**target), interval, pages))
    except KeyboardInterrupt:
        # The usual way to exit. The last page stays on the screen.
        click.echo()


async def _watch(huey: Huey, interval: float, pages: int | None) -> None:
    draws = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    before: _View | None = None
    shown = 0
    async with huey:
        if draws:
            click.echo(_HOME + _CLEAR_BELOW, nl=False)
        while True:
            view = await _look(huey)
            _show(_page(huey, view, before), draws)
            before, shown = view, shown + 1
            if shown == pages:
                break
            await asyncio.sleep(interval)


async def _look(huey: Huey) -> _View:
    depths, paused, workers, running, letters = await asyncio.gather(
        huey.queues.depths(),
        huey.queues.paused(),
        huey.queues.workers(),
        huey.queues.running(_MOST_TASKS),
        huey.dead.list(_MOST_LETTERS),
    )
    return _View(depths, paused, worker_facts(workers), running, letters)


def _show(lines: list[str], draws: bool) -> None:
    """Write a page over the previous one, as much as fits on the screen, or below it if this is not a terminal."""
    if not draws:
        click.echo("\n".join([*lines, ""]))
        return
    columns, rows = shutil.get_terminal_size()
    kept = [line[: columns - 1] for line in lines[: rows - 1]]
    click.echo(_HOME + "".join(f"{line}{_CLEAR_LINE}\n" for line in kept) + _CLEAR_BELOW, nl=False)


def _page(huey: Huey, view: _View, before: _View | None) -> list[str]:
    lines = [f"{huey.name}  {datetime.now():%H:%M:%S}  {_totals(view)}", ""]  # noqa: DTZ005 - local time, for a person
    head = ("QUEUE", "READY", "CHANGE/S", "RUNNING", "SCHEDULED", "OLDEST", "")
    lines += table(head, [_queue(depth, view, before) for depth in view.depths]) or ["no queues yet"]
    workers = [
        (
            worker["consumer"],
            f"{worker.get('running', '?')}/{worker.get('concurrency', '?')}",
            ",".join(worker.get("queues", "?")),
            f"{span(worker['seen_ms'])} ago",
            trouble(worker),
        )
        for worker in view.workers
    ]
    lines += ["", *(table(("WORKER", "RUNNING", "QUEUES", "SEEN", ""), workers) or ["no workers"])]
    running = [
        (task.id, task.name or "?", call(task.args, task.kwargs), task.worker, *how_far(task), task.note)
        for task in view.running
    ]
    if running:
        lines += ["", *table(("RUNNING", "TASK", "ARGUMENTS", "WORKER", "TIME", "PROGRESS", ""), running)]
    letters = [
        (letter.id, letter.name or "?", from_now(letter.died), cut(str(letter.metadata.get("error", ""))))
        for letter in view.letters
    ]
    if letters:
        lines += ["", *table(("LAST DEAD", "TASK", "DIED", "ERROR"), letters)]
    return lines


def _totals(view: _View) -> str:
    ready, running = sum(d.ready for d in view.depths), sum(d.running for d in view.depths)
    scheduled = sum(d.scheduled for d in view.depths)
    paused = ", everything is paused" if EVERYTHING in view.paused else ""
    return f"{ready} ready, {running} running, {scheduled} scheduled, {len(view.workers)} workers{paused}"


def _queue(depth: QueueDepth, view: _View, before: _View | None) -> tuple[Any, ...]:
    paused = "" if view.paused.isdisjoint((depth.queue, EVERYTHING)) else "paused"
    oldest = span(depth.oldest_ms) if depth.ready else "-"
    return depth.queue, depth.ready, _change(depth, view, before), depth.running, depth.scheduled, oldest, paused


def _change(depth: QueueDepth, view: _View, before: _View | None) -> str:
    """By how many ready tasks per second the queue has grown since the previous page."""
    if before is None:
        return "-"
    was = sum(other.ready for other in before.depths if other.queue == depth.queue)
    rate = round((depth.ready - was) / max(view.at - before.at, 0.001))
    return f"{rate:+}" if rate else "0"
