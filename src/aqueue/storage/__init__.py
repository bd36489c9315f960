"""Stores: where tasks wait, are lent to workers and leave their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from .protocol import Storage

_SCHEMES = "redis://, rediss://, unix:// (a Redis or Valkey server), sqlite:// (a file), memory:// (this process)"


def open_storage(url: str, namespace: str) -> Storage:
    """The storage that `url` names, not connected yet. Only the backend that is asked for gets imported.

    Raises:
        ConfigurationError: no storage goes by this URL; the message says what is wrong with it.
    """
    scheme, separator, _ = url.partition("://")
    if scheme in {"redis", "rediss", "unix"}:
        from .redis.store import RedisStorage

        return RedisStorage(url, namespace)
    if scheme == "sqlite":
        from .sqlite.store import SqliteStorage

        return SqliteStorage(url, namespace)
    if scheme == "memory":
        from .memory.store import MemoryStorage

        return MemoryStorage(namespace)
    # Only its beginning is shown: a URL may carry a password.
    shown = scheme + separator if separator else url.partition("@")[0]
    raise ConfigurationError(f"no storage goes by the URL {shown!r}: accepted are {_SCHEMES}")
