"""The servers that tests start are real, private and obedient."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from ..servers import SERVERS, start_server

if TYPE_CHECKING:
    from ..servers import Server


def _ask(server: Server, command: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.makefile().readline().strip()


def test_a_killed_server_is_gone_and_forgets(redis_server: Server) -> None:
    assert _ask(redis_server, "SET key value") == "+OK"
    redis_server.kill()
    with pytest.raises(ConnectionRefusedError):
        _ask(redis_server, "PING")
    redis_server.restart()
    assert _ask(redis_server, "EXISTS key") == ":0"


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_with_persistence_remembers(kind: str) -> None:
    server = start_server(kind, "--appendonly", "yes")
    try:
        assert _ask(server, "SET key value") == "+OK"
        pid = server.pid
        server.restart()
        assert server.pid != pid
        assert _ask(server, "EXISTS key") == ":1"
    finally:
        server.remove()


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="no-such-option"):
        start_server(SERVERS[0], "--no-such-option", "1")


def test_a_missing_server_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no such-server here"):
        start_server("such-server")
