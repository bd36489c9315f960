"""How a command fails: one line for a person, an exit code for a script."""

from __future__ import annotations

import click

from .. import ConfigurationError, EncodeError, HueyException, QueueFull, QueueUnavailable

# The names and numbers of sysexits.h, which init systems and container platforms know.
USAGE = 2
UNAVAILABLE = 69
INTERNAL = 70
OS_ERROR = 71
BROKEN_DATA = 74
NOT_YET = 75
CONFIGURATION = 78
INTERRUPTED = 130

_LONGEST = 200


class Failure(Exception):
    """A command cannot go on. A `message` with several lines is shown as it is; it begins with a traceback, say."""

    def __init__(self, message: str, exit_code: int = CONFIGURATION) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def explain(error: Exception) -> tuple[str, int] | None:
    """The message to print for `error`, and the exit code; None for a bug, which is shown with its traceback."""
    match error:
        case click.UsageError(ctx=click.Context(command_path=command)):
            message = error.format_message()
            # A command that was called without any arguments shows its help.
            return message if "\n" in message else f"{command}: {message} (see {command} --help)", error.exit_code
        case click.ClickException():
            return f"aqueue: {error.format_message()}", error.exit_code
        case Failure():
            return str(error) if "\n" in str(error) else f"aqueue: {error}", error.exit_code
        case ConfigurationError():
            return f"aqueue: {error}", CONFIGURATION
        case QueueUnavailable() | QueueFull():
            return f"aqueue: {error}", UNAVAILABLE
        case EncodeError():
            return f"aqueue: {error}", USAGE
        case HueyException():
            return f"aqueue: {error}", BROKEN_DATA
    return None


def shown(value: object) -> str:
    """The repr of `value`, shortened so that a message with it stays readable."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
