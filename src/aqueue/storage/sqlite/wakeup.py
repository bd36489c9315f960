"""Waking those who wait, in this process and in others, without a server that could do it.

In one process an ``asyncio.Event`` does it. Between processes, who waits for a topic has a unix datagram socket in a
directory that belongs to the file, and who commits something that the topic is about sends a byte to each of these. The
byte says "look" and nothing more: what happened is in the file, so a byte that finds the socket full, or that comes
twice, loses and repeats nothing. Where there are no such sockets, the writer thread still sees once a second that the
file has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from functools import lru_cache
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...core.ids import new_token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

READY = "ready"
DUE = "due"
FREED = "freed"
CANCEL = "cancel"
SCHEDULE = "schedule"

# Some systems have room for 104 bytes.
_LONGEST_ADDRESS = 100
_LONGEST_NAME = len("/01234567.01234567.sock")


def client_topic(client: str) -> str:
    """What those wait for who are to be told of the tasks of `client`.

    Other topics are `READY`, `DUE`, `FREED`, `CANCEL` and `SCHEDULE`.
    """
    return f"client {client}"


class LocalWaiters:
    """What the waiting of one process sleep on."""

    def __init__(self) -> None:
        self._by_topic: dict[str, set[asyncio.Event]] = {}
        self._loops: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def anyone_waits(self) -> bool:
        return bool(self._loops)

    @contextlib.contextmanager
    def waiting(self, *topics: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of `topics` is rung while the block runs."""
        bell = asyncio.Event()
        self._loops[bell] = asyncio.get_running_loop()
        for topic in topics:
            self._by_topic.setdefault(topic, set()).add(bell)
        try:
            yield bell
        finally:
            for topic in topics:
                self._by_topic[topic].discard(bell)
                if not self._by_topic[topic]:
                    del self._by_topic[topic]
            del self._loops[bell]

    def ring(self, topics: Collection[str]) -> None:
        """Wake those who wait for one of `topics`; called in their event loop."""
        for topic in topics:
            for bell in self._by_topic.get(topic, ()):
                bell.set()

    def ring_all(self) -> None:
        """Wake everyone; called in any thread."""
        for bell, loop in self._loops.copy().items():
            # A loop that was closed has nobody left to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(bell.set)


class _Listener(NamedTuple):
    """A socket, and the event loop that listens to it."""

    socket: socket.socket
    path: Path
    loop: asyncio.AbstractEventLoop


class PeerProcesses:
    """The other processes that use the same file, as far as one namespace goes."""

    def __init__(self, database: Path, namespace: str, hear: Callable[[Collection[str]], None]) -> None:
        """`hear` is called, in the event loop, with a topic that a neighbour announced."""
        self._directory = _socket_directory(database)
        self._namespace = namespace
        self._hear = hear
        self._token = new_token()
        self._doors: dict[str, _Listener] = {}
        self._sender: socket.socket | None = None

    @property
    def can_be_heard(self) -> bool:
        """Whether this system has the sockets that it takes."""
        return self._directory is not None

    def listen_for(self, topic: str) -> bool:
        """Hear announcements of `topic` until `close`; True when they were not heard before."""
        loop = asyncio.get_running_loop()
        door = self._doors.get(topic)
        if self._directory is None or (door is not None and door.loop is loop):
            return False
        if door is not None:
            self._close_door(topic)
        # A file system may refuse sockets; then the slow look at the file has to do.
        with contextlib.suppress(OSError):
            self._doors[topic] = self._open_door(self._directory, topic, loop)
            return True
        return False

    def announce(self, topics: Collection[str]) -> None:
        """Wake the neighbours who wait for one of `topics`; called in the writer thread."""
        if self._directory is None or not topics:
            return
        addresses = {self._address(topic) for topic in topics}
        try:
            names = os.listdir(self._directory.path)  # noqa: PTH208 - it runs after every commit
        except OSError:
            return
        for name in names:
            address, _, token = name.partition(".")
            if address in addresses and not token.startswith(self._token):
                self._send(self._directory.path / name)

    def close(self) -> None:
        """Leave; called when the writer thread has ended."""
        for topic in list(self._doors):
            self._close_door(topic)
        self._close_sender()
        if self._directory is not None:
            # While others are in it, it stays.
            with contextlib.suppress(OSError):
                self._directory.path.rmdir()

    def abandon(self) -> None:
        """Give up what was inherited in a fork, where the parent process goes on using it."""
        for door in self._doors.values():
            door.socket.close()
        self._doors.clear()
        self._close_sender()

    def _address(self, topic: str) -> str:
        return _digest(f"{self._namespace}/{topic}")

    def _open_door(self, directory: _Directory, topic: str, loop: asyncio.AbstractEventLoop) -> _Listener:
        path = directory.path / f"{self._address(topic)}.{self._token}.sock"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            listener.setblocking(False)
            directory.make()
            try:
                listener.bind(os.fspath(path))
            except FileNotFoundError:
                # The last one to leave has removed the directory in between.
                directory.make()
                listener.bind(os.fspath(path))
            loop.add_reader(listener, self._answer, listener, topic)
        except BaseException:
            listener.close()
            raise
        return _Listener(listener, path, loop)

    def _answer(self, listener: socket.socket, topic: str) -> None:
        with contextlib.suppress(OSError):
            while listener.recv(1):
                pass
        self._hear((topic,))

    def _close_door(self, topic: str) -> None:
        door = self._doors.pop(topic)
        if not door.loop.is_closed():
            door.loop.remove_reader(door.socket)
        door.socket.close()
        door.path.unlink(missing_ok=True)

    def _close_sender(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _send(self, path: Path) -> None:
        try:
            if self._sender is None:
                self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._sender.setblocking(False)
            self._sender.sendto(b"!", os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            # Its process is gone and could not clean up.
            with contextlib.suppress(OSError):
                path.unlink()
        except OSError:
            # Its socket is full: then it has reason enough to look.
            pass


class _Directory(NamedTuple):
    path: Path
    mode: int

    def make(self) -> None:
        self.path.mkdir(mode=self.mode, exist_ok=True)
        # In a directory that is open to everyone, somebody else may have taken the name.
        if self.mode == 0o700 and self.path.lstat().st_uid != os.geteuid():
            raise PermissionError(f"{self.path} belongs to another user")


def _socket_directory(database: Path) -> _Directory | None:
    """Where all who use `database` meet; None where there are no unix sockets."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    database = database.resolve()
    beside = database.with_name(f"{database.name}.d")
    if len(os.fsencode(beside)) + _LONGEST_NAME <= _LONGEST_ADDRESS:
        return _Directory(beside, 0o770)
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    elsewhere = Path(base, f"aqueue-{os.geteuid()}-{_digest(os.fspath(database))}")
    fits = len(os.fsencode(elsewhere)) + _LONGEST_NAME <= _LONGEST_ADDRESS
    return _Directory(elsewhere, 0o700) if fits else None


@lru_cache(maxsize=1024)
def _digest(text: str) -> str:
    return blake2s(text.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
