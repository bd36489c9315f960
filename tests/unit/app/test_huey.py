"""The application object: where its store is, its defaults, and the event loops that use it."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    ConfigurationError,
    Huey,
    MemoryHuey,
    QueueUnavailable,
    RedisHuey,
    ResultNotFound,
    SqliteHuey,
    Task,
)
from aqueue.core.ids import new_token

from ...tour.running import running

if TYPE_CHECKING:
    from collections.abc import Callable


def declare_add(huey: Huey) -> Task[[int, int], int]:
    @huey.task(name="add")
    async def add(a: int, b: int) -> int:
        return a + b

    return add


# -- where the store is


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AQUEUE_URL", raising=False)


def test_without_a_url_it_is_a_file_of_its_name_here() -> None:
    assert Huey("shop")._url == "sqlite:///shop.db"
    assert Huey().name == "huey"


@pytest.mark.parametrize("url", ["redis://localhost:6379/3", "memory://", "sqlite:////tmp/other.db", " memory:// "])
def test_the_environment_says_where_it_is(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AQUEUE_URL", url)
    assert Huey("shop")._url == url.strip()
    assert RedisHuey("shop")._url == url.strip()


def test_an_empty_environment_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for nothing in ("", "  ", "\n"):
        monkeypatch.setenv("AQUEUE_URL", nothing)
        assert Huey("shop")._url == "sqlite:///shop.db"
        assert RedisHuey("shop")._url == "redis://localhost:6379/0"


def test_what_is_said_in_the_code_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQUEUE_URL", "memory://")
    assert Huey("shop", url="sqlite:///other.db")._url == "sqlite:///other.db"
    assert RedisHuey("shop", url="redis://a")._url == "redis://a"
    assert RedisHuey("shop", host="a")._url == "redis://a:6379/0"
    assert SqliteHuey("shop")._url == "sqlite:///shop.db"
    assert SqliteHuey("shop", filename="other.db")._url == "sqlite:///other.db"
    assert MemoryHuey("shop")._url == "memory://"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis:/x",
        "redis//x",
        "postgres://me:secret@localhost",
        "redis://me:secret@localhost:99999",
        "redis://me:secret@localhost:abc",
        "redis://me:secret@localhost/db",
        "redis://me:secret@localhost/-1",
        "redis://me:secret@localhost?unknown=1",
        "sqlite://shop.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "://",
    ],
)
def test_a_url_that_names_no_store_is_an_error_at_once_which_tells_no_secret(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Huey("shop", url=url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "{a}", "x" * 101, "a\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the name of the application must be 1 to 100 characters"):
        Huey(name)


@pytest.mark.parametrize(("ttl", "error"), [(-1, ValueError), ("5", TypeError), (timedelta.max, ValueError)])
def test_a_bad_lifetime_of_results_is_refused(ttl: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="result_ttl must be"):
        MemoryHuey("shop", result_ttl=ttl)


def test_nothing_connects_and_no_file_is_made_before_the_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declare_add(Huey("shop"))
    declare_add(RedisHuey("shop", port=1))
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_is_not_there_is_an_error_at_the_first_use() -> None:
    huey = RedisHuey("shop", port=1)
    add = declare_add(huey)
    with pytest.raises(QueueUnavailable):
        await add.enqueue(1, 2)
    with pytest.raises(QueueUnavailable):
        async with huey:
            pytest.fail("it was entered")


async def test_the_defaults_of_the_application_are_those_of_its_tasks() -> None:
    huey = MemoryHuey("shop", results=False, result_ttl=60)
    assert declare_add(huey).declared.results is False
    assert huey.task(name="own", results=True)(lambda: None).declared.results is True
    assert huey.context_task(threading.Lock(), name="too")(lambda: None).declared.results is False
    assert huey._parts.result_ttl_ms == 60_000


# -- event loops


def at_memory(_: Path, __: str) -> Huey:
    return MemoryHuey("shop")


def at_sqlite(directory: Path, _: str) -> Huey:
    return SqliteHuey("shop", filename=directory / "shop.db")


def at_redis(_: Path, url: str) -> Huey:
    return RedisHuey(f"test-{new_token()}", url=url)


@pytest.fixture(params=[at_memory, at_sqlite, at_redis], ids=["memory", "sqlite", "redis"])
def huey(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Huey:
    made: Huey = request.param(tmp_path, redis_url)
    return made


@pytest.fixture(params=[at_sqlite, at_redis], ids=["sqlite", "redis"])
def shared_huey(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Huey:
    """An application that threads may use at once: what lives in this process belongs to one event loop at a time."""
    made: Huey = request.param(tmp_path, redis_url)
    return made


def open_files() -> set[str]:
    """What this process has open, but for what comes and goes with event loops."""
    gc.collect()
    names = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names.add(str(entry.readlink()))
        except OSError:
            continue
    return {name for name in names if name.startswith(("socket:", "/")) and not name.startswith("/dev")}


def test_one_event_loop_after_another(huey: Huey) -> None:
    add = declare_add(huey)

    async def work(number: int) -> int:
        async with running(huey):
            return await (await add.enqueue(number, 1)).get(timeout=10)

    assert [asyncio.run(work(number)) for number in range(3)] == [1, 2, 3]


def test_a_script_may_forget_to_close(huey: Huey) -> None:
    add = declare_add(huey)

    async def enqueue() -> str:
        return (await add.options(delay=60).enqueue(1, 2)).id

    async def look(task_id: str) -> str:
        return await huey.result(task_id).status()

    before = open_files()
    task_ids = [asyncio.run(enqueue()) for _ in range(3)]
    assert [asyncio.run(look(task_id)) for task_id in task_ids] == ["scheduled"] * 3
    assert open_files() <= before, "something stayed open"


def test_many_event_loops_at_once(shared_huey: Huey) -> None:
    """Threads with an event loop each, one of which works for all."""
    huey = shared_huey
    add = declare_add(huey)
    serving, finished = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running(huey):
            serving.set()
            await asyncio.to_thread(finished.wait)

    async def use(number: int) -> list[int]:
        async with huey:
            results = [await add.enqueue(number, other) for other in range(20)]
            return [await result.get(timeout=20) for result in results]

    with ThreadPoolExecutor(6) as threads:
        server = threads.submit(asyncio.run, serve())
        serving.wait(20)
        users = [threads.submit(asyncio.run, use(number)) for number in range(5)]
        try:
            answers = [user.result() for user in users]
        finally:
            finished.set()
        server.result()
    assert answers == [[number + other for other in range(20)] for number in range(5)]


def test_leaving_in_one_event_loop_closes_nothing_in_another(shared_huey: Huey) -> None:
    huey = shared_huey
    add = declare_add(huey)
    entered, left = threading.Event(), threading.Event()

    async def stay() -> str:
        async with huey:
            client = await huey._parts.clients.open()
            entered.set()
            await asyncio.to_thread(left.wait)
            assert await huey._parts.clients.open() is client
            result = await add.enqueue(1, 2)
            return await result.status()

    async def leave() -> None:
        async with huey:
            await add.enqueue(3, 4)

    with ThreadPoolExecutor(2) as threads:
        staying = threads.submit(asyncio.run, stay())
        entered.wait(20)
        try:
            threads.submit(asyncio.run, leave()).result()
        finally:
            left.set()
        assert staying.result() == "queued"


async def test_entering_twice_is_left_twice(huey: Huey) -> None:
    add = declare_add(huey)
    async with huey:
        client = await huey._parts.clients.open()
        async with huey:
            result = await add.enqueue(1, 2)
        assert await huey._parts.clients.open() is client
        assert await result.status() == "queued"
    assert await huey._parts.clients.open() is not client
    await huey.close()


async def test_what_was_closed_is_opened_again(huey: Huey) -> None:
    add = declare_add(huey)
    for _ in range(3):
        result = await add.enqueue(1, 2)
        assert await result.status() == "queued"
        await huey.close()
        await huey.close()


async def test_an_entry_that_failed_is_not_counted(huey: Huey, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable() -> Any:
        raise QueueUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(huey._parts.clients, "open", unreachable)
        with pytest.raises(QueueUnavailable):
            async with huey:
                pytest.fail("it was entered")
    async with huey:
        client = await huey._parts.clients.open()
    assert await huey._parts.clients.open() is not client
    await huey.close()


async def test_first_users_open_one_line_together(huey: Huey) -> None:
    add = declare_add(huey)
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(add.enqueue(number, 0))
    assert len(huey._parts.clients) == 1
    await huey.close()


async def test_two_applications_of_one_name_share_their_tasks(tmp_path: Path, redis_url: str) -> None:
    name = f"test-{new_token()}"
    pairs: list[Callable[[], Huey]] = [
        lambda: SqliteHuey(name, filename=tmp_path / "shop.db"),
        lambda: RedisHuey(name, url=redis_url),
    ]
    for make in pairs:
        here, there = make(), make()
        add = declare_add(here)
        declare_add(there)
        async with here, running(there):
            assert await (await add.enqueue(1, 2)).get(timeout=10) == 3


async def test_two_applications_of_two_names_share_nothing(redis_url: str) -> None:
    one, other = (RedisHuey(f"test-{new_token()}", url=redis_url) for _ in range(2))
    add = declare_add(one)
    async with one, other:
        result = await add.enqueue(1, 2)
        with pytest.raises(ResultNotFound):
            await other.result(result.id)
        assert await other.queues.depths() == []


# -- looking


async def test_one_can_see_how_full_it_is_and_who_works(huey: Huey) -> None:
    add = declare_add(huey)
    async with huey:
        assert (await huey.queues.depths(), await huey.queues.workers()) == ([], [])
        await add.enqueue(1, 2)
        await add.options(queue="mails", delay=60).enqueue(1, 2)
        depths = {depth.queue: (depth.ready, depth.scheduled) for depth in await huey.queues.depths()}
        assert depths == {"default": (1, 0), "mails": (0, 1)}
        await huey.create_worker(burst=True).run()
        assert await huey.queues.workers() == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"concurrency": 0}, ValueError, "concurrency must be between 1 and 100000, not 0"),
        ({"concurrency": 1.5}, TypeError, "concurrency must be an int"),
        ({"threads": True}, TypeError, "threads must be an int"),
        ({"children": 0}, ValueError, "children must be between 1 and 1000, not 0"),
        ({"children": "2"}, TypeError, "children must be an int"),
        ({"queues": "abc"}, TypeError, "queues must be a tuple of names, not 'abc'"),
        ({"queues": ()}, ValueError, "queues must name at least one queue"),
        ({"queues": ["a b"]}, ValueError, "queue must be"),
        ({"lease": 4.9}, ValueError, "lease must be at least 5 seconds, not 4.9"),
        ({"lease": "30"}, TypeError, "lease must be seconds"),
        ({"shutdown_timeout": -1}, ValueError, "shutdown_timeout must be between"),
        ({"max_crashes": 0}, ValueError, "max_crashes must be between 1 and 1000"),
        ({"concurency": 5}, TypeError, "concurency"),
    ],
    ids=str,
)
def test_a_bad_option_of_a_worker_is_an_error_when_it_is_made(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        MemoryHuey("shop").create_worker(**options)
    assert message in str(caught.value)


def test_queues_are_read_once_each_in_the_order_given() -> None:
    worker = MemoryHuey("shop").create_worker(queues=["b", "a", "b"])
    assert worker.queues == ("b", "a")
