"""Which application a command works on.

The first word of the command, ``--app`` or ``AQUEUE_APP`` names it. A command that needs no declared tasks also accepts
a store: ``--url`` (or ``AQUEUE_URL``) and ``--name``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from .. import Huey
from .failures import Failure, shown
from .loader import load_app

if TYPE_CHECKING:
    from collections.abc import Callable

APP_VARIABLE = "AQUEUE_APP"
_URL_VARIABLE = "AQUEUE_URL"

app_option = click.option(
    "-a", "--app", metavar="APP", help="The application, if it is not the first word.  [env var: AQUEUE_APP]"
)
_url_option = click.option("--url", help="A store, instead of an application.  [env var: AQUEUE_URL]")
_name_option = click.option("--name", default="huey", show_default=True, help="With --url: the application's name.")


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that need no declared tasks."""
    return app_option(_url_option(_name_option(command)))


def app_spec(word: str | None, app: str | None) -> str:
    """The spec of the application, from `word`, the option `app`, or the environment.

    Raises:
        click.UsageError: none of them names it, or both `word` and `app` do.
    """
    if word is not None and app is not None:
        raise click.UsageError(f"the application is named twice: {shown(word)}, and --app {shown(app)}")
    spec = word if word is not None else app if app is not None else os.environ.get(APP_VARIABLE)
    if spec is None:
        raise _nothing_named(f"or set {APP_VARIABLE}")
    return spec


def _nothing_named(otherwise: str) -> click.UsageError:
    command = click.get_current_context().command_path
    return click.UsageError(f"which application? Name it, as in `{command} app:huey`, {otherwise}")


def find_app(word: str | None, app: str | None) -> Huey:
    """Load the application, whose store other processes must be able to reach.

    Raises:
        click.UsageError, Failure: there is no such application.
    """
    spec = app_spec(word, app)
    return shared(load_app(spec), spec)


def find_store(word: str | None, app: str | None, url: str | None, name: str) -> Huey:
    """Load the application, or make one without tasks for the store that is named instead.

    Raises:
        click.UsageError, Failure: there is no such application, or the URL is wrong.
    """
    named = word if word is not None else app
    if url is not None and named is not None:
        raise click.UsageError(f"give APP ({shown(named)}) or --url ({shown(url)}), not both")
    if url is None and named is None and APP_VARIABLE not in os.environ:
        url = os.environ.get(_URL_VARIABLE)
        if url is None:
            raise _nothing_named(f"set {APP_VARIABLE}, or give --url and --name")
    if url is None:
        return find_app(word, app)
    try:
        return shared(Huey(name, url), shown(url))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def shared(huey: Huey, what: str) -> Huey:
    """Return `huey` if other processes can reach its store; `what` names it in the error.

    Raises:
        Failure: they cannot.
    """
    if huey._url.startswith("memory:"):
        raise Failure(
            f"{what} keeps its tasks in the memory of one process, where no other can reach them: use "
            "sqlite:///file.db or redis://, or run the worker inside the application, with huey.create_worker()"
        )
    return huey
