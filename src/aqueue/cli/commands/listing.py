"""``aqueue tasks``, ``pending``, ``scheduled``, ``running`` and ``workers``: lists that change nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..parameters import count, duration, queue_name
from ..tables import call, cut, from_now, plain, span, table
from ..target import app_option, find_app, find_store, store_options
from .info import json_option, trouble, worker_facts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ... import Huey, Task, TaskInfo

_Row = tuple[Any, ...]

_LONGEST_PROGRESS = 30

_list_options = (
    click.argument("word", metavar="[APP]", required=False),
    store_options,
    click.option("--queue", type=queue_name, metavar="NAME", help="Only tasks of this queue.  [default: all]"),
    click.option(
        "--limit",
        type=count(1, 1_000_000),
        default=100,
        show_default=True,
        metavar="NUMBER",
        help="Show at most NUMBER.",
    ),
    json_option,
)


def _lists_tasks(command: Callable[..., None]) -> click.Command:
    for option in reversed(_list_options):
        command = option(command)
    return click.command()(command)


@_lists_tasks
def pending(queue: str | None, limit: int, as_json: bool, **target: Any) -> None:
    """List the tasks in line, in the order in which they will run."""
    huey = find_store(**target)
    head = ("ID", "TASK", "ARGUMENTS", "QUEUE", "PRIORITY", "STATE", "WAITS")
    _show(huey, huey.pending(limit, queue=queue), huey.pending_count(queue=queue), as_json, head, _pending_row)


@_lists_tasks
def scheduled(queue: str | None, limit: int, as_json: bool, **target: Any) -> None:
    """List the tasks that are due later, including retries."""
    huey = find_store(**target)
    head = ("ID", "TASK", "ARGUMENTS", "QUEUE", "PRIORITY", "STATE", "DUE")
    _show(huey, huey.scheduled(limit, queue=queue), huey.scheduled_count(queue=queue), as_json, head, _scheduled_row)


@_lists_tasks
def waiting(queue: str | None, limit: int, as_json: bool, **target: Any) -> None:
    """List the workflow tasks that wait for other tasks."""
    huey = find_store(**target)
    head = ("ID", "TASK", "ARGUMENTS", "QUEUE", "PRIORITY")
    _show(huey, huey.queues.waiting(limit, queue=queue), _waiting_count(huey, queue), as_json, head, _waiting_row)


@_lists_tasks
@click.option(
    "--older-than", type=duration(), default=0.0, metavar="DURATION", help="Only tasks that have run for this long."
)
def running(queue: str | None, older_than: float, limit: int, as_json: bool, **target: Any) -> None:
    """List the tasks that workers hold, those first that have run longest.

    LEASE says when another worker takes the task over, unless the one that holds it renews the lease.
    """
    huey = find_store(**target)
    head = ("ID", "TASK", "ARGUMENTS", "QUEUE", "ATTEMPT", "WORKER", "TIME", "PROGRESS", "LEASE", "")
    listing = huey.queues.running(limit, queue=queue, older_than=older_than)
    _show(huey, listing, _running_count(huey, queue, older_than), as_json, head, _running_row)


@click.command()
@click.argument("word", metavar="[APP]", required=False)
@app_option
@json_option
def tasks(word: str | None, app: str | None, as_json: bool) -> None:
    """List the tasks that an application declares."""
    found = asyncio.run(_declared(find_app(word, app)))
    if as_json:
        click.echo(json.dumps({"tasks": found}))
        return
    rows = [
        (
            row["name"],
            row["queue"],
            row["priority"],
            row["retries"],
            "-" if row["timeout"] is None else f"{row['timeout']:g} s",
            "yes" if row["revoked"] else "-",
        )
        for row in found
    ]
    head = ("TASK", "QUEUE", "PRIORITY", "RETRIES", "TIMEOUT", "REVOKED")
    click.echo("\n".join(table(head, rows) or ["no tasks: is the module that declares them imported?"]))


@click.command()
@click.argument("word", metavar="[APP]", required=False)
@store_options
@json_option
def workers(as_json: bool, **target: Any) -> None:
    """List the workers, with the time since the last heartbeat of each."""
    found = asyncio.run(_workers(find_store(**target)))
    if as_json:
        click.echo(json.dumps({"workers": found}))
        return
    rows = [
        (
            row["consumer"],
            row.get("version", "?"),
            row.get("running", "?"),
            row.get("concurrency", "?"),
            ",".join(row.get("queues", "?")),
            f"{span(row['seen_ms'])} ago",
            trouble(row),
        )
        for row in found
    ]
    head = ("WORKER", "VERSION", "RUNNING", "CONCURRENCY", "QUEUES", "SEEN", "")
    click.echo("\n".join(table(head, rows) or ["no workers"]))


def _show(
    huey: Huey,
    listing: Awaitable[list[TaskInfo]],
    counting: Awaitable[int],
    as_json: bool,
    head: Sequence[str],
    row_of: Callable[[TaskInfo], _Row],
) -> None:
    async def look() -> tuple[list[TaskInfo], int]:
        async with huey:
            return await listing, await counting

    found, total = asyncio.run(look())
    if as_json:
        click.echo(json.dumps({"total": total, "tasks": [_as_json(task) for task in found]}))
        return
    lines = table(head, [row_of(task) for task in found]) or ["none"]
    if len(found) < total:
        lines.append(f"the first {len(found)} of {total}; --limit shows more")
    click.echo("\n".join(lines))


async def _waiting_count(huey: Huey, queue: str | None) -> int:
    return len(await huey.queues.waiting(None, queue=queue))


async def _running_count(huey: Huey, queue: str | None, older_than: float) -> int:
    if older_than:
        return len(await huey.queues.running(None, queue=queue, older_than=older_than))
    return sum(depth.running for depth in await huey.queues.depths() if queue in {None, depth.queue})


def _pending_row(task: TaskInfo) -> _Row:
    waits = from_now(task.since).removesuffix(" ago") if task.since else "-"
    return task.id, _name(task), _call(task), task.queue, task.priority, task.state, waits


def _scheduled_row(task: TaskInfo) -> _Row:
    due = from_now(task.due) if task.due else "-"
    return task.id, _name(task), _call(task), task.queue, task.priority, task.state, due


def _waiting_row(task: TaskInfo) -> _Row:
    return task.id, _name(task), _call(task), task.queue, task.priority


def _running_row(task: TaskInfo) -> _Row:
    lease = from_now(task.lease_until) if task.lease_until else "-"
    where = (task.queue, task.attempt, task.worker)
    return task.id, _name(task), _call(task), *where, *how_far(task), lease, task.note


def how_far(task: TaskInfo) -> tuple[str, str]:
    """For how long a task has run, and how far it said it is."""
    time = from_now(task.started).removesuffix(" ago") if task.started else "-"
    if task.progress is None:
        return time, "-"
    done, total, message = task.progress
    share = f"{done:g}" if total is None else f"{done:g}/{total:g}"
    return time, cut(f"{share} {message}".rstrip(), _LONGEST_PROGRESS)


def _as_json(task: TaskInfo) -> dict[str, Any]:
    return {**plain(asdict(task)), "progress": None if task.progress is None else task.progress._asdict()}


def _name(task: TaskInfo) -> str:
    return task.name or "?"


def _call(task: TaskInfo) -> str:
    return task.problem or call(task.args, task.kwargs)


async def _declared(huey: Huey) -> list[dict[str, Any]]:
    async with huey:
        declared: list[Task[..., Any]] = sorted(huey.tasks.values(), key=lambda task: task.name)
        return [
            {
                "name": task.name,
                "queue": task.declared.queue,
                "priority": task.declared.priority,
                "retries": task.declared.retries,
                "timeout": task.declared.timeout_s,
                "revoked": await huey.is_revoked(task),
            }
            for task in declared
        ]


async def _workers(huey: Huey) -> list[dict[str, Any]]:
    async with huey:
        return worker_facts(await huey.queues.workers())
