"""From a URL to the arguments of a redis-py connection, with nothing left to that library's defaults.

Its defaults would resend a command whose reply was lost (one XADD, several entries), end a blocking read early and give
up on RESP2; all of that is decided here instead.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis.asyncio.connection as async_connection
import redis.asyncio.retry as async_retry
import redis.backoff
import redis.connection as sync_connection
import redis.retry

from ....core.patience import CONNECT_SECONDS, KEEPALIVE_PROBES, KEEPALIVE_SECONDS, UNACKNOWLEDGED_SECONDS
from ....exceptions import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection as AsyncConnection
    from redis.connection import AbstractConnection as SyncConnection

_ACCEPTED = "redis://[user:password@]host[:port][/db], rediss://... with TLS, or unix://[user:password@]/path[?db=0]"
_QUERY = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}


class Address:
    """Where a server is and how to log in. ``str()`` of it shows no password."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(
                f"bad Redis URL: {error}; accepted is {_ACCEPTED}, and @ : / % # in a password must be percent-encoded"
            ) from None
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        unknown = sorted(set(query) - _QUERY)
        if unknown:
            raise ConfigurationError(f"unknown option {unknown[0]!r} in the Redis URL; accepted are {sorted(_QUERY)}")
        arguments: dict[str, Any] = {"db": self._database(parts.scheme, parts.path, query.pop("db", None))}
        if parts.username:
            arguments["username"] = unquote(parts.username)
        if parts.password:
            arguments["password"] = unquote(parts.password)
        self.shown = f"{parts.scheme}://"
        if parts.scheme == "unix":
            arguments["path"] = unquote(parts.path)
            self.shown += arguments["path"]
        else:
            arguments["host"] = parts.hostname or "localhost"
            arguments["port"] = 6379 if port is None else port
            self.shown += f"{arguments['host']}:{arguments['port']}/{arguments['db']}"
        if parts.scheme == "rediss":
            arguments.update(query)
            if "ssl_check_hostname" in query:
                arguments["ssl_check_hostname"] = query["ssl_check_hostname"].lower() not in {"0", "false", "no"}
        elif query:
            raise ConfigurationError(f"option {min(query)!r} in the Redis URL needs the scheme rediss://")
        self._scheme = parts.scheme
        self._arguments = arguments

    def __str__(self) -> str:
        return self.shown

    @staticmethod
    def _database(scheme: str, path: str, option: str | None) -> int:
        text = option if option is not None else (path.strip("/") if scheme != "unix" else "")
        if text and not text.isdecimal():
            raise ConfigurationError(f"bad Redis URL: the database must be a number from 0, not {text!r}")
        return int(text or 0)

    def async_connection(self, name: str) -> AsyncConnection:
        """A connection for an event loop, not connected yet; `name` is what CLIENT LIST shows."""
        kind: type[AsyncConnection] = {
            "redis": async_connection.Connection,
            "rediss": async_connection.SSLConnection,
            "unix": async_connection.UnixDomainSocketConnection,
        }[self._scheme]
        return kind(
            **self._common(name),
            socket_timeout=None,
            retry=async_retry.Retry(redis.backoff.NoBackoff(), 0),
        )

    def sync_connection(self, name: str, timeout: float) -> SyncConnection:
        """A connection for a thread; every read and write takes at most `timeout` seconds."""
        kind: type[SyncConnection] = {
            "redis": sync_connection.Connection,
            "rediss": sync_connection.SSLConnection,
            "unix": sync_connection.UnixDomainSocketConnection,
        }[self._scheme]
        return kind(
            **self._common(name),
            socket_timeout=timeout,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        )

    def _common(self, name: str) -> dict[str, Any]:
        common = {
            **self._arguments,
            "client_name": name,
            "protocol": 2,
            "retry_on_timeout": False,
            "health_check_interval": 0,
        }
        if self._scheme != "unix":
            common |= {
                "socket_connect_timeout": CONNECT_SECONDS,
                "socket_keepalive": True,
                "socket_keepalive_options": _keepalive_options(),
            }
        return common


def _keepalive_options() -> dict[int, int]:
    """What the kernel does about a peer that is silent, as far as this system has an option for it."""
    wanted = {
        **KEEPALIVE_SECONDS,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": UNACKNOWLEDGED_SECONDS * 1000,
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
