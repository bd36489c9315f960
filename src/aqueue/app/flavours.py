"""Applications on one kind of store, configured by parts instead of a URL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict, Unpack

from ..exceptions import ConfigurationError
from .huey import URL_VARIABLE, Huey

if TYPE_CHECKING:
    from datetime import timedelta

    from ..core.serializers import Serializer
    from ..storage.protocol import Storage


class HueyKeywords(TypedDict, total=False):
    """The options of every application, whatever its store; ``Huey`` describes them."""

    results: bool
    result_ttl: float | timedelta
    dead_letter_ttl: float | timedelta
    serializer: Serializer | None
    immediate: bool
    raise_exceptions: bool


def _quoted(part: str, safe: str = "") -> str:
    """`part` as it stands in a URL."""
    from urllib.parse import quote  # takes 2 ms to import, and few applications are named by parts

    return quote(part, safe)


class RedisHuey(Huey):
    """An application on a Redis or Valkey server, at `url` or at `host`, `port`, `db`, `password`."""

    def __init__(
        self,
        name: str = "huey",
        url: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        username: str | None = None,
        password: str | None = None,
        **options: Unpack[HueyKeywords],
    ) -> None:
        parts = (host, port, db, username, password)
        if url is not None and any(part is not None for part in parts):
            raise ConfigurationError("give url=, or host=, port=, db=, username= and password=, not both")
        if url is None and any(part is not None for part in parts):
            login = f"{_quoted(username or '')}:{_quoted(password)}@" if password else ""
            url = f"redis://{login}{host or 'localhost'}:{port or 6379}/{db or 0}"
        environment = os.environ.get(URL_VARIABLE, "").strip()
        super().__init__(name, url or environment or "redis://localhost:6379/0", **options)


class SqliteHuey(Huey):
    """An application on a file of this machine; several processes may share it."""

    def __init__(
        self, name: str = "huey", filename: str | os.PathLike[str] | None = None, **options: Unpack[HueyKeywords]
    ) -> None:
        path = f"{name}.db" if filename is None else _quoted(os.fspath(filename), "/")
        super().__init__(name, f"sqlite:///{path}", **options)


class MemoryHuey(Huey):
    """An application inside this process: for tests, and for work that may be lost when the process ends."""

    def __init__(self, name: str = "huey", **options: Unpack[HueyKeywords]) -> None:
        super().__init__(name, "memory://", **options)

    def _take_storage(self) -> Storage:
        # One store for every event loop, since it is the process that holds the tasks.
        if self._first_storage is None:
            self._first_storage = self._make_storage()
        return self._first_storage
