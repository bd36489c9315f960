"""From a URL to a file."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aqueue.exceptions import ConfigurationError
from aqueue.storage.sqlite import location
from aqueue.storage.sqlite.location import Location
from aqueue.storage.sqlite.store import SqliteStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///shop.db", Location(Path("shop.db").absolute(), "normal")),
        ("sqlite:///data/shop.db", Location(Path("data/shop.db").absolute(), "normal")),
        ("sqlite:////var/lib/shop.db", Location(Path("/var/lib/shop.db"), "normal")),
        ("sqlite:////a%20b/%3F%23%25.db", Location(Path("/a b/?#%.db"), "normal")),
        ("sqlite:////shop.db?synchronous=normal", Location(Path("/shop.db"), "normal")),
        ("sqlite:////shop.db?synchronous=FULL", Location(Path("/shop.db"), "full")),
    ],
)
def test_a_url_names_a_file(url: str, expected: Location) -> None:
    assert Location.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("sqlite://shop.db", "'sqlite://shop.db'"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///shop.db?timeout=5", "'timeout'"),
        ("sqlite:///shop.db?synchronous=off", "'off'"),
        ("sqlite:///shop.db?synchronous=", "''"),
        ("sqlite:///shop#1.db", "%23"),
        ("sqlite:///shop%00.db", "zero byte"),
        ("sqlite://[shop.db", "not a URL"),
    ],
)
def test_a_url_that_names_no_file_is_refused(url: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SqliteStorage(url, "test")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def _directory(path: Path) -> None:
    path.mkdir()


def _nothing_above(path: Path) -> None:
    path.parent.rmdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _prose(path: Path) -> None:
    path.write_text("This is no database. " * 100)


def _other_application(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customer (id)")
    connection.close()


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


async def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await SqliteStorage(f"sqlite:///{tmp_path}/{'x' * 300}.db", "test").open()


def test_a_relative_path_from_nowhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(ConfigurationError, match="gone"):
        Location.parse("sqlite:///shop.db")


@pytest.mark.parametrize(
    ("prepare", "named"),
    [
        (_directory, "is a directory"),
        (_nothing_above, "does not exist"),
        (_pipe, "not a regular file"),
        (_prose, "not a database"),
        (_other_application, "another application"),
    ],
)
async def test_a_file_that_cannot_be_a_queue_is_refused_and_left_alone(
    tmp_path: Path, prepare: Callable[[Path], None], named: str
) -> None:
    path = tmp_path / "folder" / "q.db"
    path.parent.mkdir()
    prepare(path)
    before = _contents(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        await SqliteStorage(f"sqlite:///{path}", "test").open()
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _contents(tmp_path) == before


def _empty(path: Path) -> None:
    path.touch()


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder of a user with no special rights, as whom the test goes on: root may write everywhere."""
    user, other = os.geteuid(), 65534
    # Not in pytest's folder, which only the user who runs pytest may enter.
    with tempfile.TemporaryDirectory() as folder:
        if user == 0:
            os.chown(folder, other, -1)
            os.setresuid(other, other, user)
        try:
            yield Path(folder)
        finally:
            if user == 0:
                os.setresuid(user, user, user)


@pytest.mark.parametrize("protected", ["folder", "file"])
async def test_missing_permissions_are_named(own_folder: Path, protected: str) -> None:
    path = own_folder / "store.db"
    _empty(path)
    (path if protected == "file" else own_folder).chmod(0o500)
    with pytest.raises(ConfigurationError, match="permissions"):
        await SqliteStorage(f"sqlite:///{path}", "test").open()


@pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="no list of file systems")
async def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = location._file_system(path)
    assert here
    monkeypatch.setattr(location, "_NETWORK_FILE_SYSTEMS", frozenset({here}))
    with pytest.raises(ConfigurationError, match="network file system"):
        await SqliteStorage(f"sqlite:///{path}", "test").open()
