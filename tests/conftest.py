from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .servers import SERVERS, Server, start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.register_assert_rewrite("aqueue.testing.conformance")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Callable[[str], Server]]:
    """The server of a kind that all tests of this session use, started when first asked for."""
    servers: dict[str, Server] = {}

    def of(kind: str) -> Server:
        if kind not in servers:
            servers[kind] = start_server(kind)
        return servers[kind]

    yield of
    for server in servers.values():
        server.remove()


@pytest.fixture(scope="session")
def redis_url(shared_server: Callable[[str], Server]) -> str:
    """A server that all tests share: use a namespace that nobody else has."""
    return shared_server(SERVERS[0]).url


@pytest.fixture
def redis_server() -> Iterator[Server]:
    """A server of this test's own, to kill, to restart and to fill."""
    server = start_server()
    yield server
    server.remove()
