"""``aqueue dead``: tasks that failed for good or took their workers down."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ... import ResultNotFound
from ...storage.admin import MOST_DEAD_LETTERS
from ..failures import Failure
from ..groups import Commands
from ..parameters import count, queue_name
from ..tables import call, counted, cut, from_now, plain, printable, table
from ..target import find_store, store_options
from ..words import app_and_id, confirm
from .info import json_option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ... import DeadLetter, Huey

_AT_ONCE = 100

_queue_option = click.option(
    "--queue", type=queue_name, metavar="NAME", help="Only those of this queue.  [default: all]"
)
_all_option = click.option("--all", "all_of_them", is_flag=True, help="All dead letters, instead of one.")
_words = click.argument("words", metavar="[APP] ID | [APP] --all", nargs=-1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def dead() -> None:
    """See tasks that failed for good, run them again, or drop them."""


@dead.command("ls")
@click.argument("word", metavar="[APP]", required=False)
@store_options
@_queue_option
@click.option(
    "--limit",
    type=count(1, MOST_DEAD_LETTERS),
    default=100,
    show_default=True,
    metavar="NUMBER",
    help="Show at most NUMBER.",
)
@json_option
def list_letters(queue: str | None, limit: int, as_json: bool, **target: Any) -> None:
    """List dead letters, the latest first."""
    huey = find_store(**target)
    letters = asyncio.run(_letters(huey, limit, queue))
    if as_json:
        click.echo(json.dumps({"letters": [plain(asdict(letter)) for letter in letters]}))
        return
    rows = [
        (
            letter.id,
            letter.name or "?",
            letter.problem or call(letter.args, letter.kwargs),
            letter.queue,
            letter.state,
            letter.attempt,
            from_now(letter.died),
            cut(str(letter.metadata.get("error", ""))),
        )
        for letter in letters
    ]
    head = ("ID", "TASK", "ARGUMENTS", "QUEUE", "STATE", "ATTEMPT", "DIED", "ERROR")
    click.echo("\n".join(table(head, rows) or ["none"]))


@dead.command(epilog="Exit codes: 0 shown; 1 there is no such dead letter.")
@click.argument("words", metavar="[APP] ID", nargs=-1)
@store_options
@json_option
def show(words: tuple[str, ...], as_json: bool, **target: Any) -> None:
    """Show one dead letter: the call, the error, the traceback."""
    word, task_id = app_and_id(words)
    letter = asyncio.run(_letter(find_store(word, **target), task_id))
    if letter is None:
        raise _none(task_id)
    click.echo(json.dumps(plain(asdict(letter))) if as_json else _page(letter))


@dead.command(epilog="Exit codes: 0 in line again; 1 there is no such dead letter.")
@_words
@store_options
@_queue_option
@_all_option
def retry(words: tuple[str, ...], all_of_them: bool, queue: str | None, **target: Any) -> None:
    """Run one of these tasks again, or all of them, with the same ids and all their retries."""
    huey, task_id = _which(words, all_of_them, queue, target)
    if task_id is None:
        click.echo(f"in line again: {counted(asyncio.run(_each(huey, queue, _retry)), 'task')}")
    elif asyncio.run(_one(huey, task_id, _retry)):
        click.echo(f"{task_id} is in line again")
    else:
        raise _none(task_id)


@dead.command(epilog="Exit codes: 0 dropped; 1 there is no such dead letter.")
@_words
@store_options
@_queue_option
@_all_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(words: tuple[str, ...], all_of_them: bool, queue: str | None, yes: bool, **target: Any) -> None:
    """Drop a dead letter, or all of them. Dropped tasks cannot be run again."""
    huey, task_id = _which(words, all_of_them, queue, target)
    what = f"the dead letter of {task_id}" if task_id else f"all dead letters of {queue or huey.name}"
    confirm(f"Drop {what}, for good?", yes)
    if task_id is None:
        click.echo(f"dropped: {counted(asyncio.run(_each(huey, queue, _drop)), 'dead letter')}")
    elif asyncio.run(_one(huey, task_id, _drop)):
        click.echo(f"{task_id} is dropped")
    else:
        raise _none(task_id)


def _which(
    words: tuple[str, ...], all_of_them: bool, queue: str | None, target: dict[str, Any]
) -> tuple[Huey, str | None]:
    """The application, and the id of one task, or None for all dead letters."""
    if not all_of_them:
        if queue is not None:
            raise click.UsageError("--queue goes with --all")
        word, task_id = app_and_id(words)
        return find_store(word, **target), task_id
    if len(words) > 1:
        raise click.UsageError(f"either an ID or --all, not both: leave {words[-1]!r} or --all out")
    return find_store(words[0] if words else None, **target), None


async def _letters(huey: Huey, limit: int | None, queue: str | None) -> Sequence[DeadLetter]:
    async with huey:
        return await huey.dead.list(limit, queue=queue)


async def _letter(huey: Huey, task_id: str) -> DeadLetter | None:
    async with huey:
        return await huey.dead.get(task_id)


async def _one(huey: Huey, task_id: str, act: Callable[[Huey, str], Awaitable[bool]]) -> bool:
    async with huey:
        return await act(huey, task_id)


async def _each(huey: Huey, queue: str | None, act: Callable[[Huey, str], Awaitable[bool]]) -> int:
    async with huey:
        ids = [letter.id for letter in await huey.dead.list(None, queue=queue)]
        done = 0
        for start in range(0, len(ids), _AT_ONCE):
            done += sum(await asyncio.gather(*(act(huey, task_id) for task_id in ids[start : start + _AT_ONCE])))
        return done


async def _retry(huey: Huey, task_id: str) -> bool:
    try:
        await huey.dead.retry(task_id)
    except ResultNotFound:
        return False
    return True


async def _drop(huey: Huey, task_id: str) -> bool:
    return await huey.dead.drop(task_id)


def _none(task_id: str) -> Failure:
    return Failure(f"there is no dead letter of {task_id}, or its id is in use for another task", exit_code=1)


def _page(letter: DeadLetter) -> str:
    facts = {
        "id": letter.id,
        "state": letter.state,
        "task": letter.name or "?",
        "arguments": letter.problem or call(letter.args, letter.kwargs, longest=10_000),
        "queue": f"{letter.queue}, priority {letter.priority}",
        "attempt": letter.attempt,
        "died": f"{letter.died:%Y-%m-%d %H:%M:%S} UTC, {from_now(letter.died)}",
        "error": letter.metadata.get("error", "?"),
    }
    lines = [f"{name:<9}  {printable(str(fact))}" for name, fact in facts.items()]
    traceback = str(letter.metadata.get("traceback", "")).rstrip()
    return "\n".join([*lines, *(["", *map(printable, traceback.splitlines())] if traceback else [])])
