"""``aqueue schedule``: see periodic tasks and change them at run time."""

from __future__ import annotations

import asyncio
import difflib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ... import CancelExecution
from ..failures import Failure
from ..groups import Commands
from ..tables import from_now, plain, table
from ..target import find_store, store_options
from .info import json_option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ... import Huey

_words = click.argument("words", metavar="[APP] NAME", nargs=-1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def schedule() -> None:
    """See periodic tasks, pause them, or run them now."""


@schedule.command("ls")
@click.argument("word", metavar="[APP]", required=False)
@store_options
@json_option
def list_schedules(as_json: bool, **target: Any) -> None:
    """List all schedules, including those that the application does not declare."""
    huey = find_store(**target)
    found = asyncio.run(_do(huey, huey.schedules.list))
    if as_json:
        click.echo(json.dumps({"schedules": [plain(asdict(info)) for info in found]}))
        return
    rows = [
        (
            info.name,
            info.when,
            info.tz or "-",
            info.task or "?",
            from_now(info.last) if info.last else "-",
            "paused" if info.paused else from_now(info.next) if info.next else "-",
        )
        for info in found
    ]
    click.echo("\n".join(table(("SCHEDULE", "WHEN", "ZONE", "TASK", "LAST", "NEXT"), rows) or ["no schedules"]))


@schedule.command(epilog="Exit codes: 0 paused; 1 there is no such schedule.")
@_words
@store_options
def pause(words: tuple[str, ...], **target: Any) -> None:
    """Pause a schedule: its ticks are skipped until resume."""
    huey, name = _which(words, target)
    _change(huey, name, lambda: huey.schedules.pause(name))
    click.echo(f"the schedule {name} is paused")


@schedule.command(epilog="Exit codes: 0 resumed; 1 there is no such schedule.")
@_words
@store_options
def resume(words: tuple[str, ...], **target: Any) -> None:
    """Resume a schedule. Its ticks are fired from now on."""
    huey, name = _which(words, target)
    _change(huey, name, lambda: huey.schedules.resume(name))
    click.echo(f"the schedule {name} is resumed")


@schedule.command(epilog="Exit codes: 0 enqueued; 1 there is no such schedule, or its task is unknown here.")
@_words
@store_options
def run(words: tuple[str, ...], **target: Any) -> None:
    """Run the task of a schedule now, in addition to its ticks. Prints the id of the task."""
    huey, name = _which(words, target)
    result = _change(huey, name, lambda: huey.schedules.run(name))
    click.echo(result.id)


@schedule.command(epilog="Exit codes: 0 removed; 1 there is no such schedule, or the code declares it.")
@_words
@store_options
def rm(words: tuple[str, ...], **target: Any) -> None:
    """Remove a schedule that was added at run time, or that the code no longer declares."""
    huey, name = _which(words, target)
    if not _change(huey, name, lambda: huey.schedules.remove(name)):
        raise Failure(f"there is no schedule {name!r}", exit_code=1)
    click.echo(f"the schedule {name} is removed")


def _which(words: tuple[str, ...], target: dict[str, Any]) -> tuple[Huey, str]:
    """The application, and the name of one of its schedules."""
    if len(words) not in {1, 2}:
        command = click.get_current_context().command_path
        raise click.UsageError(f"expected a NAME, or APP and NAME, as in: {command} app:huey app.sweep")
    return find_store(words[0] if len(words) == 2 else None, **target), words[-1].strip()


def _change(huey: Huey, name: str, act: Callable[[], Awaitable[Any]]) -> Any:
    """Await `act` and return its value.

    Raises:
        Failure: `act` refused; the message may name the nearest schedule.
    """
    try:
        return asyncio.run(_do(huey, act))
    except (ValueError, CancelExecution) as error:
        near = difflib.get_close_matches(name, [info.name for info in asyncio.run(_do(huey, huey.schedules.list))], 1)
        hint = f"; did you mean {near[0]!r}?" if near and near[0] != name else ""
        raise Failure(f"{str(error) or repr(error)}{hint}", exit_code=1) from None


async def _do(huey: Huey, act: Callable[[], Awaitable[Any]]) -> Any:
    async with huey:
        return await act()
