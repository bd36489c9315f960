"""The command line: ``aqueue worker``, commands that inspect and control tasks, and a demo.

Every error is one line on stderr that names the wrong value and what is accepted. The exit codes are those of
``sysexits.h``, see ``failures``.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import click

from .. import __version__
from .commands.control import cancel, restore, retry, revoke
from .commands.dead import dead
from .commands.demo import demo
from .commands.doctor import doctor
from .commands.enqueue import enqueue
from .commands.health import health
from .commands.info import info, result, version
from .commands.listing import pending, running, scheduled, tasks, waiting, workers
from .commands.queues import flush, pause, purge, resume
from .commands.schedule import schedule
from .commands.top import top
from .commands.worker import worker
from .failures import INTERNAL, INTERRUPTED, explain
from .groups import Commands

if TYPE_CHECKING:
    from collections.abc import Sequence

# Editors and chat programs turn "--" into these, which look the same in a terminal.
_TYPOGRAPHIC_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="APP is module:name, as in app:huey. AQUEUE_APP names it for every command.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """aqueue: an asyncio-native task queue."""


_LISTS = (tasks, pending, scheduled, waiting, running, workers)
_CONTROLS = (revoke, restore, cancel, retry, dead, schedule, purge, flush, pause, resume)

for _command in (worker, enqueue, info, result, *_LISTS, *_CONTROLS, doctor, health, top, demo, version):
    commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line with `arguments` (default: those of this process) and exit."""
    _accept_any_terminal()
    _forget_blank_variables()
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    try:
        for argument in arguments:
            if argument[:1] and argument[0] in _TYPOGRAPHIC_DASHES:
                raise click.UsageError(f"{argument!r} begins with a typographic dash: options begin with --")
        return commands.main(arguments, prog_name="aqueue", standalone_mode=False) or 0
    except click.Abort:
        return INTERRUPTED
    except Exception as error:
        explained = explain(error)
        if explained is None:
            traceback.print_exception(error)
            return INTERNAL
        message, code = explained
        click.echo(message, err=True)
        return code


def _accept_any_terminal() -> None:
    """Write characters that the terminal cannot show as escapes, so that they do not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _forget_blank_variables() -> None:
    """Ignore blank variables: templates write ``AQUEUE_X=""`` or ``AQUEUE_X=" "`` for a setting without a value."""
    for name, value in list(os.environ.items()):
        if name.startswith("AQUEUE_") and not value.strip():
            del os.environ[name]
