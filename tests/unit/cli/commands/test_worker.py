"""``aqueue worker``: what it runs, how it is set up, how it ends."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ....servers import Server
    from ..shell import Running, Shell


def busy_worker(shell: Shell, task: str, *options: str) -> tuple[Running, str]:
    """A worker that runs a task, and the id of that task."""
    worker = shell.start_worker(*options)
    task_id = shell.enqueue(task, '["started"]')
    shell.wait_for_file("started")
    return worker, task_id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_lets_running_tasks_finish(shell: Shell, number: int) -> None:
    worker, running = busy_worker(shell, "hold")
    worker.send(number)
    worker.wait_for("Stopping")
    waiting = shell.enqueue("add", "[1]")
    shell.write("go", "")
    assert worker.wait() == 0
    assert (shell.state(running), shell.state(waiting)) == ("done", "queued")


def test_a_worker_under_nohup_outlives_its_terminal(shell: Shell) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        worker, running = busy_worker(shell, "hold")
    finally:
        signal.signal(signal.SIGHUP, before)
    worker.send(signal.SIGHUP)
    shell.write("go", "")
    assert shell.state(running, "--wait") == "done"
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert worker.said.count("Stopping") == 1


def test_the_second_signal_interrupts_and_gives_back(shell: Shell) -> None:
    worker, running = busy_worker(shell, "hold")
    worker.send(signal.SIGTERM)
    worker.wait_for("Stopping")
    worker.send(signal.SIGTERM)
    worker.wait_for("Interrupting")
    assert worker.wait() == 0
    assert shell.state(running) == "queued"


def test_the_third_signal_ends_a_worker_whose_task_resists(shell: Shell) -> None:
    worker, _ = busy_worker(shell, "resist")
    for said in ("Stopping", "Interrupting"):
        worker.send(signal.SIGTERM)
        worker.wait_for(said)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 128 + signal.SIGTERM


def test_signals_end_a_worker_whose_loop_is_blocked(shell: Shell) -> None:
    worker, _ = busy_worker(shell, "freeze")
    while worker.process.poll() is None:
        worker.send(signal.SIGTERM)
    assert worker.wait() == 128 + signal.SIGTERM


def test_a_worker_ends_though_something_of_a_task_still_runs(shell: Shell) -> None:
    worker = shell.start_worker("--shutdown-timeout", "0")
    for task in ("block", "block_in_a_thread_of_its_own", "resist"):
        shell.enqueue(task, f'["{task}"]')
        shell.wait_for_file(task)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert "Ending although a task, or a thread of one, still runs" in worker.said


SLOW = """
import pathlib, signal, time

pathlib.Path("importing").touch()
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_application_is_imported_ends_the_worker_at_once(shell: Shell, number: int) -> None:
    shell.write("slow.py", SLOW)
    worker = shell.start("worker", "slow")
    shell.wait_for_file("importing")
    # Not by the signal itself, which the kernel keeps from the first process of a container.
    worker.send(number)
    assert worker.wait() == 0
    assert worker.said == "aqueue: stopped before the worker began\n"


def test_handlers_that_the_application_sets_when_it_is_imported_do_not_keep_a_worker_from_stopping(
    shell: Shell,
) -> None:
    with (shell.directory / "app.py").open("a") as app:
        app.write("import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n")
    worker = shell.start_worker()
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


FORKS = """
import asyncio, multiprocessing, os, signal, time

from aqueue import Huey

huey = Huey("shop")
fork = multiprocessing.get_context("fork")


@huey.task
def map_in_a_pool(numbers):
    with fork.Pool(2) as pool:
        return pool.map(abs, numbers)


@huey.task
def terminate_at_once(times):
    # So soon that the signal arrives while the child is being born.
    children = [fork.Process(target=time.sleep, args=(600,)) for _ in range(times)]
    for child in children:
        child.start()
        child.terminate()
    for child in children:
        child.join()
    return sorted({child.exitcode for child in children})


@huey.task(pool="process")
def terminate_at_once_from_a_child(times):
    return terminate_at_once.func(times)


def interrupt_yourself():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)
    except KeyboardInterrupt:
        os._exit(3)


@huey.task
def interrupt():
    child = fork.Process(target=interrupt_yourself)
    child.start()
    child.join()
    return child.exitcode


@huey.task
async def fork_in_the_loop():
    child = fork.Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    await asyncio.to_thread(child.join)
    return child.exitcode
"""


