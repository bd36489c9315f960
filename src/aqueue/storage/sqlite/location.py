"""From a URL to a file that can serve as a queue."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from ...exceptions import ConfigurationError

_ACCEPTED = "sqlite:///relative.db or sqlite:////absolute.db, both with ?synchronous=normal (the default) or full"
_SYNCHRONOUS = ("normal", "full")
# The write-ahead log is shared memory between processes, which these do not share between machines.
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs"})


class Location(NamedTuple):
    """Where the file is, and whether a commit waits for the disk (`synchronous` is "full") or not ("normal")."""

    path: Path
    synchronous: str

    @classmethod
    def parse(cls, url: str) -> Location:
        """What `url` names; a relative path begins at the present working directory.

        Raises:
            ConfigurationError: it names no file.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise ConfigurationError(f"{url!r} is not a URL ({error}): accepted is {_ACCEPTED}") from None
        name = unquote(parts.path.removeprefix("/"))
        if parts.netloc:
            raise ConfigurationError(f"{url!r} has two slashes before the path, where it takes three: {_ACCEPTED}")
        if parts.fragment:
            raise ConfigurationError(
                f"{url!r}: write a # in a file name as %23 and a ? as %3F; accepted is {_ACCEPTED}"
            )
        if name in {"", ":memory:"}:
            raise ConfigurationError(f"{url!r} names no file: accepted is {_ACCEPTED}; for tasks in memory, memory://")
        if "\0" in name:
            raise ConfigurationError(f"{url!r}: a file name has no zero byte")
        synchronous = _synchronous(url, parts.query)
        try:
            return cls(Path(name).absolute(), synchronous)
        except OSError:
            raise ConfigurationError(f"{url!r} begins at the working directory, which is gone: {_ACCEPTED}") from None

    def check(self) -> None:
        """Say what is wrong with the place, in one line, before SQLite says "unable to open database file".

        Raises:
            ConfigurationError: no queue can be kept there.
        """
        try:
            self._check()
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be used: {error.strerror}") from error

    def _check(self) -> None:
        folder = self.path.parent
        if self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a directory: name a file in it")
        if self.path.exists() and not self.path.is_file():
            raise ConfigurationError(f"{self.path} is not a regular file: name one, or one that does not exist yet")
        if not folder.is_dir():
            raise ConfigurationError(f"the directory {folder} does not exist: create it, or name a file elsewhere")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"the directory {folder} cannot be written to, and SQLite keeps its log there: "
                "change its permissions, or name a file elsewhere"
            )
        if self.path.exists() and not os.access(self.path, os.R_OK | os.W_OK):
            raise ConfigurationError(f"{self.path} cannot be read and written: change its permissions, or name another")
        file_system = _file_system(self.path)
        if file_system in _NETWORK_FILE_SYSTEMS:
            raise ConfigurationError(
                f"{self.path} is on a network file system ({file_system}), where SQLite cannot share a file between "
                "processes: name a file on a local disk, or use a Redis server"
            )


def _synchronous(url: str, query: str) -> str:
    options = parse_qs(query, keep_blank_values=True)
    values = options.pop("synchronous", ["normal"])
    if options:
        raise ConfigurationError(f"unknown option {min(options)!r} in {url!r}: accepted is {_ACCEPTED}")
    value = values[-1].lower()
    if value not in _SYNCHRONOUS:
        raise ConfigurationError(f"synchronous={values[-1]!r} in {url!r}: accepted is {_ACCEPTED}")
    return value


def _file_system(path: Path) -> str:
    """The type of the file system that `path` is on; empty where the machine does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    folder = path.resolve().parent
    kinds: dict[Path, str] = {}
    for mount in mounts:
        _, point, kind, *_ = mount.split(" ")
        kinds[Path(point.replace(r"\040", " "))] = kind
    return next((kinds[parent] for parent in (folder, *folder.parents) if parent in kinds), "")
