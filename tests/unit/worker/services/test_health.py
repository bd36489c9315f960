"""Health checks: few requests at a time, each within seconds, and the port goes with the worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import closing
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from aqueue.worker.services import health

from ....servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    with health.answer_health_checks(port, {"/live": lambda: ""}):
        yield port


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_LONGEST_REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(health, "_MOST_REQUESTS", 2)


def live(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=20) as reply:
        text: str = reply.read().decode()
    return text


@pytest.mark.usefixtures("brief")
def test_clients_that_say_nothing_are_few_and_soon_gone(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(5)]
    for client in silent:
        with closing(client):
            assert client.recv(1) == b""
    assert live(port) == "ok\n"


def test_a_client_that_resets_its_connection_leaves_no_trace_on_stderr(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert live(port) == "ok\n"
    assert capfd.readouterr().err == ""


def test_what_a_task_forks_does_not_keep_the_port() -> None:
    port = free_port()
    script = f"""
        import multiprocessing, os, time
        from aqueue.worker.services.health import answer_health_checks
        with answer_health_checks({port}, {{}}):
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,))
            child.start()
            print(child.pid, flush=True)
            os._exit(0)
    """
    with subprocess.Popen([sys.executable, "-c", dedent(script)], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        forked = int(killed.stdout.readline())
        try:
            assert killed.wait(20) == 0
            with health.answer_health_checks(port, {"/live": lambda: ""}):
                assert live(port) == "ok\n"
        finally:
            os.kill(forked, signal.SIGKILL)