def test_what_a_task_forks_obeys_signals_as_in_any_program_and_its_worker_goes_on(shell: Shell) -> None:
    shell.write("app.py", FORKS)
    shell.start_worker()

    def value_of(*words: str) -> object:
        ran = shell.run("enqueue", "app", *words, "--wait", "20s", "--json")
        assert ran.code == 0, ran.out + ran.err
        return json.loads(ran.out)["value"]

    assert value_of("map_in_a_pool", "[[-1, -2]]") == [1, 2]
    assert value_of("terminate_at_once", "[20]") == [-signal.SIGTERM]
    assert value_of("terminate_at_once_from_a_child", "[20]") == [-signal.SIGTERM]
    assert value_of("interrupt") == 3
    assert value_of("fork_in_the_loop") == -signal.SIGTERM


CLINGING = """
import ctypes

from aqueue import Huey

huey = Huey("shop")


@huey.task(pool="process", name="cling")
def cling(seconds):
    with open("runs", "a") as runs:
        runs.write("x")
    # A call of C code that keeps the lock of the interpreter.
    ctypes.PyDLL(None).sleep(seconds)


@huey.task(pool="process", name="cling_too_long", timeout=0.5)
def cling_too_long():
    ctypes.PyDLL(None).sleep(600)
"""


def test_c_code_that_holds_the_interpreter_of_a_child_costs_its_worker_no_lease_and_can_be_timed_out(
    shell: Shell,
) -> None:
    shell.write("app.py", CLINGING)
    lease = 5
    shell.start_worker("--lease", str(lease))
    task_id = shell.enqueue("cling", f"[{2 * lease}]")
    shell.wait_for_file("runs")
    other = shell.start_worker("--lease", str(lease))
    assert shell.run("enqueue", "app", "cling_too_long", "--wait", "20s").code == 1
    assert shell.state(task_id, "--wait") == "done"
    assert (shell.directory / "runs").read_text() == "x"
    assert "Took over" not in other.said


def test_a_burst_ends_when_nothing_is_left_to_do(shell: Shell) -> None:
    done = [shell.enqueue("add", f"[{number}]") for number in range(3)]
    failed = shell.enqueue("fail")
    worker = shell.run("worker", "app", AQUEUE_BURST="1")
    assert worker.code == 0, worker.err
    assert [shell.state(task_id) for task_id in [*done, failed]] == ["done"] * 3 + ["failed"]


def test_a_worker_reads_the_queues_that_it_is_told(shell: Shell) -> None:
    other, own = shell.enqueue("add", "[1]"), shell.enqueue("mail", '["x"]')
    assert shell.run("worker", "app", "--burst", "--queues", "mail").code == 0
    assert (shell.state(other), shell.state(own)) == ("queued", "done")


def test_queues_are_merged_and_unknown_ones_get_a_hint(shell: Shell) -> None:
    worker = shell.run("worker", "app", "--burst", "--queues", "mails,default", "--queues", "default")
    assert worker.code == 0
    assert "queues       mails, default\n" in worker.err
    assert "names 'default' more than once" in worker.err
    assert "declares the queue 'mails'; did you mean 'mail'?" in worker.err


