"""``aqueue info``, ``result`` and ``enqueue``, on every storage that processes can share."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aqueue.cli.outcome import Outcome
from aqueue.core.lifecycle import State

from ..shell import ENVIRONMENT

if TYPE_CHECKING:
    from ..conftest import Here
    from ..shell import Shell


# -- info


def test_info_shows_queues_and_workers(store: Shell) -> None:
    store.enqueue("add", "[1]")
    store.enqueue("add", "[1]", "--delay", "1h")
    store.enqueue("mail", '["x"]')
    worker = store.start_worker("--queues", "mail")
    store.enqueue("hold", '["started"]', "--queue", "mail")
    store.wait_for_file("started")
    facts = json.loads(store.run("info", "app", "--json").out)
    depths = {depth["queue"]: (depth["ready"], depth["running"], depth["scheduled"]) for depth in facts["queues"]}
    assert depths == {"default": (1, 0, 1), "mail": (0, 1, 0)}
    assert facts["queues"][0]["oldest_ms"] > 0
    assert facts["store"]["location"]
    [known] = facts["workers"]
    assert (known["pid"], known["queues"], known["concurrency"]) == (worker.process.pid, ["mail"], 100)
    assert known["host"]
    assert known["seen_ms"] >= 0

    page = store.run("info", "app").out
    rows = [line.split() for line in page.splitlines()]
    assert ["QUEUE", "READY", "RUNNING", "SCHEDULED", "OLDEST"] in rows
    assert ["mail", "0", "1", "0", "-"] in rows
    assert any(str(worker.process.pid) in row for row in rows)
    store.write("go", "")


def test_info_on_an_empty_store_says_so(store: Shell) -> None:
    ran = store.run("info", "app")
    assert ran.code == 0
    assert "no queues yet" in ran.out
    assert "no workers" in ran.out


# -- enqueue and result


def test_a_task_is_enqueued_and_its_result_read(store: Shell) -> None:
    store.start_worker()
    waited = store.run("enqueue", "app:huey", "add", "[1, 2]", "--wait")
    assert (waited.code, waited.err) == (0, "")
    assert "state  done\nvalue  3\n" in waited.out
    task_id = waited.out.split()[1]
    assert store.run("result", "app", task_id).out == waited.out
    assert json.loads(store.run("result", "app:huey", task_id, "--json").out)["value"] == 3


def test_a_failed_task_shows_its_traceback_and_exits_with_1(store: Shell) -> None:
    store.start_worker()
    ran = store.run("enqueue", "app", "fail", "--wait", "20s")
    assert ran.code == 1
    assert "state  failed" in ran.out
    assert "error  ValueError('no stock'), at attempt 2" in ran.out
    assert 'raise ValueError("no stock")' in ran.out
    told = json.loads(store.run("result", "app", ran.out.split()[1], "--json").out)
    assert (told["state"], told["attempt"], told["error"]) == ("failed", 2, "ValueError('no stock')")


def test_a_result_is_read_without_an_application(store: Shell) -> None:
    task_id = store.enqueue("add", "[1]")
    name, url = store.env.get("SHOP", "shop"), store.env.get("AQUEUE_URL", "sqlite:///shop.db")
    ran = store.run("result", task_id, "--url", url, "--name", name)
    assert (ran.code, "state  queued" in ran.out) == (0, True)
    assert store.run("result", task_id, AQUEUE_APP="app").out == ran.out
    assert store.run("result", task_id, "--name", name, AQUEUE_URL=url).out == ran.out


def test_waiting_ends_with_75_when_there_is_no_verdict_in_time(store: Shell) -> None:
    ran = store.run("enqueue", "app", "add", "[1]", "--wait", "0.2")
    assert (ran.code, "state  queued" in ran.out) == (75, True)
    assert store.run("result", "app", ran.out.split()[1], "--wait", "100ms").code == 75


def test_a_delayed_task_is_scheduled(store: Shell) -> None:
    assert store.state(store.enqueue("add", "[1]", "--delay", "1h30m")) == "scheduled"


def test_a_known_id_gives_the_known_task(store: Shell) -> None:
    assert store.enqueue("add", "[1]", "--id", "order-1") == "order-1"
    store.run("worker", "app", "--burst")
    again = json.loads(store.run("enqueue", "app", "add", "[5]", "--id", "order-1", "--json", "--wait").out)
    assert again["value"] == 11


def test_priority_and_queue_are_those_of_the_call(store: Shell) -> None:
    store.enqueue("hold", '["first"]', "--queue", "mail")
    store.enqueue("hold", '["second"]', "--queue", "mail", "--priority", "-5")
    store.start_worker("--queues", "mail", "--concurrency", "1")
    store.wait_for_file("first")
    assert not (store.directory / "second").exists()
    store.write("go", "")
    store.wait_for_file("second")


def test_ctrl_c_ends_waiting_with_130(store: Shell) -> None:
    waiting = store.start("enqueue", "app", "hold", '["started"]', "--wait")
    store.start_worker()
    store.wait_for_file("started")
    waiting.send(signal.SIGINT)
    assert waiting.wait() == 130
    assert waiting.said.strip() == ""
    store.write("go", "")


def test_an_id_that_nobody_knows_is_unknown(store: Shell) -> None:
    for options in ([], ["--wait"]):
        ran = store.run("result", "app", "nosuch", *options)
        assert (ran.code, "state  unknown" in ran.out) == (1, True)


@pytest.mark.parametrize("garbage", ["*", "a b", "", "x" * 100_000, "{aq:shop}:*", "\x1b[31m"])
def test_what_can_be_no_id_is_no_pattern_either(here: Here, garbage: str) -> None:
    assert here("enqueue", "app", "add", "[1]").code == 0
    ran = here("result", "app", garbage)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ran.err.startswith("aqueue: there is no such task: ")
    assert len(ran.err) < 400


SEALED = """
from aqueue import Huey, PickleSerializer

