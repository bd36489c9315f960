"""The page for developers who come from Huey covers all of Huey, and a test proves every row."""

from __future__ import annotations

import inspect
import re

import huey
import huey.api
import pytest
from huey.consumer_options import OptionParserHandler

from .pages import ROOT, is_held, prose, section, tables

PAGE = ROOT / "docs/migrating-from-huey.md"

TYPES = [
    huey.Huey,
    huey.chord,
    huey.group,
    *(huey.api.Task, huey.api.TaskWrapper, huey.api.TaskLock, huey.api.RateLimit),
    *(huey.api.Result, huey.api.ResultGroup, huey.api.ChordResult),
]


def test_every_line_is_held_by_a_test_that_exists_or_planned() -> None:
    for head, lines in tables(prose(PAGE)):
        assert head[-1] == "proved by"
        assert [row[0] for row in lines if row[-1] != "planned" and not is_held(PAGE, row[-1])] == []


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_name_of_hueys_classes_has_its_place(kind: type) -> None:
    assert missing({name for name in dir(kind) if not name.startswith("_")}) == set()


def test_every_name_that_huey_exports_has_its_place() -> None:
    assert missing({name for name, value in vars(huey).items() if inspect.isclass(value) or name == "SKIPPED"}) == set()


@pytest.mark.parametrize(
    "function",
    [
        *(huey.Huey.__init__, huey.Huey.task, huey.Huey.periodic_task, huey.Huey.context_task),
        *(huey.Huey.lock_task, huey.Huey.rate_limit, huey.Huey.put_if_empty),
        *(huey.api.TaskWrapper.schedule, huey.api.Result.get, huey.api.Result.reschedule),
    ],
    ids=lambda function: function.__qualname__,
)
def test_every_argument_has_its_place(function: object) -> None:
    assert missing(set(inspect.signature(function).parameters) - {"self", "storage_kwargs"}) == set()


def test_every_option_of_hueys_consumer_has_its_counterpart() -> None:
    explained = section(PAGE, "Options of the consumer")
    groups = OptionParserHandler().get_option_parser().option_groups
    options = {name for group in groups for option in group.option_list for name in str(option).split("/")}
    assert options
    assert {name for name in options if f"`{name}`" not in explained} == set()


def missing(names: set[str]) -> set[str]:
    """Those of `names` that stand nowhere in the code of the page."""
    return names - set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", prose(PAGE)))))
