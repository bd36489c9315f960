"""What the options of ``aqueue worker`` accept, and what they say to what they do not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from aqueue.cli import commands
from aqueue.cli.parameters import parse_seconds

if TYPE_CHECKING:
    from .conftest import Here


def refused(here: Here, *words: str, **env: str) -> str:
    """The one line that a usage error is."""
    ran = here(*words, **env)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    return ran.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0", 0), ("0.5", 0.5), ("30s", 30), ("500ms", 0.5), ("2m", 120), ("1h30m", 5400), (" 1d ", 86400)],
)
def test_a_duration_is_seconds_or_has_units(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-5", "nan", "inf", "1e400", "5 parsecs", "h", "1h30", "5m m", "½", "1,5", "1..5s"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_seconds(text) is None


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "abc", str(10**9), ""])
@pytest.mark.parametrize("option", ["--concurrency", "--processes", "--threads"])
def test_a_number_out_of_range_is_refused(here: Here, option: str, value: str) -> None:
    said = refused(here, "worker", "app", option, value)
    assert option in said
    assert f"{value!r} is not a whole number from 1 to " in said


@pytest.mark.parametrize("value", ["-5", "1e400", "nan", "5 parsecs", ""])
@pytest.mark.parametrize("option", ["--lease", "--shutdown-timeout"])
def test_what_is_no_duration_is_refused(here: Here, option: str, value: str) -> None:
    said = refused(here, "worker", "app", option, value)
    assert option in said
    assert f"{value!r} is not a duration: write seconds (30, 0.5) or units (30s, 2m, 1h30m)" in said


def test_a_lease_is_at_least_five_seconds(here: Here) -> None:
    assert "'4.9s' is not between 5 seconds and a year" in refused(here, "worker", "app", "--lease", "4.9s")


@pytest.mark.parametrize("value", ["", "a b", "{mail}", "a\nb", "📮", "x" * 10_000, "a,,b"])
def test_the_name_of_a_queue_is_checked(here: Here, value: str) -> None:
    said = refused(here, "worker", "app", "--queues", value)
    assert "1 to 100 characters from A-Z a-z 0-9 _ . -" in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("--log-level", "FOO", ("debug", "info", "warning", "error", "critical")),
        ("--log-format", "xml", ("plain", "json")),
    ],
)
def test_a_choice_lists_what_there_is(here: Here, option: str, value: str, accepted: tuple[str, ...]) -> None:
    said = refused(here, "worker", "app", option, value)
    assert all(f"'{choice}'" in said for choice in (value, *accepted))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AQUEUE_CONCURRENCY", "0"),
        ("AQUEUE_PROCESSES", "many"),
        ("AQUEUE_THREADS", '"8"'),
        ("AQUEUE_QUEUES", "{mail}"),
        ("AQUEUE_BURST", "perhaps"),
        ("AQUEUE_LEASE", "1s"),
        ("AQUEUE_SHUTDOWN_TIMEOUT", "soon"),
        ("AQUEUE_LOG_LEVEL", "loud"),
        ("AQUEUE_LOG_FORMAT", "xml"),
    ],
)
def test_an_environment_variable_is_checked_like_its_option(here: Here, variable: str, value: str) -> None:
    option = "--" + variable.removeprefix("AQUEUE_").lower().replace("_", "-")
    assert option in refused(here, "worker", "app", **{variable: value})


def test_an_unknown_option_names_the_nearest(here: Here) -> None:
    # A prefix is not silently completed: what it means would change with the next option.
    for name in ("--concurency", "--concurr"):
        assert re.search(r"Did you mean '?--concurrency'?\?", refused(here, "worker", "app", name, "4"))


def test_an_unknown_command_names_the_nearest(here: Here) -> None:
    assert "no command 'wroker'; did you mean 'worker'?" in refused(here, "wroker", "app")
    assert f"there are {', '.join(sorted(commands.commands))}" in refused(here, "xyz")


@pytest.mark.parametrize("dash", ["\u2013", "\u2014", "\u2212"])
def test_a_typographic_dash_is_recognised(here: Here, dash: str) -> None:
    assert "options begin with --" in refused(here, "worker", "app", f"{dash}burst")


@pytest.mark.parametrize("command", ["worker", "info", "result", "enqueue"])
def test_a_command_without_an_application_shows_an_example(here: Here, command: str) -> None:
    assert f"aqueue {command} app:huey" in refused(here, command, *(["x"] if command == "result" else []))


def test_an_application_is_named_once(here: Here) -> None:
    assert "named twice: 'a:b', and --app 'c:d'" in refused(here, "worker", "a:b", "--app", "c:d")
    assert "not both" in refused(here, "info", "a:b", "--url", "redis://localhost")
