"""``aqueue doctor`` and ``aqueue top``."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import redis

from ..shell import ENVIRONMENT, PATIENCE

if TYPE_CHECKING:
    from ..conftest import Here
    from ..shell import Shell


def _meddle(store: Shell, task_id: str) -> None:
    """Take a task out of its line, behind everybody's back."""
    if "AQUEUE_URL" in store.env:
        with redis.Redis.from_url(store.env["AQUEUE_URL"]) as server:
            server.delete(f"{{aq:{store.env['SHOP']}}}:stream:default:0")
    else:
        with contextlib.closing(sqlite3.connect(store.directory / "shop.db")) as connection, connection:
            connection.execute("UPDATE task SET place = 'nowhere' WHERE id = ?", (task_id,))


def test_a_doctor_finds_nothing_where_nothing_is_wrong(store: Shell) -> None:
    store.start_worker()
    store.run("enqueue", "app", "add", "[1]", "--wait")
    store.enqueue("add", "[2]", "--delay", "1h")
    ran = store.run("doctor", "app")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith(": 2 tasks examined, each in exactly one place\n")
    assert json.loads(store.run("doctor", "app", "--json").out) == {"examined": 2, "findings": [], "warnings": []}


def test_a_doctor_finds_what_is_lost(store: Shell) -> None:
    task_id = store.enqueue("add", "[1]")
    warned = store.run("doctor", "app")
    assert warned.code == 0
    assert "warning: tasks wait in the queue 'default', which no worker reads: 1" in warned.out
    _meddle(store, task_id)
    ran = store.run("doctor", "app")
    assert (ran.code, ran.err) == (1, "")
    head, fault, *_, verdict = ran.out.splitlines()
    assert head.split() == ["FAULT", "TASK", "WHAT", "IT", "IS"]
    assert fault.split()[:2] == ["lost", task_id]
    assert verdict.endswith(": 1 task examined, 1 fault")
    told = json.loads(store.run("doctor", "app", "--json").out)
    assert [(finding["what"], finding["id"]) for finding in told["findings"]] == [("lost", task_id)]
    assert list(told["findings"][0]) == ["what", "id", "text"]


def test_top_shows_what_there_is(store: Shell) -> None:
    store.enqueue("fail", "--id", "order-1")
    store.run("worker", "app", "--burst")
    worker = store.start_worker()
    store.enqueue("hold", '["started"]')
    store.wait_for_file("started")
    store.run("pause", "app", "--queue", "mail")
    store.enqueue("mail", '["me"]')
    ran = store.run("top", "app", "--count", "1")
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in ran.out
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["QUEUE", "READY", "CHANGE/S", "RUNNING", "SCHEDULED", "OLDEST"] in rows
    assert any(row[:1] == ["mail"] and row[-1] == "paused" for row in rows)
    assert any(f".{worker.process.pid}." in row[0] and row[1].endswith("/100") for row in rows if row)
    assert any(row[1:3] == ["app.hold", "'started'"] for row in rows)
    assert any(row[:2] == ["order-1", "app.fail"] for row in rows)
    store.write("go", "")


def test_top_goes_on_until_it_is_told_to_end(here: Here) -> None:
    ran = here("top", "app", "--count", "3", "--interval", "0.1")
    assert ran.code == 0
    assert ran.out.count("no queues yet") == 3
    assert "is not between 0.1 seconds and a year" in here("top", "app", "--interval", "0").err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_top_leaves_the_terminal_as_it_was(shell: Shell, number: int) -> None:
    shell.enqueue("add", "[1]")
    reader, writer = pty.openpty()
    top = subprocess.Popen(
        [sys.executable, "-m", "aqueue", "top", "app", "--interval", "0.1"],
        cwd=shell.directory,
        env=ENVIRONMENT | {"TERM": "xterm"},
        stdin=writer,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    timer = threading.Timer(PATIENCE, top.kill)
    timer.start()
    seen = b""
    while seen.count(b"default") < 3:
        seen += os.read(reader, 65536)
    top.send_signal(number)
    with contextlib.suppress(OSError):
        while data := os.read(reader, 65536):
            seen += data
    assert top.wait(PATIENCE) == (0 if number == signal.SIGINT else -signal.SIGTERM)
    timer.cancel()
    os.close(reader)
    # It draws over what it drew: no other screen, no hidden cursor, no colour that somebody would have to undo.
    assert b"\x1b[H" in seen
    for code in (b"\x1b[?", b"\x1b[3", b"\x1b[1m"):
        assert code not in seen
    assert b"Traceback" not in seen
