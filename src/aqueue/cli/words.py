"""The words of commands about one task: which of them is the application, and which the task."""

from __future__ import annotations

import sys

import click

from ..core.ids import check_task_id
from .failures import Failure


def app_and_id(words: tuple[str, ...]) -> tuple[str | None, str]:
    """Split `words` into the application, if it is among them, and the id of a task.

    Raises:
        click.UsageError: they are not one or two.
        Failure: it can be no id.
    """
    if len(words) not in {1, 2}:
        command = click.get_current_context().command_path
        raise click.UsageError(f"expected an ID, or APP and ID, as in: {command} app:huey 019ab3f8c5d2e1")
    try:
        return (words[0] if len(words) == 2 else None), check_task_id(words[-1].strip())
    except ValueError as error:
        raise Failure(f"there is no such task: {error}", exit_code=1) from None


def confirm(question: str, yes: bool) -> None:
    """Go on only if a person says so, or `yes` does.

    Raises:
        click.UsageError: there is nobody to ask.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this destroys something and there is no terminal to ask: add --yes if that is meant")
    click.confirm(question, abort=True, err=True)
