"""As much of an ORM as the texts use: a database whose connections belong to threads, and one model.

It has the manners of peewee, from which the examples are taken: ``with database`` is a connection and a transaction,
and a statement outside of one opens a connection by itself, unless that was switched off.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any, ClassVar, Self


class Database(threading.local):
    """Each thread sees its own connection to `path`; `connections` are all that were ever opened."""

    def __init__(self, path: str, connections: list[sqlite3.Connection], autoconnect: bool = True) -> None:
        self._path = path
        self._connections = connections
        self._autoconnect = autoconnect
        self._connection: sqlite3.Connection | None = None

    def is_closed(self) -> bool:
        return self._connection is None

    def connect(self) -> None:
        if self._connection is not None:
            raise sqlite3.OperationalError("Connection already opened.")
        # Threads of the test close what threads of a worker left open.
        self._connection = sqlite3.connect(self._path, check_same_thread=False, timeout=30)
        self._connection.create_function("pg_sleep", 1, lambda seconds: None)
        self._connections.append(self._connection)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        if self.is_closed():
            self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._connection is not None and kind is None:
            self._connection.commit()
        self.close()

    def execute_sql(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        if self._connection is None:
            if not self._autoconnect:
                raise sqlite3.InterfaceError("Error, database connection not opened.")
            self.connect()
        assert self._connection is not None
        return self._connection.execute(statement.replace("%s", "?"), parameters).fetchall()


class _Id:
    """``Comment.id == 5`` is the condition that finds it."""

    def __eq__(self, other: object) -> Any:
        return other

    __hash__ = object.__hash__


class Comment:
    """A row of the table ``comment``."""

    id: Any = _Id()
    database: ClassVar[Database]

    def __init__(self, comment_id: int, body: str, is_spam: int) -> None:
        self.id = comment_id
        self.body = body
        self.is_spam = bool(is_spam)

    @classmethod
    def create_table(cls, database: Database, *bodies: str) -> None:
        cls.database = database
        with database:
            database.execute_sql("create table comment (id integer primary key, body text, is_spam integer)")
            for body in bodies:
                database.execute_sql("insert into comment (body, is_spam) values (%s, 0)", (body,))

    @classmethod
    def get(cls, comment_id: Any) -> Comment:
        [row] = cls.database.execute_sql("select id, body, is_spam from comment where id = %s", (comment_id,))
        return cls(*row)

    def save(self) -> None:
        self.database.execute_sql("update comment set is_spam = %s where id = %s", (self.is_spam, self.id))
