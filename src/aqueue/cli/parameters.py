"""Types of option values, with range checks, and options that environment variables can set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from ..core.ids import check_name
from .failures import shown

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = "forever"

_LONGEST_SECONDS = 365 * 24 * 3600
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def variable_option(name: str, **settings: Any) -> Callable[[Any], Any]:
    """A click option that the environment variable ``AQUEUE_<NAME>`` can set, too."""
    variable = "AQUEUE_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, show_default=True, **settings)


def count(lowest: int, highest: int) -> Callable[[Any], int]:
    """The type of an option that takes a whole number from `lowest` to `highest`."""

    def convert(value: Any) -> int:
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not lowest <= number <= highest:
            raise click.BadParameter(f"{shown(value)} is not a whole number from {lowest} to {highest}")
        return number

    return convert


def duration(at_least: float = 0) -> Callable[[Any], float]:
    """The type of an option that takes seconds, written as ``30``, ``0.5``, ``30s``, ``2m`` or ``1h30m``."""

    def convert(value: Any) -> float:
        seconds = parse_seconds(str(value))
        if seconds is None:
            raise click.BadParameter(
                f"{shown(value)} is not a duration: write seconds (30, 0.5) or units (30s, 2m, 1h30m)"
            )
        if not at_least <= seconds <= _LONGEST_SECONDS:
            raise click.BadParameter(f"{shown(value)} is not between {at_least:g} seconds and a year")
        return seconds

    return convert


def endless_duration(value: Any) -> float | None:
    """The type of an option that takes a duration, or ``forever``, which becomes None."""
    return None if value == FOREVER else duration()(value)


def queue_name(value: str) -> str:
    """The type of an option or an argument that takes the name of one queue."""
    names = queue_names(value)
    if len(names) != 1:
        raise click.BadParameter(f"{shown(value)} names {len(names)} queues: name one")
    return names[0]


def queue_names(value: str) -> tuple[str, ...]:
    """The type of an option that takes the names of queues, separated by commas."""
    names = tuple(name.strip() for name in value.strip(" ,").split(","))
    try:
        return tuple(check_name(name, "the name of a queue") for name in names)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def parse_seconds(text: str) -> float | None:
    """The seconds that `text` stands for, or None if it is not a duration."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