def test_every_option_is_an_environment_variable(shell: Shell) -> None:
    worker = shell.run(
        "worker",
        AQUEUE_APP="app:huey",
        AQUEUE_CONCURRENCY="7",
        AQUEUE_PROCESSES="1",
        AQUEUE_THREADS="3",
        AQUEUE_CHILDREN="2",
        AQUEUE_QUEUES="mail,default",
        AQUEUE_BURST="true",
        AQUEUE_LEASE="1m30s",
        AQUEUE_SHUTDOWN_TIMEOUT="5",
        AQUEUE_LOG_LEVEL="DEBUG",
        AQUEUE_LOG_FORMAT="json",
    )
    assert worker.code == 0, worker.err
    banner = json.loads(worker.err.splitlines()[0])["message"]
    for fact in ("7 tasks, 3 of them in threads, 2 in processes", "mail, default", "90 s", "+ app.add"):
        assert fact in banner


def test_an_option_outranks_its_environment_variable(shell: Shell) -> None:
    worker = shell.run("worker", "app", "--burst", "--concurrency", "8", AQUEUE_CONCURRENCY="7")
    assert "8 tasks" in worker.err


# -- periodic tasks

CLOCK = """
from pathlib import Path

from aqueue import Huey, every

huey = Huey("shop")


@huey.periodic_task(every(seconds=1), name="tick")
async def tick():
    Path("ticked").touch()
"""


def test_a_worker_runs_periodic_tasks_when_they_are_due(shell: Shell) -> None:
    shell.write("clock.py", CLOCK)
    worker = shell.start("worker", "clock")
    worker.wait_for("+ tick  every(seconds=1)")
    shell.wait_for_file("ticked")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_worker_can_leave_periodic_tasks_to_others(shell: Shell, processes: str) -> None:
    shell.write("clock.py", CLOCK)
    worker = shell.start("worker", "clock", "--no-periodic", "--processes", processes)
    worker.wait_for("+ tick\n", int(processes))


# -- logging


def test_json_records_are_one_object_a_line(shell: Shell) -> None:
    shell.enqueue("fail")
    worker = shell.run("worker", "app", "--burst", "--log-format", "json")
    records = [json.loads(line) for line in worker.err.splitlines()]
    failed = next(record for record in records if record["level"] == "ERROR")
    assert failed["logger"] == "aqueue.worker"
    assert 'raise ValueError("no stock")' in failed["exception"]


TALKING = """
import asyncio
import logging

from aqueue import Huey

huey = Huey("shop")
logger = logging.getLogger("shop")


@huey.task(queue="mail")
async def talk():
    logger.warning("from the loop")
    await asyncio.to_thread(logger.warning, "from a thread")


@huey.task
def talk_in_thread():
    logger.warning("from a plain function")
"""


@pytest.mark.parametrize("configured", [False, True], ids=["by aqueue", "by the application"])
def test_json_records_say_during_which_task_they_were_logged(shell: Shell, configured: bool) -> None:
    lines = """
from aqueue.worker.logs import JsonFormatter
logging.basicConfig()
logging.getLogger().handlers[0].setFormatter(JsonFormatter())
"""
    shell.write("app.py", TALKING + lines * configured)
    ids = {shell.enqueue(name) for name in ("talk", "talk_in_thread")}
    worker = shell.run("worker", "app", "--burst", "--log-format", "json")
    records = [json.loads(line) for line in worker.err.splitlines()]
    said = {record["message"]: record for record in records if record["logger"] == "shop"}
    assert said.keys() == {"from the loop", "from a thread", "from a plain function"}
    assert {record["task_id"] for record in said.values()} == ids
    record = said["from a thread"]
    assert (record["task"], record["queue"], record["attempt"]) == ("app.talk", "mail", 1)
    assert record["worker"] in records[0]["message"]
    assert "task_id" not in records[0]


def test_records_may_leave_the_task_out(shell: Shell) -> None:
    shell.write("app.py", TALKING)
    shell.enqueue("talk")
    worker = shell.run("worker", "app", "--burst", "--log-format", "json", "--no-log-task")
    assert "from the loop" in worker.err
    assert "task_id" not in worker.err


