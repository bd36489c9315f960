"""Answer health checks over HTTP, from threads of their own: ``/live`` and ``/ready``."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import socketserver
import threading
import time
import weakref
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

from ...exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger("aqueue.worker")

_MOST_REQUESTS = 16
_LONGEST_REQUEST_SECONDS = 5.0

# Those of this process.
_servers: weakref.WeakSet[socketserver.BaseServer] = weakref.WeakSet()


def _leave_ports_in_forks() -> None:
    """A process that a task forks would keep the port of a worker that was killed."""
    for server in _servers:
        server.server_close()


os.register_at_fork(after_in_child=_leave_ports_in_forks)


@contextlib.contextmanager
def answer_health_checks(port: int, checks: Mapping[str, Callable[[], str]]) -> Iterator[None]:
    """Answer on `port` of every interface, until left: 200 where the check of the path finds nothing, else 503.

    `checks` has a function for each path. It is called in a thread, and returns what is wrong.

    Raises:
        ConfigurationError: the port cannot be used.
    """
    try:
        server = _Server(port, checks)
    except OSError as error:
        raise ConfigurationError(f"the port {port} for health checks cannot be used: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, name="aqueue-health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    """Answers few requests at a time, each within seconds: anybody may connect, and the worker needs its descriptors.

    `_requests` has the instants at which the requests under way began.
    """

    allow_reuse_address = True
    daemon_threads = True
    # The end of a worker does not wait for a client that reads slowly.
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, checks: Mapping[str, Callable[[], str]]) -> None:
        self.checks = checks
        self._requests: dict[socket.socket, float] = {}
        self.address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        super().__init__(("", port), _Handler)
        _servers.add(self)

    def verify_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> bool:
        return len(self._requests) < _MOST_REQUESTS

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if isinstance(request, socket.socket):
            self._requests[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self._requests.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End the requests that take too long; called twice a second."""
        too_early = time.monotonic() - _LONGEST_REQUEST_SECONDS
        for request, began in list(self._requests.items()):
            if began < too_early:
                # Its thread may have closed it meanwhile.
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        logger.debug("Health check: the client %s has gone", client_address)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    # Seconds without a byte from the client after which its thread ends.
    timeout: ClassVar[float] = _LONGEST_REQUEST_SECONDS

    def do_GET(self) -> None:
        check = self.server.checks.get(self.path.partition("?")[0])
        if check is None:
            self._answer(HTTPStatus.NOT_FOUND, f"there are {' and '.join(self.server.checks)}")
            return
        wrong = check()
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK, wrong or "ok")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server has
        logger.debug("Health check: %s", format % args)
