"""The statements: all of them work, and none of those on the way of a task reads more than it must."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aqueue.storage.sqlite import queries
from aqueue.storage.sqlite.queries import QUERIES, SCHEMA, of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator


# Columns of the statements that take rows.
COLUMNS = {"enter": 10, "end": 9, "add_nodes": 7, "add_edges": 4}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        yield connection


def _plan(database: sqlite3.Connection, name: str) -> str:
    statement = of_rows(name, 3, COLUMNS[name]) if name in COLUMNS else QUERIES[name]
    # Any value does: by name where the statement names its parameters, else one for each of them.
    arguments = [None] * statement.count("?") or defaultdict(lambda: None)
    rows = database.execute(f"EXPLAIN QUERY PLAN {statement}", arguments).fetchall()
    return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize("name", QUERIES)
def test_a_statement_finds_its_tasks_by_an_index(database: sqlite3.Connection, name: str) -> None:
    assert not re.search(r"SCAN (task|node|edge)", _plan(database, name))


@pytest.mark.parametrize("name", ["claim", "due", "reclaim", "forget", "news"])
def test_a_statement_with_a_limit_sorts_no_more_than_that(database: sqlite3.Connection, name: str) -> None:
    """A sort comes before the limit: only what a line was cut to may be sorted."""
    plan = _plan(database, name)
    assert plan.count("USE TEMP B-TREE FOR ORDER BY") == (1 if name == "claim" else 0), plan


@pytest.mark.parametrize(
    ("name", "found_by"),
    [
        ("successors", "source=?"),
        ("give", "source=?"),
        ("inputs", "target=?"),
        ("drop_edges", "target=?"),
        ("free_ids", "id=?"),
    ],
)
def test_a_verdict_meets_only_those_who_wait_for_it(database: sqlite3.Connection, name: str, found_by: str) -> None:
    assert f"(namespace=? AND {found_by})" in _plan(database, name)


def test_the_schema_can_be_run_again(database: sqlite3.Connection) -> None:
    database.execute("UPDATE sequence SET last = 7")
    database.executescript(SCHEMA)
    assert database.execute("SELECT last FROM sequence").fetchall() == [(7,)]


def test_every_statement_is_used() -> None:
    package = Path(queries.__file__).parent
    code = "".join(file.read_text() for file in package.rglob("*.py"))
    assert [name for name in QUERIES if not re.search(rf'QUERIES\["{name}"\]|execute_rows\("{name}"', code)] == []
