"""``aqueue tasks``, ``pending``, ``scheduled``, ``running`` and ``workers``, on every storage that processes share."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from aqueue.cli.tables import call, cut, plain, printable, span, table

if TYPE_CHECKING:
    from ..conftest import Here
    from ..shell import Shell

_FIELDS = ["id", "state", "name", "args", "kwargs", "queue", "priority", "attempt", "worker", "since", "due"]


def _rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_what_waits_is_listed_in_the_order_of_turns(store: Shell) -> None:
    low = store.enqueue("add", "[1]")
    high = store.enqueue("add", "[2, 3]", "--priority", "5")
    mail = store.enqueue("mail", '["me"]')
    head, *rows = _rows(store.run("pending", "app").out)
    assert head == ["ID", "TASK", "ARGUMENTS", "QUEUE", "PRIORITY", "STATE", "WAITS"]
    assert [row[:4] for row in rows] == [
        [high, "app.add", "2,", "3"],
        [low, "app.add", "1", "default"],
        [mail, "app.mail", "'me'", "mail"],
    ]
    told = json.loads(store.run("pending", "app", "--json", "--limit", "1").out)
    assert told["total"] == 3
    [task] = told["tasks"]
    assert list(task) == [*_FIELDS, "lease_until", "problem", "started", "progress", "note"]
    assert (task["id"], task["args"], task["state"]) == (high, [2, 3], "queued")
    assert datetime.fromisoformat(task["since"])
    assert "the first 1 of 3; --limit shows more" in store.run("pending", "app", "--limit", "1").out
    [task] = json.loads(store.run("pending", "app", "--json", "--queue", "mail").out)["tasks"]
    assert task["id"] == mail


def test_what_is_due_later_is_listed(store: Shell) -> None:
    task_id = store.enqueue("add", "[1]", "--delay", "1h")
    assert store.run("pending", "app").out == "none\n"
    _, row = _rows(store.run("scheduled", "app").out)
    assert (row[0], row[-4:-2]) == (task_id, ["scheduled", "in"])
    [task] = json.loads(store.run("scheduled", "app", "--json").out)["tasks"]
    assert datetime.fromisoformat(task["due"])


def test_what_runs_is_listed_with_its_worker(store: Shell) -> None:
    worker = store.start_worker()
    task_id = store.enqueue("hold", '["started"]')
    store.wait_for_file("started")
    [task] = json.loads(store.run("running", "app", "--json").out)["tasks"]
    assert (task["id"], task["name"], task["state"], task["attempt"]) == (task_id, "app.hold", "running", 1)
    assert f".{worker.process.pid}." in task["worker"]
    _, row = _rows(store.run("running", "app").out)
    assert (row[0], row[-3]) == (task_id, "in")
    head, _ = store.run("running", "app", "--older-than", "1ms").out.splitlines()
    assert head.split() == ["ID", "TASK", "ARGUMENTS", "QUEUE", "ATTEMPT", "WORKER", "TIME", "PROGRESS", "LEASE"]
    assert store.run("running", "app", "--older-than", "1h").out == "none\n"
    [known] = json.loads(store.run("workers", "app", "--json").out)["workers"]
    assert (known["consumer"], known["pid"], known["concurrency"]) == (task["worker"], worker.process.pid, 100)
    assert known["consumer"] in store.run("workers", "app").out
    store.write("go", "")


def test_lists_need_no_application(store: Shell) -> None:
    store.enqueue("add", "[1]")
    name, url = store.env.get("SHOP", "shop"), store.env.get("AQUEUE_URL", "sqlite:///shop.db")
    assert "app.add" in store.run("pending", "--url", url, "--name", name).out
    assert "app.add" in store.run("pending", AQUEUE_APP="app").out


def test_declared_tasks_are_listed_with_their_options(here: Here) -> None:
    head, *rows = _rows(here("tasks", "app").out)
    assert head == ["TASK", "QUEUE", "PRIORITY", "RETRIES", "TIMEOUT", "REVOKED"]
    assert ["app.mail", "mail", "0", "0", "-", "-"] in rows
    told = json.loads(here("tasks", "app", "--json").out)["tasks"]
    assert [task["name"] for task in told] == sorted(task["name"] for task in told)
    [fail] = [task for task in told if task["name"] == "app.fail"]
    assert fail == {
        "name": "app.fail",
        "queue": "default",
        "priority": 0,
        "retries": 1,
        "timeout": None,
        "revoked": False,
    }


def test_empty_lists_say_so(here: Here) -> None:
    assert here("running", "app").out == here("scheduled", "app").out == "none\n"
    assert here("workers", "app").out == "no workers\n"
    assert json.loads(here("running", "app", "--json").out) == {"total": 0, "tasks": []}


@pytest.mark.parametrize("command", ["pending", "scheduled", "running"])
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--limit", "0"), "'0' is not a whole number from 1 to 1000000"),
        (("--limit", "many"), "'many' is not a whole number"),
        (("--queue", "a,b"), "'a,b' names 2 queues: name one"),
        (("--queue", "a b"), "the name of a queue must be"),
        (("other",), "Got unexpected extra argument (other)"),
    ],
)
def test_what_makes_no_sense_is_one_line(here: Here, command: str, words: tuple[str, ...], complaint: str) -> None:
    ran = here(command, "app", *words)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert complaint in ran.err


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert table(("A", "NUMBER"), [("x", 5), ("long", 10)]) == ["A     NUMBER", "x          5", "long      10"]
    assert table(("A",), []) == []


def test_nothing_in_a_table_moves_the_cursor() -> None:
    assert printable("a\x1b[31m\nb\u202e") == "a\\u001b[31m\\nb\\u202e"
    assert printable("größer 東京") == "größer 東京"
    assert table(("A",), [("\x1b[2J",)]) == ["A", "\\u001b[2J"]


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h")],
)
def test_a_span_is_told_as_a_person_tells_it(ms: int, text: str) -> None:
    assert span(ms) == text


def test_a_call_is_written_as_in_python_and_cut_where_it_is_long() -> None:
    assert call((1, "a"), {"b": None}) == "1, 'a', b=None"
    assert call(("x" * 100,), {}) == cut(repr("x" * 100))
    assert len(call(("x" * 100,), {})) == 60


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ((1, {2}), [1, [2]]),
        ({1: b"\xff"}, {"1": "\\xff"}),
        (float("nan"), "nan"),
        (datetime.min, "0001-01-01T00:00:00"),
    ],
)
def test_a_value_becomes_the_nearest_that_json_can_say(value: Any, told: Any) -> None:
    assert plain(value) == told
