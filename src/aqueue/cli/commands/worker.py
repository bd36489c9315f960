"""``aqueue worker``: run the tasks of an application."""

from __future__ import annotations

import asyncio
import difflib
import logging
from typing import TYPE_CHECKING, Any

import click

from ...core.message import DEFAULT_QUEUE
from ...worker.logs import FORMATS, LEVELS, configure_logging
from ...worker.options import (
    MOST_CONCURRENCY,
    MOST_PORT,
    MOST_TASKS,
    SHORTEST_LEASE_SECONDS,
    SHORTEST_STALL_SECONDS,
    WorkerOptions,
)
from ..parameters import count, duration, queue_names, variable_option
from ..process.shutdown import Steps
from ..target import app_option, app_spec, find_app

if TYPE_CHECKING:
    from ... import Huey
    from ..process.lifeline import Lifeline

logger = logging.getLogger("aqueue.cli")

_DEFAULTS = WorkerOptions()


@click.command(
    epilog="Signals: after the first SIGTERM, SIGINT or SIGHUP the worker takes no more tasks and lets running ones "
    "finish; the second cancels them and gives them back; the third ends the process. Exit codes: 0 stopped or, in a "
    "burst, done; 2 usage; 69 store unavailable; 78 application or configuration."
)
@click.argument("word", metavar="APP", required=False)
@app_option
@variable_option(
    "--concurrency",
    type=count(1, MOST_CONCURRENCY),
    default=_DEFAULTS.concurrency,
    metavar="NUMBER",
    help="Run at most NUMBER tasks at once.",
)
@variable_option(
    "--processes",
    type=count(1, 1000),
    default=1,
    metavar="NUMBER",
    help="Run NUMBER worker processes, and restart those that die.",
)
@variable_option(
    "--threads",
    type=count(1, 1000),
    default=_DEFAULTS.threads,
    metavar="NUMBER",
    help="Run at most NUMBER plain functions at once, in threads.",
)
@variable_option(
    "--children",
    type=count(1, 1000),
    metavar="NUMBER",
    help="Run at most NUMBER functions of pool='process' at once, in child processes.  [default: one per CPU]",
)
@variable_option(
    "--queues",
    type=queue_names,
    multiple=True,
    metavar="NAMES",
    help="Only these queues, as a,b or repeated.  [default: those that the tasks declare]",
)
@variable_option("--burst", is_flag=True, help="Stop when no task is left.")
@variable_option(
    "--lease",
    type=duration(SHORTEST_LEASE_SECONDS),
    default=_DEFAULTS.lease,
    metavar="DURATION",
    help="Other workers take over the tasks of a worker that is silent for this long.",
)
@variable_option(
    "--shutdown-timeout",
    type=duration(),
    default=_DEFAULTS.shutdown_timeout,
    metavar="DURATION",
    help="How long running tasks may take to finish after a stop.",
)
@variable_option(
    "--stall-timeout",
    type=duration(SHORTEST_STALL_SECONDS),
    metavar="DURATION",
    help="End a worker process whose event loop was blocked for this long.  [default: never]",
)
@variable_option(
    "--max-tasks",
    type=count(1, MOST_TASKS),
    metavar="NUMBER",
    help="Stop each worker process after it has started NUMBER tasks; with --processes of 2 or more it is replaced.",
)
@variable_option("--no-periodic", is_flag=True, help="Leave periodic tasks to other workers.")
@variable_option(
    "--health-port",
    type=count(1, MOST_PORT),
    metavar="PORT",
    help="Answer GET /live and /ready on this port of every interface.",
)
@variable_option(
    "--log-level", type=click.Choice(LEVELS, case_sensitive=False), default="info", help="For aqueue's records."
)
@variable_option("--log-format", type=click.Choice(FORMATS, case_sensitive=False), default="plain")
@variable_option("--no-log-task", is_flag=True, help="Do not say in log records during which task they were logged.")
@click.option("--lifeline", type=int, hidden=True)
def worker(
    word: str | None,
    app: str | None,
    processes: int,
    queues: tuple[tuple[str, ...], ...],
    log_level: str,
    log_format: str,
    no_log_task: bool,
    lifeline: int | None,
    **options: Any,
) -> int:
    """Run the tasks of APP.

    APP is module:name, as in app:huey, where the name belongs to a Huey object or to a function that returns one. A
    module with exactly one Huey needs no name. app.huey works, too. The current directory is importable.
    """
    steps = Steps()
    # First of all: the import of an application can take long, or hang.
    steps.catch_signals()
    names = [name for group in queues for name in group]
    options["queues"] = tuple(dict.fromkeys(names)) or None
    if processes > 1:
        if options["health_port"] is not None:
            raise click.UsageError("--health-port is for one worker process, and --processes asks for more")
        configure_logging(log_level, log_format, task_fields=False)
        _warn_of_repeated(names)
        arguments = [app_spec(word, app), "--processes", "1", "--log-level", log_level, "--log-format", log_format]
        arguments += ["--no-log-task"] if no_log_task else []
        return _supervise([*arguments, *_as_arguments(options)], processes, options, steps)
    parent = None if lifeline is None else _hold_on_to(lifeline)
    huey = find_app(word, app)
    configure_logging(log_level, log_format, task_fields=not no_log_task)
    _warn_of_repeated(names)
    _warn_of_undeclared(huey, options["queues"] or ())
    periodic = not options.pop("no_periodic")
    _serve(huey, {**options, "periodic": periodic}, steps, parent)
    return 0


def _hold_on_to(lifeline: int) -> Lifeline:
    from ..process.lifeline import Lifeline

    return Lifeline(lifeline)


def _serve(huey: Huey, options: dict[str, Any], steps: Steps, parent: Lifeline | None) -> None:
    from ..process.serving import serve

    serve(huey, options, steps, parent)


def _supervise(arguments: list[str], processes: int, options: dict[str, Any], steps: Steps) -> int:
    from ..process.supervisor import Supervisor

    async def supervise() -> int:
        return await Supervisor(arguments, processes, options["shutdown_timeout"], burst=options["burst"]).run(steps)

    return asyncio.run(supervise())


def _as_arguments(options: dict[str, Any]) -> list[str]:
    """`options` as words of a command line."""
    arguments = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(flag)
        elif isinstance(value, tuple):
            arguments += [flag, ",".join(value)]
        elif value is not None and value is not False:
            arguments += [flag, str(value)]
    return arguments


def _warn_of_repeated(names: list[str]) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        logger.warning("--queues names %r more than once; it is read once", name)


def _warn_of_undeclared(huey: Huey, queues: tuple[str, ...]) -> None:
    declared = {DEFAULT_QUEUE, *(task.declared.queue for task in huey.tasks.values())}
    for queue in queues:
        if queue not in declared:
            near = difflib.get_close_matches(queue, declared, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            logger.warning("No task of this application declares the queue %r%s", queue, hint)
