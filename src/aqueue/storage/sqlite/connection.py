"""One connection to the file, for one thread of one process.

A transaction is either written as a whole or not at all, takes the write lock before it reads, and hands out what the
steps in it need: the present instant, new numbers, and a place to note whom to wake once it is committed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, TypeVar

from ...core.patience import LOCK_ATTEMPTS, LOCK_WAIT_MS, SETUP_SECONDS
from ...exceptions import ConfigurationError, HueyException, QueueFull, QueueUnavailable
from . import layout
from .queries import QUERIES, of_rows
from .wakeup import DUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...core.clock import Clock
    from .location import Location

_Row = TypeVar("_Row", bound=tuple[object, ...])

_OLDEST_SQLITE = (3, 37, 0)
# A log that has no room to grow cannot be folded into the file either, so new tasks are refused while there is room for
# both: what is queued can then still be finished, and that makes room.
_ROOM_BYTES = 16 * 2**20
# A statement takes some thousand values at most.
_MOST_ROWS = 128
_PRAGMAS = "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;"
_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_WRONG_FILE = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)

_serials = itertools.count(1)


class Transaction:
    """What a step works with, between BEGIN and COMMIT.

    `connection` tells the connection from every other of this process. `news` collects the topics whose waiters are
    woken once it is committed.
    """

    def __init__(self, link: Link, now_ms: int) -> None:
        self.execute = link.execute
        self.connection = link.serial
        self.namespace = link.namespace
        self.now_ms = now_ms
        self._path = link.path
        self.news: set[str] = set()
        self._has_watchers: bool | None = None
        self._has_revocations: bool | None = None
        self._number: int | None = None
        self._numbered = False
        self._scheduled: list[int] = []

    def execute_rows(self, name: str, rows: Sequence[tuple[object, ...]]) -> int:
        """Run the statement `name` over `rows`; the number of them that changed something.

        One statement for many rows is twice as fast as one for each, and lets go of the interpreter's lock once.
        """
        changed = 0
        for part in _powers_of_two(rows):
            statement = of_rows(name, len(part), len(part[0]))
            changed += self.execute(statement, tuple(itertools.chain.from_iterable(part))).rowcount
        return changed

    @property
    def has_watchers(self) -> bool:
        """Whether a client watches a task that another one enqueued: mostly not, which saves a look per task."""
        if self._has_watchers is None:
            [(found,)] = self.execute(QUERIES["has_watchers"], (self.namespace,))
            self._has_watchers = bool(found)
        return self._has_watchers

    @property
    def has_revocations(self) -> bool:
        """Whether anything is revoked or was asked to stop: mostly not, which saves looks. Asked once a transaction."""
        if self._has_revocations is None:
            [(found,)] = self.execute(QUERIES["has_revocations"], {"namespace": self.namespace})
            self._has_revocations = bool(found)
        return self._has_revocations

    def note_revocation(self) -> None:
        """Something was revoked or asked to stop in this very transaction."""
        self._has_revocations = True

    def last_number(self) -> int:
        """The highest number that was given out so far."""
        if self._number is None:
            [(self._number,)] = self.execute(QUERIES["next_number"])
        return self._number

    def next_number(self) -> int:
        """A number that is higher than all before it."""
        self._number = self.last_number() + 1
        self._numbered = True
        return self._number

    def note_scheduled(self, at_ms: int) -> None:
        """A task was scheduled: if it is due before all others, the promoters must know."""
        self._scheduled.append(at_ms)

    def next_due_ms(self) -> int | None:
        """When the next scheduled task is due."""
        at_ms: int | None
        [(at_ms,)] = self.execute(QUERIES["next_due"], (self.namespace,))
        return at_ms

    def check_room(self) -> None:
        """Raise ``QueueFull`` when there is no room for new tasks."""
        room = shutil.disk_usage(self._path.parent).free
        if room < _ROOM_BYTES:
            # What was finished and forgotten left room inside the file, which does not shrink.
            [(pages, size)] = self.execute(
                "SELECT freelist_count, page_size FROM pragma_freelist_count, pragma_page_size"
            )
            room += pages * size
        if room < _ROOM_BYTES:
            raise QueueFull(
                f"there are {room / 2**20:.1f} MiB left for {self._path}, and new tasks are taken while there are "
                f"{_ROOM_BYTES // 2**20} MiB"
            )

    def finish(self) -> None:
        """What remains to be done before COMMIT."""
        if self._numbered:
            self.execute(QUERIES["save_number"], (self._number,))
        if self._scheduled and min(self._scheduled) == self.next_due_ms():
            self.news.add(DUE)


def _powers_of_two(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    """`rows` in parts of few different lengths, so that few different statements are to be prepared."""
    start = 0
    while left := len(rows) - start:
        length = min(_MOST_ROWS, 1 << (left.bit_length() - 1))
        yield rows[start : start + length]
        start += length


class Link:
    """A connection, set up and checked.

    Raises:
        ConfigurationError: the file cannot serve as a queue.
        QueueUnavailable: it cannot be reached. Without `create` it has been a queue before and may be one again, so
            this is also what is raised when it is gone or became something else.
    """

    def __init__(self, location: Location, namespace: str, *, create: bool) -> None:
        self.path = location.path
        self.serial = next(_serials)
        self._version = 0
        try:
            location.check()
            if create:
                self._create()
            self._identity = self._present_identity()
            self._connection = sqlite3.connect(
                self.path, timeout=SETUP_SECONDS, isolation_level=None, check_same_thread=False
            )
            self.execute = self._connection.execute
            self.namespace = self._set_up_or_close(location, namespace)
        except ConfigurationError as error:
            if create:
                raise
            raise QueueUnavailable(str(error)) from error
        except (OSError, sqlite3.Error) as error:
            raise QueueUnavailable(f"{self.path} cannot be opened: {error}") from error

    def _create(self) -> None:
        """Make an empty file, if there is none, that the group may use if the umask allows it, and no other user."""
        # Never one that exists: to close any descriptor of it would drop the locks of this process's connections.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o660))

    def close(self) -> None:
        # Whatever the last checkpoint has to complain about, the log still holds every commit.
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self, clock: Clock, *, writes: bool = True) -> Iterator[Transaction]:
        """A transaction that is committed when the block ends, and undone when it raises.

        Raises:
            QueueFull: there is no room.
            QueueUnavailable: the file stayed locked for some seconds, is gone or cannot be used.
        """
        self._check_identity()
        try:
            try:
                self._begin(writes)
                transaction = Transaction(self, clock.now_ms())
                yield transaction
                transaction.finish()
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def has_changed(self) -> bool:
        """Whether another connection has committed since this was last asked; True also when there is no telling."""
        try:
            self._check_identity()
            version = self._data_version()
        except (sqlite3.Error, QueueUnavailable):
            return True
        changed = version != self._version
        self._version = version
        return changed

    def _begin(self, writes: bool) -> None:
        for attempt in range(1, LOCK_ATTEMPTS + 1):
            try:
                if writes:
                    self.execute("BEGIN IMMEDIATE")
                else:
                    self.execute("BEGIN")
                    # Reading is what opens the snapshot, and may find the log locked for its recovery.
                    self.execute(QUERIES["next_number"]).fetchall()
            except sqlite3.OperationalError as error:
                if _code(error) & 0xFF not in _LOCKED or attempt == LOCK_ATTEMPTS:
                    raise
                if self._connection.in_transaction:
                    self.execute("ROLLBACK")
            else:
                return

    def _data_version(self) -> int:
        [(version,)] = self.execute("PRAGMA data_version")
        return int(version)

    def _present_identity(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_dev, status.st_ino

    def _check_identity(self) -> None:
        """SQLite goes on writing to a file that was removed or replaced, where no process will ever look."""
        try:
            identity = self._present_identity()
        except OSError as error:
            raise QueueUnavailable(f"{self.path} is gone: {error.strerror}") from error
        if identity != self._identity:
            raise QueueUnavailable(f"{self.path} was replaced by another file")

    def _set_up_or_close(self, location: Location, namespace: str) -> int:
        try:
            return self._set_up(location, namespace)
        except sqlite3.Error as error:
            self._connection.close()
            if _code(error) & 0xFF in _WRONG_FILE:
                raise ConfigurationError(f"{self.path} cannot serve as a queue: {error}") from error
            raise
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self, location: Location, namespace: str) -> int:
        """Make the file a queue unless it is one; the number of `namespace` in it."""
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer is needed")
        is_complete = layout.check(self._connection, self.path)
        [(mode,)] = self.execute("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise ConfigurationError(f"SQLite cannot keep a write-ahead log for {self.path}: name a file elsewhere")
        self._connection.executescript(f"PRAGMA synchronous = {location.synchronous}; {_PRAGMAS}")
        if not is_complete:
            layout.lay_out(self._connection)
            # A newer version may have been faster, at a file that was empty until then.
            layout.check(self._connection, self.path)
        number = self._namespace_number(namespace)
        self._version = self._data_version()
        self.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS}")
        return number

    def _namespace_number(self, namespace: str) -> int:
        find = "SELECT id FROM namespace WHERE name = ?"
        row = self.execute(find, (namespace,)).fetchone()
        if row is None:
            self.execute("INSERT INTO namespace (name) VALUES (?) ON CONFLICT DO NOTHING", (namespace,))
            row = self.execute(find, (namespace,)).fetchone()
        return int(row[0])

    def _explained(self, error: sqlite3.Error) -> HueyException:
        # SQLite calls a disk full, and a quota or a limit that is used up a failed write.
        if _code(error) in _NO_ROOM:
            return QueueFull(f"{self.path} cannot grow: {error}")
        return QueueUnavailable(f"{self.path}: {error}")


def _code(error: sqlite3.Error) -> int:
    """SQLite's extended result code; errors of the module around it have none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
