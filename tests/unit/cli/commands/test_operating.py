"""Commands that change something: on every storage that processes share, beside a worker that works."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ..shell import ENVIRONMENT

if TYPE_CHECKING:
    from ..conftest import Here
    from ..shell import Shell


def said(shell: Shell, *words: str) -> str:
    """What a command that went well has written."""
    ran = shell.run(*words)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def refused(shell: Shell, code: int, *words: str) -> str:
    """The one line of a command that did not go well."""
    ran = shell.run(*words)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.count("\n") == 1
    return ran.err


def burst(shell: Shell) -> None:
    assert shell.run("worker", "app", "--burst", "--queues", "default,mail").code == 0


# -- one task


def test_a_task_is_cancelled_wherever_it_is(store: Shell) -> None:
    waiting = store.enqueue("add", "[1]", "--delay", "1h")
    assert said(store, "cancel", "app", waiting) == f"{waiting} is cancelled, or asked to stop if it runs\n"
    assert store.state(waiting) == "cancelled"
    store.start_worker()
    running = store.enqueue("hold", '["started"]')
    store.wait_for_file("started")
    said(store, "cancel", "app", running)
    assert "state  cancelled" in store.run("result", "app", running, "--wait").out
    for task_id in (waiting, "unknown"):
        assert "cannot be cancelled: it has ended already, or is unknown" in refused(store, 1, "cancel", "app", task_id)


def test_a_task_is_revoked_and_restored(store: Shell) -> None:
    task_id = store.enqueue("add", "[1]")
    assert said(store, "revoke", "app", task_id) == f"{task_id} is revoked\n"
    assert said(store, "restore", "app", task_id) == f"{task_id} is restored\n"
    assert refused(store, 1, "restore", "app", task_id) == f"aqueue: {task_id} is not revoked\n"
    assert "is revoked until 20" in said(store, "revoke", "app", "--task", "add", "--for", "1h")
    assert (
        '"name": "app.add", "queue": "default", "priority": 0, "retries": 0, "timeout": null, "revoked": true'
        in said(store, "tasks", "app", "--json")
    )
    burst(store)
    assert store.state(task_id) == "cancelled"
    assert said(store, "restore", "app", "--task", "app.add") == "every call of app.add is restored\n"
    said(store, "revoke", "app", "--task", "add", "--once")
    first, second = store.enqueue("add", "[1]"), store.enqueue("add", "[2]")
    burst(store)
    assert sorted([store.state(first), store.state(second)]) == ["cancelled", "done"]


def test_commands_need_no_application(store: Shell) -> None:
    task_id = store.enqueue("add", "[1]")
    where = ("--url", store.env.get("AQUEUE_URL", "sqlite:///shop.db"), "--name", store.env.get("SHOP", "shop"))
    said(store, "revoke", task_id, *where)
    said(store, "restore", task_id, *where)
    said(store, "pause", *where)
    said(store, "resume", *where)
    said(store, "cancel", task_id, *where)
    assert "--task needs an APP" in refused(store, 2, "revoke", "--task", "add", *where)


# -- dead letters


def test_what_failed_is_listed_shown_retried_and_dropped(store: Shell) -> None:
    ids = [store.enqueue("fail", "--id", f"order-{number}") for number in range(4)]
    burst(store)
    head, *rows = [line.split() for line in said(store, "dead", "ls", "app").splitlines()]
    assert head == ["ID", "TASK", "ARGUMENTS", "QUEUE", "STATE", "ATTEMPT", "DIED", "ERROR"]
    assert sorted(row[0] for row in rows) == ids
    assert all("ValueError('no" in row for row in rows)
    letters = json.loads(said(store, "dead", "ls", "app", "--json"))["letters"]
    assert {letter["name"] for letter in letters} == {"app.fail"}
    assert {letter["attempt"] for letter in letters} == {2}
    page = said(store, "dead", "show", "app", ids[0])
    assert "error      ValueError('no stock')" in page
    assert 'raise ValueError("no stock")' in page
    assert json.loads(said(store, "dead", "show", "app", ids[0], "--json"))["metadata"]["type"] == "ValueError"

    assert said(store, "retry", "app", ids[0]) == f"{ids[0]} is in line again\n"
    assert store.state(ids[0]) == "queued"
    assert "cannot be retried: there is no dead letter of it" in refused(store, 1, "retry", "app", ids[0])
    assert said(store, "dead", "retry", "app", ids[1]) == f"{ids[1]} is in line again\n"
    assert said(store, "dead", "drop", "app", ids[2], "--yes") == f"{ids[2]} is dropped\n"
    assert said(store, "dead", "retry", "app", "--all") == "in line again: 1 task\n"
    assert said(store, "dead", "ls", "app") == "none\n"
    burst(store)
    assert said(store, "dead", "drop", "app", "--all", "--queue", "mail", "--yes") == "dropped: 0 dead letters\n"
    assert said(store, "dead", "drop", "app", "--all", "--yes") == "dropped: 3 dead letters\n"
    for command in ("show", "retry"):
        assert f"there is no dead letter of {ids[0]}" in refused(store, 1, "dead", command, "app", ids[0])
    assert "there is no dead letter of" in refused(store, 1, "dead", "drop", "app", ids[0], "--yes")


# -- queues


def test_a_running_worker_obeys_pauses(store: Shell) -> None:
    store.start_worker("--queues", "default,mail")
    assert said(store, "pause", "app", "--queue", "mail") == "the queue mail is paused\n"
    assert said(store, "pause", "app", "--queue", "mail") == "the queue mail is paused already\n"
    stopped = store.enqueue("mail", '["me"]')
    assert "value  11" in store.run("enqueue", "app", "add", "[1]", "--wait").out
    assert store.state(stopped) == "queued"
    facts = json.loads(said(store, "info", "app", "--json"))
    assert facts["paused"] == ["mail"]
    assert {row["queue"]: row["paused"] for row in facts["queues"]}["mail"] is True
    assert any(row.split() == ["mail", "1", "0", "0", *row.split()[4:6], "paused"] for row in _lines(store))
    assert said(store, "resume", "app", "--queue", "mail") == "the queue mail is resumed\n"
    assert 'value  "me"' in store.run("result", "app", stopped, "--wait").out
    assert "everything of" in said(store, "pause", "app")
    assert "everything is paused" in _lines(store)
    assert "is not paused; paused are: everything" in refused(store, 1, "resume", "app", "--queue", "mail")
    said(store, "resume", "app")


def _lines(store: Shell) -> list[str]:
    return said(store, "info", "app").splitlines()


def test_a_queue_is_purged_and_everything_flushed(store: Shell) -> None:
    mails = [store.enqueue("mail", '["me"]'), store.enqueue("mail", '["me"]', "--delay", "1h")]
    other = store.enqueue("add", "[1]")
    assert said(store, "purge", "app", "--queue", "mail", "--yes") == "cancelled: 2 tasks\n"
    assert [store.state(task_id) for task_id in mails] == ["cancelled", "cancelled"]
    assert store.state(other) == "queued"
    assert said(store, "purge", "app", "--all", "--yes") == "cancelled: 1 task\n"
    assert said(store, "flush", "app", "--yes") == "deleted: 3 tasks\n"
    assert store.state(other) == "unknown"


@pytest.mark.parametrize(
    "words",
    [("purge", "app", "--all"), ("flush", "app"), ("dead", "drop", "app", "--all"), ("dead", "drop", "app", "x")],
)
def test_a_deletion_without_a_terminal_needs_yes(here: Here, words: tuple[str, ...]) -> None:
    ran = here(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "there is no terminal to ask for confirmation: add --yes" in ran.err


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("\n", 130), ("y\n", 0)])
def test_what_destroys_asks_a_person(shell: Shell, answer: str, code: int) -> None:
    task_id = shell.enqueue("add", "[1]")
    reader, writer = pty.openpty()
    try:
        os.write(reader, answer.encode())
        done = subprocess.run(
            [sys.executable, "-m", "aqueue", "purge", "app", "--all"],
            cwd=shell.directory,
            env=ENVIRONMENT,
            stdin=writer,
            capture_output=True,
            text=True,
            timeout=30,
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert done.returncode == code
    assert "Cancel every task that waits in any queue of shop? [y/N]: " in done.stderr
    assert shell.state(task_id) == ("queued" if code else "cancelled")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("cancel",), "expected an ID, or APP and ID, as in: aqueue cancel app:huey"),
        (("cancel", "app", "x", "y"), "expected an ID, or APP and ID"),
        (("revoke", "app", "--task", "mial"), "has no task 'mial'; did you mean 'mail'?"),
        (("revoke", "app", "x", "--task", "mail"), "leave 'x' out"),
        (("revoke", "app", "x", "--for", "soon"), "'soon' is not a duration"),
        (("purge", "app"), "say which: --queue NAME, or --all"),
        (("purge", "app", "--queue", "a", "--all"), "say which: --queue NAME, or --all"),
        (("pause", "app", "--queue", "*"), "the name of a queue must be"),
        (("dead", "retry", "app", "x", "--all"), "either an ID or --all, not both"),
        (("dead", "retry", "app", "x", "--queue", "a"), "--queue goes with --all"),
        (("dead", "ls", "app", "--limit", "0"), "is not a whole number from 1 to 10000"),
        (("dead", "sho"), "no command 'sho'; did you mean 'show'?"),
    ],
)
def test_what_makes_no_sense_is_one_line(here: Here, words: tuple[str, ...], complaint: str) -> None:
    ran = here(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert complaint in ran.err


@pytest.mark.parametrize("command", ["cancel", "retry", "revoke", "restore"])
@pytest.mark.parametrize("task_id", ["a b", "*", "x" * 10_000, "\x1b[2J", "../x{}"])
def test_what_can_be_no_id_is_no_such_task(here: Here, command: str, task_id: str) -> None:
    ran = here(command, "app", task_id)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("aqueue: there is no such task: id must be")
    assert len(ran.err) < 300


@pytest.mark.parametrize("words", [(), ("dead",)])
def test_a_command_without_anything_shows_what_there_is(here: Here, words: tuple[str, ...]) -> None:
    ran = here(*words)
    assert ran.code in {0, 2}
    assert (ran.out + ran.err).startswith("Usage: aqueue")