huey = Huey("sealed", serializer=PickleSerializer(keys=["k" * 32], compress_from=0))


@huey.task
async def add(a, b=10):
    return {"sum": a + b, "parts": (a, b)}


@huey.task
async def fail():
    raise ValueError("no stock")
"""


def test_the_serializer_of_the_application_writes_and_reads(shell: Shell, here: Here) -> None:
    shell.write("sealed.py", SEALED)
    done, failed = (here("enqueue", "sealed", *words).out.strip() for words in (("add", "[1]"), ("fail",)))
    assert shell.run("worker", "sealed", "--burst").code == 0
    assert 'state  done\nvalue  {"sum": 11, "parts": [1, 10]}\n' in here("result", "sealed", done).out
    assert json.loads(here("result", "sealed", done, "--json").out)["value"] == {"sum": 11, "parts": [1, 10]}
    told = here("result", "sealed", failed)
    assert (told.code, "error  ValueError('no stock'), at attempt 1" in told.out) == (1, True)
    assert here("info", "sealed").code == 0
    strange = here("result", done, "--url", "sqlite:///sealed.db", "--name", "sealed")
    assert (strange.code, strange.out, strange.err.count("\n")) == (74, "", 1)
    assert strange.err.startswith("aqueue: the data is signed, and the serializer here has no keys")


# -- naming the task and its arguments


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["app", "ad"], "no task 'ad'; did you mean 'add'?"),
        (["app", "app.maill"], "did you mean 'app.mail'?"),
        (["app", "zzzz"], "it has app.add, app.block"),
        (["app", "add"], "add() missing 1 required positional argument: 'a'"),
        (["app", "add", "[1, 2, 3]"], "takes from 1 to 2 positional arguments but 3 were given"),
        (["app", "add", '{"c": 1}'], "unexpected keyword argument 'c'"),
        (["app", "add", "not json"], "ARGS is not JSON: Expecting value at column 1"),
        (["app", "add", "[1, 2"], "at column 6 of '[1, 2'"),
        (["app", "add", "[1]", '{"b":1'], "KWARGS is not JSON: Expecting ',' delimiter at column 7"),
        (["app", "add", "5"], "ARGS must be a JSON list, as in '[1, 2]', not '5'"),
        (["app", "add", "[1]", "[2]"], "KWARGS must be a JSON object"),
        (["app", "add", "[1]", "{}", "more"], "as in: aqueue enqueue app:huey add '[1, 2]'"),
        (["app"], "as in: aqueue enqueue app:huey add '[1, 2]'"),
        (["app", "add", "[" * 100_000], "ARGS cannot be read: "),
        (["app", "add", f"[{'[' * 200}{']' * 200}]"], "nested deeper than"),
        (["app", "add", f"[{'9' * 5000}]"], "ARGS cannot be read: "),
        (["app", "add", r'["\ud800"]'], "cannot travel"),
        (["app", "add", "[1]", "--priority", "101"], "not a whole number from -100 to 100"),
        (["app", "add", "[1]", "--delay", "soon"], "'soon' is not a duration"),
        (["app", "add", "[1]", "--queue", "a b"], "queue must be 1 to 100 characters"),
        (["app", "add", "[1]", "--id", "a b"], "id must be 1 to 200 characters"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_is_right(here: Here, words: list[str], said: str) -> None:
    ran = here("enqueue", *words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert said in ran.err


def test_a_last_part_that_two_tasks_share_is_refused(shell: Shell, here: Here) -> None:
    shell.write("more.py", "from app import huey\n@huey.task\ndef add(x): pass\n")
    ran = here("enqueue", "more:huey", "add", "[1]")
    assert ran.code == 2
    assert "2 tasks are named 'add', say which: app.add, more.add" in ran.err
    assert here("enqueue", "more:huey", "more.add", "[1]").code == 0


def test_the_application_may_come_first_or_from_elsewhere(here: Here) -> None:
    for words, env in (
        (["app", "app.add", "[1]"], {}),
        (["--app", "app", "add", "[1]"], {}),
        (["add", "[1]"], {"AQUEUE_APP": "app"}),
        (["fail"], {"AQUEUE_APP": "app"}),
        (["app", "fail"], {"AQUEUE_APP": "nosuch"}),
        (["app", "add", '{"a": 1}'], {}),
        (["app", "add", "[]", '{"a": 1}'], {}),
    ):
        ran = here("enqueue", *words, **env)
        assert ran.code == 0, (words, ran.err)


# -- output


def test_a_reader_that_goes_away_is_no_error_to_tell(shell: Shell) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "aqueue", "info", "app"],
        cwd=shell.directory,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    command.stdout.close()
    _, said = command.communicate(timeout=30)
    assert said == ""


def test_text_that_the_terminal_cannot_show_is_escaped(shell: Shell) -> None:
    shell.enqueue("mail", '["\\u2603"]', "--id", "snow")
    assert shell.run("worker", "app", "--burst", LC_ALL="C").code == 0
    ran = shell.run("result", "app", "snow", PYTHONIOENCODING="latin-1", NO_COLOR="1", TERM="dumb", COLUMNS="20")
    assert (ran.code, ran.err) == (0, "")
    assert 'value  "\\u2603"' in ran.out


def test_values_that_json_cannot_say_become_the_nearest_that_it_can() -> None:
    value = {1: (1, 2), "s": {3}, "f": float("nan"), "b": b"\xff", "n": None, "big": 2**100}
    outcome = Outcome("x", State.DONE, value=value)
    plain = {"1": [1, 2], "s": [3], "f": "nan", "b": "\\xff", "n": None, "big": 2**100}
    assert json.loads(outcome.as_json())["value"] == plain
    assert f"value  {json.dumps(plain)}" in outcome.as_text()
