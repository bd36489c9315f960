"""Stores: where tasks wait, are lent to workers and leave their results."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from .protocol import Storage

_SCHEMES = "redis://, rediss://, unix:// (a Redis or Valkey server), sqlite:// (a file), memory:// (this process)"


def open_storage(url: str, namespace: str, lease_ms: int) -> Storage:
    """The storage that `url` names, not connected yet. Only the backend that is asked for gets imported.

    Raises:
        ConfigurationError: no storage goes by this URL; the message says what is wrong with it.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in {"redis", "rediss", "unix"}:
        from .redis.store import RedisStorage

        return RedisStorage(url, namespace, lease_ms)
    if scheme == "sqlite":
        from .sqlite.store import SqliteStorage

        return SqliteStorage(url, namespace, lease_ms)
    if scheme == "memory":
        from .memory import MemoryStorage

        return MemoryStorage(namespace, lease_ms)
    raise ConfigurationError(f"no storage goes by the URL {url!r}: accepted are {_SCHEMES}")
