"""``aqueue revoke``, ``restore``, ``cancel`` and ``retry``: commands about one call, or about all calls of a task."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ... import ResultNotFound
from ..failures import Failure
from ..parameters import duration
from ..target import find_app, find_store, store_options
from ..words import app_and_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ... import Huey, Task

_words_of_a_task = click.argument("words", metavar="[APP] ID", nargs=-1)


@click.command(epilog="Exit codes: 0 cancelled, or asked to stop; 1 the task has ended already, or is unknown.")
@_words_of_a_task
@store_options
def cancel(words: tuple[str, ...], **target: Any) -> None:
    """Cancel a task.

    A task that has not started is cancelled at once. A running task is asked to stop.
    """
    word, task_id = app_and_id(words)
    huey = find_store(word, **target)
    if not _run(huey, lambda: huey.cancel(task_id)):
        raise Failure(f"{task_id} cannot be cancelled: it has ended already, or is unknown", exit_code=1)
    click.echo(f"{task_id} is cancelled, or asked to stop if it runs")


@click.command(epilog="Exit codes: 0 the task is in line again; 1 it has no dead letter.")
@_words_of_a_task
@store_options
def retry(words: tuple[str, ...], **target: Any) -> None:
    """Run a failed or dead task again, with the same id and all its retries."""
    word, task_id = app_and_id(words)
    huey = find_store(word, **target)
    try:
        _run(huey, lambda: huey.dead.retry(task_id))
    except ResultNotFound as error:
        raise Failure(str(error), exit_code=1) from None
    click.echo(f"{task_id} is in line again")


@click.command()
@click.argument("words", metavar="[APP] ID | APP --task NAME", nargs=-1)
@click.option("--task", "task_name", metavar="NAME", help="All calls of this task, instead of one.")
@click.option("--for", "span", type=duration(), metavar="DURATION", help="For how long.  [default: for good]")
@click.option("--once", is_flag=True, help="With --task: only the next call.")
@store_options
def revoke(words: tuple[str, ...], task_name: str | None, span: float | None, once: bool, **target: Any) -> None:
    """Keep a call, or all calls of a task, from starting.

    A running call is not affected: to stop it, use cancel.
    """
    huey, what = _what(words, task_name, target)
    until = None if span is None else datetime.now(UTC) + timedelta(seconds=span)
    _run(huey, lambda: huey.revoke(what, until, once))
    click.echo(f"{_shown(what)} is revoked" + (f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""))


@click.command(epilog="Exit codes: 0 restored; 1 it was not revoked.")
@click.argument("words", metavar="[APP] ID | APP --task NAME", nargs=-1)
@click.option("--task", "task_name", metavar="NAME", help="All calls of this task, instead of one.")
@store_options
def restore(words: tuple[str, ...], task_name: str | None, **target: Any) -> None:
    """Undo a revocation."""
    huey, what = _what(words, task_name, target)
    if not _run(huey, lambda: huey.restore(what)):
        raise Failure(f"{_shown(what)} is not revoked", exit_code=1)
    click.echo(f"{_shown(what)} is restored")


def _what(words: tuple[str, ...], task_name: str | None, target: dict[str, Any]) -> tuple[Huey, Task[..., Any] | str]:
    """The application, and what a revocation applies to: the id of a call, or a task that the application declares."""
    if task_name is None:
        word, task_id = app_and_id(words)
        return find_store(word, **target), task_id
    if len(words) > 1:
        raise click.UsageError(f"--task means all calls of a task, so it takes no ID: leave {words[-1]!r} out")
    if target["url"] is not None:
        raise click.UsageError("--task needs an APP that declares the task; --url names only a store")
    from .enqueue import find_task

    huey = find_app(words[0] if words else None, target["app"])
    return huey, find_task(huey, task_name)


def _shown(what: Task[..., Any] | str) -> str:
    return what if isinstance(what, str) else f"every call of {what.name}"


def _run(huey: Huey, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with huey:
            return await call()

    return asyncio.run(run())
