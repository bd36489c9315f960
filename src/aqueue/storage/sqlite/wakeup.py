"""Waking the callers that wait, in this process and in others, without a server that could do it.

A caller waits for *topics*: ready tasks, the next due instant, what happens to the tasks of a client. Within a process
it sleeps on an ``asyncio.Event``. For the other processes it listens at a unix datagram socket, one a topic, in a
directory that belongs to the file. A process that commits something sends one byte to each socket of its topics. The
byte says "look" and nothing more: what happened is in the file, so that a byte too many or too few repeats nothing and
loses nothing.

What is shared, and what guards it:

* ``LocalWaiters._by_topic`` belongs to the event loop: only `waiting` and `wake`, which run there, touch it.
* ``LocalWaiters._loops`` is written in the event loop and read by the writer thread. Each access is one step of the
  interpreter, and `wake_all` iterates over a copy.
* ``PeerProcesses._listeners`` belongs to the event loop, and ``_sender`` to the writer thread. `close` touches both,
  after the thread has ended; `abandon` does in a forked child, where the thread does not exist.
* The directory is shared by all processes that use the file. There is no lock: the name of a socket has a token that no
  other process uses, and every step expects that another process was faster.

The races, and why none of them loses a wake-up call:

* Something is committed after a caller has looked and before it sleeps. Its event was registered, and cleared, before
  the look, so that the call sets it and the sleep ends at once.
* Something is committed elsewhere before the socket of a topic exists. `listen_for` says when it has just made one, and
  the caller looks once more before it sleeps.
* The last process to leave removes the directory while another one binds a socket in it. That one makes the directory
  again, and binds again.
* A process was killed and its socket is still there. The first byte that is not received removes it; the token sees to
  it that this is never the socket of a live process.
* A socket is full. Then its process has bytes to read, and looks anyway.
* A fork inherits the sockets. The child closes its copies and leaves the files, which are the parent's.

Where there are no such sockets, or a byte is lost in spite of all this, the writer thread sees once a second that the
file has changed, and wakes everyone in its process.
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
    """The topic on which `client` is notified about its tasks. The other topics are the constants of this module."""
    return f"client {client}"


class LocalWaiters:
    """The events that callers in this process sleep on."""

    def __init__(self) -> None:
        self._by_topic: dict[str, set[asyncio.Event]] = {}
        self._loops: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def anyone_waits(self) -> bool:
        """Whether there is any event; asked in the writer thread."""
        return bool(self._loops)

    @contextlib.contextmanager
    def waiting(self, *topics: str) -> Iterator[asyncio.Event]:
        """An event that is set by each call for one of `topics` while the block runs."""
        called = asyncio.Event()
        self._loops[called] = asyncio.get_running_loop()
        for topic in topics:
            self._by_topic.setdefault(topic, set()).add(called)
        try:
            yield called
        finally:
            for topic in topics:
                self._by_topic[topic].discard(called)
                if not self._by_topic[topic]:
                    del self._by_topic[topic]
            del self._loops[called]

    def wake(self, topics: Collection[str]) -> None:
        """Wake the callers that wait for one of `topics`; called in their event loop."""
        for topic in topics:
            for called in self._by_topic.get(topic, ()):
                called.set()

    def wake_all(self) -> None:
        """Wake every caller; called in any thread."""
        for called, loop in self._loops.copy().items():
            # Nobody waits in a loop that was closed.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(called.set)


class _Listener(NamedTuple):
    """A socket that hears of one topic, and the event loop that reads it."""

    socket: socket.socket
    path: Path
    loop: asyncio.AbstractEventLoop


class PeerProcesses:
    """The other processes that use the same namespace of the same file."""

    def __init__(self, database: Path, namespace: str, wake: Callable[[Collection[str]], None]) -> None:
        """`wake` is called, in the event loop, with a topic that another process announced."""
        self._directory = _socket_directory(database)
        self._namespace = namespace
        self._wake = wake
        self._token = new_token()
        self._listeners: dict[str, _Listener] = {}
        self._sender: socket.socket | None = None

    @property
    def can_be_heard(self) -> bool:
        """Whether this system has the sockets that it takes."""
        return self._directory is not None

    def listen_for(self, topic: str) -> bool:
        """Hear announcements of `topic` until `close`; True when it was not heard before: earlier ones were missed."""
        loop = asyncio.get_running_loop()
        listener = self._listeners.get(topic)
        if self._directory is None or (listener is not None and listener.loop is loop):
            return False
        if listener is not None:
            self._stop_listening(topic)
        # A file system may refuse sockets; then looking at the file once a second has to do.
        with contextlib.suppress(OSError):
            self._listeners[topic] = self._listen(self._directory, topic, loop)
            return True
        return False

    def announce(self, topics: Collection[str]) -> None:
        """Wake the other processes that wait for one of `topics`; called in the writer thread, after a commit."""
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
        for topic in list(self._listeners):
            self._stop_listening(topic)
        self._close_sender()
        if self._directory is not None:
            # While another process is in it, it stays.
            with contextlib.suppress(OSError):
                self._directory.path.rmdir()

    def abandon(self) -> None:
        """Give up what was inherited in a fork, where the parent process goes on using it."""
        for listener in self._listeners.values():
            listener.socket.close()
        self._listeners.clear()
        self._close_sender()

    def _address(self, topic: str) -> str:
        return _digest(f"{self._namespace}/{topic}")

    def _listen(self, directory: _Directory, topic: str, loop: asyncio.AbstractEventLoop) -> _Listener:
        path = directory.path / f"{self._address(topic)}.{self._token}.sock"
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            receiver.setblocking(False)
            directory.make()
            try:
                receiver.bind(os.fspath(path))
            except FileNotFoundError:
                # The last process to leave has removed the directory in between.
                directory.make()
                receiver.bind(os.fspath(path))
            loop.add_reader(receiver, self._receive, receiver, topic)
        except BaseException:
            receiver.close()
            raise
        return _Listener(receiver, path, loop)

    def _receive(self, receiver: socket.socket, topic: str) -> None:
        with contextlib.suppress(OSError):
            while receiver.recv(1):
                pass
        self._wake((topic,))

    def _stop_listening(self, topic: str) -> None:
        listener = self._listeners.pop(topic)
        if not listener.loop.is_closed():
            listener.loop.remove_reader(listener.socket)
        listener.socket.close()
        listener.path.unlink(missing_ok=True)

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
            # Its process was killed.
            with contextlib.suppress(OSError):
                path.unlink()
        except OSError:
            # The socket is full: its process looks anyway.
            pass


class _Directory(NamedTuple):
    path: Path
    mode: int

    def make(self) -> None:
        self.path.mkdir(mode=self.mode, exist_ok=True)
        # In a directory that everyone may write to, another user may have taken the name.
        if self.mode == 0o700 and self.path.lstat().st_uid != os.geteuid():
            raise PermissionError(f"{self.path} belongs to another user")


def _socket_directory(database: Path) -> _Directory | None:
    """Where the processes that use `database` keep their sockets; None where there are no unix sockets."""
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
