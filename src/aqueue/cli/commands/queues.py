"""``aqueue pause``, ``resume``, ``purge`` and ``flush``: commands about whole queues."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from ..failures import Failure
from ..parameters import queue_name
from ..tables import counted
from ..target import find_store, store_options
from ..words import confirm

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ... import Huey

_word = click.argument("word", metavar="[APP]", required=False)
_queue_option = click.option("--queue", type=queue_name, metavar="NAME", help="Only this queue.  [default: everything]")
_yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@_word
@store_options
@_queue_option
def pause(queue: str | None, **target: Any) -> None:
    """Keep workers from starting tasks, of one queue or of all.

    Running tasks go on. The pause applies at once to every worker, and lasts until resume.
    """
    huey = find_store(**target)
    is_new = _run(huey, lambda: huey.queues.pause(queue))
    click.echo(f"{_named(huey, queue)} is {'paused' if is_new else 'paused already'}")


@click.command(epilog="Exit codes: 0 resumed; 1 it was not paused.")
@_word
@store_options
@_queue_option
def resume(queue: str | None, **target: Any) -> None:
    """End the pause of a queue, or the pause of everything."""
    huey = find_store(**target)
    if not _run(huey, lambda: huey.queues.resume(queue)):
        paused = ", ".join(sorted(_run(huey, huey.queues.paused))).replace("*", "everything")
        hint = f"; paused are: {paused}" if paused else ""
        raise Failure(f"{_named(huey, queue)} is not paused{hint}", exit_code=1)
    click.echo(f"{_named(huey, queue)} is resumed")


@click.command()
@_word
@store_options
@click.option("--queue", type=queue_name, metavar="NAME", help="The queue to empty.")
@click.option("--all", "all_of_them", is_flag=True, help="All queues.")
@_yes_option
def purge(queue: str | None, all_of_them: bool, yes: bool, **target: Any) -> None:
    """Cancel every task of a queue that has not started: in line or due later. Running tasks go on."""
    if (queue is None) is not all_of_them:
        raise click.UsageError("say which: --queue NAME, or --all")
    huey = find_store(**target)
    confirm(f"Cancel every task that waits in {queue or 'any queue'} of {huey.name}?", yes)
    click.echo(f"cancelled: {counted(_run(huey, lambda: huey.queues.purge(queue)), 'task')}")


@click.command()
@_word
@store_options
@_yes_option
def flush(yes: bool, **target: Any) -> None:
    """Delete the data of an application: tasks, results, dead letters, locks, values.

    Pauses and schedules stay. Processes that await a result are not notified.
    """
    huey = find_store(**target)
    confirm(f"Delete all tasks, results, dead letters, locks and values of {huey.name}?", yes)
    click.echo(f"deleted: {counted(_run(huey, huey.flush), 'task')}")


def _named(huey: Huey, queue: str | None) -> str:
    return f"the queue {queue}" if queue else f"everything of {huey.name}"


def _run(huey: Huey, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with huey:
            return await call()

    return asyncio.run(run())