def test_the_log_level_is_of_our_records_alone(shell: Shell) -> None:
    with (shell.directory / "app.py").open("a") as app:
        app.write("import logging\nlogging.getLogger('mine').info('hidden')\n")
        app.write("@huey.on_startup()\ndef speak():\n")
        app.write("    logging.getLogger('mine').info('hidden')\n    logging.getLogger('mine').warning('shown')\n")
    for level in ("debug", "warning"):
        worker = shell.run("worker", "app", "--burst", "--log-level", level)
        assert "WARNING mine: shown" in worker.err
        assert "hidden" not in worker.err
        assert ("INFO aqueue.worker" in worker.err) == (level == "debug")


def test_logging_that_the_application_set_up_is_left_alone(shell: Shell) -> None:
    with (shell.directory / "app.py").open("a") as app:
        app.write("import logging\nlogging.basicConfig(format='MINE %(message)s')\n")
    worker = shell.run("worker", "app", "--burst")
    assert worker.err.startswith("MINE aqueue ")
    assert worker.err.count("on Python") == 1


# -- a store that is not there


def test_a_store_that_cannot_be_reached_is_one_line(shell: Shell) -> None:
    for command in (["worker", "app"], ["info", "app"], ["enqueue", "app", "add", "[1]"], ["demo"]):
        url = "redis://:secret@localhost:1/0"
        ran = shell.run(*command, *(["--url", url] if command == ["demo"] else []), AQUEUE_URL=url)
        assert (ran.code, ran.err.count("\n")) == (69, 1), ran.err
        assert "localhost:1/0" in ran.err
        assert "secret" not in ran.err


def test_a_url_that_is_none_is_told_what_is_accepted(shell: Shell) -> None:
    for url in ("localhost:6379", "http://localhost", "redis://host:99999", "redis://host/db"):
        ran = shell.run("info", "--url", url)
        assert (ran.code, ran.err.count("\n")) == (78, 1), ran.err
        assert ran.err.startswith(("aqueue: no storage goes by the URL", "aqueue: bad Redis URL"))


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_application_in_immediate_mode_has_no_worker(shell: Shell, processes: str) -> None:
    shell.write("now.py", "from aqueue import Huey\nhuey = Huey('shop', immediate=True)\n")
    ran = shell.run("worker", "now", "--processes", processes)
    assert ran.code == 78
    assert "aqueue: shop is in immediate mode and runs its tasks itself: a worker needs immediate=False\n" in ran.err
    assert "Traceback" not in ran.err


def test_a_worker_refuses_threads_that_gevent_has_replaced(shell: Shell) -> None:
    shell.write("green.py", "from gevent import monkey\nmonkey.patch_all()\nfrom app import huey\n")
    for processes in ("1", "2"):
        ran = shell.run("worker", "green", "--processes", processes)
        assert ran.code == 78
        assert ran.err.count("aqueue: gevent has replaced the threads of Python, and a worker needs them") == 1
        assert "Traceback" not in ran.err
    # Not so with what only enqueues.
    assert shell.run("enqueue", "green", "add", "[1]").code == 0


def test_a_worker_outlives_a_restart_of_its_server(shell: Shell, redis_server: Server) -> None:
    shell.env = {"AQUEUE_URL": redis_server.url}
    worker = shell.start_worker()
    redis_server.restart()
    assert shell.run("enqueue", "app", "add", "[1, 2]", "--wait", "20s").code == 0
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_worker_ends_after_max_tasks(shell: Shell) -> None:
    ids = [shell.enqueue("add", f"[{number}]") for number in range(3)]
    worker = shell.start_worker("--max-tasks", "2")
    assert worker.wait() == 0
    assert "Stopping, as asked to after 2 tasks" in worker.said
    assert [shell.state(task_id) for task_id in ids] == ["done", "done", "queued"]
