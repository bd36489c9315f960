"""Which word of a command is the application and which is the task, and a question before data is deleted."""

from __future__ import annotations

import sys

import click

from ..core.ids import check_task_id
from .failures import Failure


def app_and_id(words: tuple[str, ...]) -> tuple[str | None, str]:
    """Split `words` into the application (None if it is not among them) and the id of a task.

    Raises:
        click.UsageError: there are not one or two words.
        Failure: the id is not valid, so no task can have it.
    """
    if len(words) not in {1, 2}:
        command = click.get_current_context().command_path
        raise click.UsageError(f"expected an ID, or APP and ID, as in: {command} app:huey 019ab3f8c5d2e1")
    try:
        return (words[0] if len(words) == 2 else None), check_task_id(words[-1].strip())
    except ValueError as error:
        raise Failure(f"there is no such task: {error}", exit_code=1) from None


def confirm(question: str, yes: bool) -> None:
    """Ask `question` in the terminal, unless `yes` is true. Return if the answer is yes.

    Raises:
        click.UsageError: there is no terminal.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this deletes data, and there is no terminal to ask for confirmation: add --yes")
    click.confirm(question, abort=True, err=True)
