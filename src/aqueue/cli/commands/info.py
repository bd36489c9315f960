"""``aqueue info``, ``aqueue result`` and ``aqueue version``: commands that change nothing."""

from __future__ import annotations

import asyncio
import json
import platform
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ... import Huey, __version__
from ...app.signs import blocked, described
from ...storage.admin import EVERYTHING
from ...storage.protocol import QueueDepth
from .. import outcome
from ..parameters import FOREVER, endless_duration
from ..tables import span, table
from ..target import find_store, store_options
from ..words import app_and_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...storage.protocol import WorkerInfo

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
wait_option = click.option(
    "--wait",
    is_flag=False,
    flag_value=FOREVER,
    default=None,
    type=endless_duration,
    metavar="[DURATION]",
    help="Wait for the verdict, at most DURATION.",
)


@click.command()
@click.argument("word", metavar="[APP]", required=False)
@store_options
@json_option
def info(word: str | None, app: str | None, url: str | None, name: str, as_json: bool) -> None:
    """Show the queues of an application, and its workers."""
    facts = asyncio.run(_facts(find_store(word, app, url, name)))
    click.echo(json.dumps(facts) if as_json else _page(facts))


@click.command(
    epilog="Exit codes: 0 done or under way; 1 failed, cancelled, expired, dead or unknown; 75 --wait timed out."
)
@click.argument("words", metavar="[APP] ID", nargs=-1)
@store_options
@wait_option
@json_option
@click.pass_context
def result(
    ctx: click.Context,
    words: tuple[str, ...],
    app: str | None,
    url: str | None,
    name: str,
    wait: float | None,
    as_json: bool,
) -> int:
    """Show the state of a task, and its result or error."""
    word, task_id = app_and_id(words)
    huey = find_store(word, app, url, name)
    found = asyncio.run(_outcome(huey, task_id, is_wanted(ctx), wait))
    click.echo(found.as_json() if as_json else found.as_text())
    return found.exit_code


@click.command()
def version() -> None:
    """Show the versions of aqueue, Python, the platform and some packages."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    click.echo(f"aqueue {__version__}")
    click.echo(f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}")
    for package in ("redis", "hiredis", "uvloop"):
        try:
            click.echo(f"{package} {version_of(package)}")
        except PackageNotFoundError:
            click.echo(f"{package} is not installed")


def is_wanted(ctx: click.Context) -> bool:
    """Whether ``--wait`` was given. Its value is None both without it and with "forever"."""
    return ctx.get_parameter_source("wait") is not click.core.ParameterSource.DEFAULT


async def _outcome(huey: Huey, task_id: str, waiting: bool, timeout: float | None) -> outcome.Outcome:
    async with huey:
        handle = huey.result(task_id)
        return await (outcome.wait(handle, timeout) if waiting else outcome.look(handle))


async def _facts(huey: Huey) -> dict[str, Any]:
    async with huey:
        store = await (await huey._parts.clients.storage()).describe()
        depths = await huey.queues.depths()
        workers = await huey.queues.workers()
        paused = await huey.queues.paused()
    return {
        "name": huey.name,
        "store": asdict(store),
        "paused": sorted(paused),
        "queues": [
            {**asdict(depth), "paused": not paused.isdisjoint((depth.queue, EVERYTHING))}
            for depth in sorted([*depths, *_empty(paused, depths)], key=lambda depth: depth.queue)
        ],
        "workers": worker_facts(workers),
    }


def _empty(paused: set[str], depths: Iterable[QueueDepth]) -> list[QueueDepth]:
    """The queues that are paused and have no tasks."""
    return [QueueDepth(queue) for queue in paused - {EVERYTHING} - {depth.queue for depth in depths}]


def worker_facts(workers: Iterable[WorkerInfo]) -> list[dict[str, Any]]:
    """The facts about each worker: those of the store, and the worker's own description."""
    return [
        {"consumer": worker.consumer, "seen_ms": worker.seen_ms, **described(worker)}
        for worker in sorted(workers, key=lambda worker: worker.consumer)
    ]


def trouble(row: dict[str, Any]) -> str:
    """What a table says about a worker that is not well: it is blocked, or some of its slots are lost."""
    stuck = row.get("stuck")
    return ", ".join(filter(None, [blocked_now(row), f"{stuck} stuck" if stuck else ""]))


def blocked_now(row: dict[str, Any]) -> str:
    """What a table says about a worker whose event loop is blocked."""
    return blocked(row, int(time.time() * 1000))


def _page(facts: dict[str, Any]) -> str:
    store = facts["store"]
    lines = [f"{facts['name']}: {store['version']} at {store['location']}", f"durability: {store['durability']}"]
    lines += [f"warning: {warning}" for warning in store["warnings"]]
    queues = [
        (
            row["queue"],
            row["ready"],
            row["running"],
            row["scheduled"],
            span(row["oldest_ms"]) if row["ready"] else "-",
            "paused" if row["paused"] else "",
        )
        for row in facts["queues"]
    ]
    workers = [
        (
            row.get("host", row["consumer"]),
            row.get("pid", "?"),
            row.get("running", "?"),
            ",".join(row.get("queues", "?")),
            f"{span(row['seen_ms'])} ago",
            trouble(row),
        )
        for row in facts["workers"]
    ]
    lines += ["everything is paused"] if EVERYTHING in facts["paused"] else []
    lines += ["", *(table(("QUEUE", "READY", "RUNNING", "SCHEDULED", "OLDEST", ""), queues) or ["no queues yet"])]
    lines += ["", *(table(("WORKER", "PID", "RUNNING", "QUEUES", "SEEN", ""), workers) or ["no workers"])]
    return "\n".join(lines)
