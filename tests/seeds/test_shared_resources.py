"""The text "Managing shared resources", followed as it is written: each of its snippets, on a small database."""

from __future__ import annotations

import datetime as real_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import CancelExecution, Huey, RedisHuey, TaskException

from ..tour.running import running
from .database import Comment, Database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from ..servers import Server


@pytest.fixture
def huey(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> Huey:
    """``RedisHuey()`` is on localhost, unless the environment says where."""
    monkeypatch.setenv("AQUEUE_URL", redis_server.url)
    return RedisHuey()


@pytest.fixture
def connections() -> Iterator[list[sqlite3.Connection]]:
    connections: list[sqlite3.Connection] = []
    yield connections
    for connection in connections:
        connection.close()


@pytest.fixture
def database(tmp_path: Path, connections: list[sqlite3.Connection]) -> Database:
    database = Database(str(tmp_path / "my_app.db"), connections)
    Comment.create_table(database, "Nice post!", "Buy cheap watches")
    return database


akismet = SimpleNamespace(is_spam=lambda body: "cheap" in body)


async def check_all(huey: Huey, check_comment_spam: Any) -> None:
    async with running(huey):
        await (await check_comment_spam.map([1, 2])).get(timeout=20)


def spam(database: Database) -> list[bool]:
    with database:
        return [Comment.get(Comment.id == comment_id).is_spam for comment_id in (1, 2)]


async def test_a_resource_can_be_managed_explicitly(huey: Huey, database: Database) -> None:
    @huey.task()
    def check_comment_spam(comment_id: int) -> None:
        # Open DB connection at start of task, close upon exit.
        with database:
            comment = Comment.get(Comment.id == comment_id)
            if akismet.is_spam(comment.body):
                comment.is_spam = True
                comment.save()

    await check_all(huey, check_comment_spam)
    assert spam(database) == [False, True]


async def test_context_task_wraps_the_task_in_the_resource(
    huey: Huey, database: Database, connections: list[sqlite3.Connection]
) -> None:
    # Same as previous example, except we can omit the "with db" block.
    @huey.context_task(database)
    def check_comment_spam(comment_id: int) -> None:
        comment = Comment.get(Comment.id == comment_id)
        if akismet.is_spam(comment.body):
            comment.is_spam = True
            comment.save()

    before = len(connections)
    await check_all(huey, check_comment_spam)
    assert spam(database) == [False, True]
    assert len(connections) == before + 2 + 1, "one for each task, one to look here"


async def test_a_connection_is_opened_when_the_worker_starts(huey: Huey, database: Database) -> None:
    db = database

    @huey.on_startup()
    def open_db_connection() -> None:
        # If for some reason the db connection appears to already be open,
        # close it first.
        if not db.is_closed():
            db.close()
        db.connect()

    @huey.task()
    def run_query(n: int) -> int:
        db.execute_sql("select pg_sleep(%s)", (n,))
        return n

    assert db.is_closed()
    async with running(huey):
        assert not db.is_closed()
        assert await (await run_query.map([1, 2, 3])).get(timeout=20) == [1, 2, 3]


async def test_the_connection_of_the_start_is_that_of_every_coroutine(
    huey: Huey, tmp_path: Path, connections: list[sqlite3.Connection]
) -> None:
    """Coroutines run in the thread in which the startup hooks ran: what is bound to it is there for each of them."""
    db = Database(str(tmp_path / "my_app.db"), connections, autoconnect=False)

    @huey.on_startup()
    def open_db_connection() -> None:
        if not db.is_closed():
            db.close()
        db.connect()

    @huey.task()
    async def run_query(n: int) -> int:
        db.execute_sql("select pg_sleep(%s)", (n,))
        return n

    async with running(huey):
        assert await (await run_query.map([1, 2, 3])).get(timeout=20) == [1, 2, 3]
    assert len(connections) == 1


@pytest.mark.parametrize(("day", "runs"), [(20, True), (21, True), (22, False), (23, True)])
async def test_a_pre_execute_hook_keeps_sundays_free(huey: Huey, day: int, runs: bool) -> None:
    class FixedDatetime(real_datetime.datetime):
        @classmethod
        def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
            return cls(2026, 11, day, tzinfo=tz)

    datetime = SimpleNamespace(datetime=FixedDatetime)

    @huey.pre_execute()
    def pre_execute_hook(task: Any) -> None:
        # Pre-execute hooks are passed the task that is about to be run.

        # This pre-execute task will cancel the execution of every task if the
        # current day is Sunday.
        if datetime.datetime.now().weekday() == 6:
            raise CancelExecution("No tasks on sunday!")

    @huey.task()
    def work() -> str:
        return "done"

    async with running(huey):
        result = await work.enqueue()
        if runs:
            assert await result.get(timeout=20) == "done"
        else:
            with pytest.raises(TaskException, match="No tasks on sunday!"):
                await result.get(timeout=20)
            assert await result.status() == "cancelled"


async def test_a_post_execute_hook_prints_the_error(
    huey: Huey, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    @huey.post_execute()
    def post_execute_hook(task: Any, task_value: Any, exc: BaseException | None) -> None:
        # Post-execute hooks are passed the task, the return value (if the task
        # succeeded), and the exception (if one occurred).
        if exc is not None:
            print('Task "%s" failed with error: %s!' % (task.id, exc))  # noqa: UP031 - as it is written there

    @huey.task()
    def divide(a: int, b: int) -> float:
        return a / b

    async with running(huey):
        assert await (await divide.enqueue(6, 2)).get(timeout=20) == 3.0
        failing = await divide.enqueue(1, 0)
        with pytest.raises(TaskException, match="division by zero"):
            await failing.get(timeout=20)
    assert capsys.readouterr().out == f'Task "{failing.id}" failed with error: division by zero!\n'
    # "Printing the error message is redundant, as the huey logger already logs any unhandled exceptions raised by a
    # task, along with a traceback."
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None
