"""``aqueue enqueue``: send one task from a shell."""

from __future__ import annotations

import asyncio
import difflib
import json
import os
import re
from typing import TYPE_CHECKING, Any

import click

from ... import State
from ...tasks.options import HIGHEST_PRIORITY, LOWEST_PRIORITY
from .. import outcome
from ..failures import shown
from ..parameters import count, duration
from ..target import APP_VARIABLE, app_option, find_app
from .info import is_wanted, json_option, wait_option

if TYPE_CHECKING:
    from ... import Call, Huey, Task

_TASK_NAME = re.compile(r"[^\W\d][\w.:<>-]*")


@click.command(epilog="Exit codes with --wait: 0 done; 1 failed, cancelled, expired or dead; 75 --wait timed out.")
@click.argument("words", metavar="APP TASK [ARGS] [KWARGS]", nargs=-1)
@app_option
@wait_option
@click.option("--delay", type=duration(), metavar="DURATION", help="Run the task this much later.")
@click.option(
    "--priority",
    type=count(LOWEST_PRIORITY, HIGHEST_PRIORITY),
    metavar="NUMBER",
    help="-100 to 100; higher runs sooner.",
)
@click.option("--queue", metavar="NAME", help="Put the task into this queue.")
@click.option("--id", "task_id", metavar="ID", help="An id that is in use gives the task that has it.  [default: new]")
@json_option
@click.pass_context
def enqueue(
    ctx: click.Context,
    words: tuple[str, ...],
    app: str | None,
    wait: float | None,
    delay: float | None,
    priority: int | None,
    queue: str | None,
    task_id: str | None,
    as_json: bool,
) -> int:
    """Enqueue TASK with ARGS, a JSON list, and KWARGS, a JSON object.

    TASK is the full name of a task, or its last part if that is unique. Prints the id of the new task and, with --wait,
    its outcome.
    """
    app_word, rest = _take_app(words, app)
    if not 1 <= len(rest) <= 3:
        raise click.UsageError(f"expected a task and its arguments, as in: {ctx.command_path} app:huey add '[1, 2]'")
    args, kwargs = _arguments(rest[1:])
    huey = find_app(app_word, app)
    task = find_task(huey, rest[0])
    try:
        configured = task.options(id=task_id, delay=delay, priority=priority, queue=queue)
        call: Call[Any] = configured.s(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"{task.name}: {error}") from None
    sent = asyncio.run(_send(call, huey, is_wanted(ctx), wait))
    if as_json:
        click.echo(sent.as_json())
    else:
        click.echo(sent.as_text() if is_wanted(ctx) else sent.id)
    return sent.exit_code


async def _send(call: Call[Any], huey: Huey, waiting: bool, timeout: float | None) -> outcome.Outcome:
    async with huey:
        handle = await call.enqueue()
        if waiting:
            return await outcome.wait(handle, timeout)
        if not handle.created:
            return await outcome.look(handle)
        return outcome.Outcome(handle.id, State.SCHEDULED if call.delay_ms else State.QUEUED)


def _take_app(words: tuple[str, ...], app: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Split `words` into the application (None if it is not among them) and the rest.

    The application is the first word, unless an option names it. If the environment names one, the first word is still
    the application when a name follows it, and not JSON.
    """
    if app is not None or not words:
        return None, words
    is_followed_by_name = len(words) > 1 and _TASK_NAME.fullmatch(words[1]) is not None
    if APP_VARIABLE in os.environ and not is_followed_by_name:
        return None, words
    return words[0], words[1:]


def _arguments(texts: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    args = _parse(texts[0], "ARGS") if texts else []
    kwargs = _parse(texts[1], "KWARGS") if len(texts) > 1 else {}
    if len(texts) == 1 and isinstance(args, dict):
        return [], args
    if not isinstance(args, list):
        raise click.UsageError(f"ARGS must be a JSON list, as in '[1, 2]', not {shown(texts[0])}")
    if not isinstance(kwargs, dict):
        raise click.UsageError(f"KWARGS must be a JSON object, as in '{{\"b\": 2}}', not {shown(texts[1])}")
    return args, kwargs


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise click.UsageError(
            f"{what} is not JSON: {error.msg} at column {error.pos + 1} of {shown(text)}; quote it, as in '[1, 2]'"
        ) from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{what} cannot be read: {error}") from None


def find_task(huey: Huey, name: str) -> Task[..., Any]:
    """The task whose full name, or the last part of it, is `name`.

    Raises:
        click.UsageError: there is no such task, or several end with this part.
    """
    tasks = huey.tasks
    task = tasks.get(name)
    if task is not None:
        return task
    found = [full for full in tasks if full.rpartition(".")[2] == name]
    if len(found) == 1:
        return tasks[found[0]]
    if found:
        raise click.UsageError(f"{len(found)} tasks are named {name!r}, say which: {', '.join(sorted(found))}")
    near = difflib.get_close_matches(name, [*tasks, *(full.rpartition(".")[2] for full in tasks)], 1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    elif tasks:
        hint = f"it has {', '.join(sorted(tasks))}"
    else:
        hint = "it has none: is the module that declares them imported?"
    raise click.UsageError(f"{huey.name} has no task {shown(name)}; {hint}")
