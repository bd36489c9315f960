"""What a task can run inside of: whatever kind of manager, for whatever kind of function, here and in a worker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import ConfigurationError, MemoryHuey, TaskException

from ...tour.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture
def huey() -> MemoryHuey:
    return MemoryHuey("shop")


class Ledger:
    """How often it was opened and closed, and by which thread it was opened last."""

    def __init__(self) -> None:
        self.opened = self.closed = self.open_at_once = 0
        self.thread = ""

    def open(self) -> str:
        self.opened += 1
        self.open_at_once = max(self.open_at_once, self.opened - self.closed)
        self.thread = threading.current_thread().name
        return f"connection {self.opened}"

    def close(self) -> None:
        self.closed += 1


class Sync:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def __enter__(self) -> str:
        return self.ledger.open()

    def __exit__(self, *_: object) -> None:
        self.ledger.close()


class Async:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def __aenter__(self) -> str:
        await asyncio.sleep(0)
        return self.ledger.open()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self.ledger.close()


class Both(Async, Sync):
    async def __aenter__(self) -> str:
        return "async " + await super().__aenter__()


def sync_generator(ledger: Ledger) -> Callable[[], Any]:
    @contextmanager
    def connection() -> Iterator[str]:
        yield ledger.open()
        ledger.close()

    return connection


def async_generator(ledger: Ledger) -> Callable[[], Any]:
    @asynccontextmanager
    async def connection() -> AsyncIterator[str]:
        yield ledger.open()
        ledger.close()

    return connection


SOURCES: dict[str, Callable[[Ledger], Any]] = {
    "sync manager": Sync,
    "async manager": Async,
    "factory of sync managers": lambda ledger: lambda: Sync(ledger),
    "factory of async managers": lambda ledger: lambda: Async(ledger),
    "generator": sync_generator,
    "async generator": async_generator,
}


def declare(huey: MemoryHuey, source: Any, kind: str, as_argument: bool) -> Any:
    """A task inside `source` that tells its first argument."""
    if kind == "plain":

        @huey.context_task(source, as_argument)
        def plain(value: str) -> str:
            return value

        return plain

    @huey.context_task(source, as_argument)
    async def coroutine(value: str) -> str:
        return value

    return coroutine


@pytest.mark.parametrize("as_argument", [False, True])
@pytest.mark.parametrize("kind", ["coroutine", "plain"])
@pytest.mark.parametrize("source", SOURCES)
async def test_a_worker_enters_it_anew_for_each_run(
    source: str, kind: str, as_argument: bool, huey: MemoryHuey
) -> None:
    ledger = Ledger()
    task = declare(huey, SOURCES[source](ledger), kind, as_argument)
    arguments = () if as_argument else ("the value",)
    async with running(huey):
        for number in (1, 2):
            value = await (await task.enqueue(*arguments)).get(timeout=5)
            assert value == (f"connection {number}" if as_argument else "the value")
    assert (ledger.opened, ledger.closed) == (2, 2)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (source, kind)
        for source in SOURCES
        for kind in ("coroutine", "plain")
        if kind != "plain" or "async" not in source
    ],
)
async def test_calling_the_task_enters_it_too(source: str, kind: str, huey: MemoryHuey) -> None:
    ledger = Ledger()
    task = declare(huey, SOURCES[source](ledger), kind, True)
    assert (await task() if kind == "coroutine" else task()) == "connection 1"
    assert (ledger.opened, ledger.closed) == (1, 1)


@pytest.mark.parametrize("source", ["async manager", "factory of async managers", "async generator"])
def test_a_plain_call_cannot_enter_an_async_manager_and_says_so(source: str, huey: MemoryHuey) -> None:
    task = declare(huey, SOURCES[source](Ledger()), "plain", True)
    with pytest.raises(ConfigurationError, match="async context manager: it cannot be entered without an event loop"):
        task()


async def test_a_plain_function_and_its_sync_manager_share_a_thread(huey: MemoryHuey) -> None:
    """A connection that belongs to its thread would be useless otherwise."""
    ledger = Ledger()

    @huey.context_task(Sync(ledger))
    def where() -> str:
        return threading.current_thread().name

    async with running(huey):
        assert await (await where.enqueue()).get(timeout=5) == ledger.thread != threading.current_thread().name


@pytest.mark.parametrize(("kind", "value"), [("coroutine", "async connection 1"), ("plain", "connection 1")])
async def test_of_two_protocols_each_kind_of_function_takes_its_own(kind: str, value: str, huey: MemoryHuey) -> None:
    task = declare(huey, Both(Ledger()), kind, True)
    async with running(huey):
        assert await (await task.enqueue()).get(timeout=5) == value


async def test_a_factory_gives_each_of_many_runs_its_own(huey: MemoryHuey) -> None:
    ledger = Ledger()
    together = asyncio.Barrier(20)

    @huey.context_task(lambda: Async(ledger), as_argument=True)
    async def meet(connection: str) -> str:
        await together.wait()
        return connection

    async with running(huey):
        connections = await (await meet.map([()] * 20)).get(timeout=5)
    assert len(set(connections)) == ledger.open_at_once == ledger.closed == 20


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
@pytest.mark.parametrize("source", ["sync manager", "async manager"])
async def test_it_is_left_when_the_task_fails_and_sees_why(source: str, kind: str, huey: MemoryHuey) -> None:
    ledger = Ledger()
    manager = SOURCES[source](ledger)

    def fail() -> None:
        raise ValueError("no")

    async def fail_too() -> None:
        raise ValueError("no")

    task = huey.context_task(manager)(fail if kind == "plain" else fail_too)
    async with running(huey):
        with pytest.raises(TaskException, match="no") as caught:
            await (await task.enqueue()).get(timeout=5)
    assert caught.value.type == "ValueError"
    assert (ledger.opened, ledger.closed) == (1, 1)


async def test_it_is_left_when_the_task_runs_out_of_time(huey: MemoryHuey) -> None:
    ledger = Ledger()

    @huey.context_task(Async(ledger), timeout=0.01)
    async def stuck() -> None:
        await asyncio.Event().wait()

    async with running(huey):
        with pytest.raises(TaskException, match="timeout"):
            await (await stuck.enqueue()).get(timeout=5)
    assert (ledger.opened, ledger.closed) == (1, 1)


async def test_a_manager_that_cannot_be_entered_fails_the_task(huey: MemoryHuey) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise ConnectionError("the database is down")
        yield

    @huey.context_task(broken)
    async def query() -> None: ...

    async with running(huey):
        with pytest.raises(TaskException, match="the database is down"):
            await (await query.enqueue()).get(timeout=5)


async def test_a_factory_that_makes_something_else_fails_the_task(huey: MemoryHuey) -> None:
    @huey.context_task(lambda: 5)
    async def query() -> None: ...

    async with running(huey):
        with pytest.raises(TaskException, match="returned 5, which is not a context manager"):
            await (await query.enqueue()).get(timeout=5)


async def test_a_class_is_a_factory(huey: MemoryHuey) -> None:
    class Connection(Sync):
        def __init__(self) -> None:
            super().__init__(Ledger())

    task = declare(huey, Connection, "plain", True)
    async with running(huey):
        assert await (await task.map([(), ()])).get(timeout=5) == ["connection 1", "connection 1"]


def test_a_manager_that_can_be_entered_once_is_refused(huey: MemoryHuey) -> None:
    for used_up in (sync_generator(Ledger())(), async_generator(Ledger())()):
        with pytest.raises(ConfigurationError, match="can be entered only once: pass the function that makes it"):
            huey.context_task(used_up)


@pytest.mark.parametrize("source", [None, 5, "database", [], object()])
def test_what_is_no_manager_is_refused(source: Any, huey: MemoryHuey) -> None:
    with pytest.raises(ConfigurationError, match="is not a context manager: accepted are"):
        huey.context_task(source)


async def test_a_manager_that_can_be_entered_often_is_accepted(huey: MemoryHuey) -> None:
    task = declare(huey, contextlib.nullcontext("nothing"), "coroutine", True)
    async with running(huey):
        assert await (await task.map([(), ()])).get(timeout=5) == ["nothing", "nothing"]


def test_a_function_that_cannot_take_the_resource_is_refused(huey: MemoryHuey) -> None:
    with pytest.raises(ConfigurationError, match="takes no argument: as_argument=True gives it the resource"):
        declare_without_arguments(huey)


def declare_without_arguments(huey: MemoryHuey) -> None:
    @huey.context_task(contextlib.nullcontext(), as_argument=True)
    async def query() -> None: ...


async def test_options_of_a_context_task_are_those_of_any_task(huey: MemoryHuey) -> None:
    @huey.context_task(contextlib.nullcontext(), name="query", retries=3, queue="reports")
    async def query() -> str:
        return "done"

    assert (query.name, query.declared.retries, query.declared.queue) == ("query", 3, "reports")
    with pytest.raises(TypeError, match="did you mean 'retries'"):
        huey.context_task(contextlib.nullcontext(), retrys=3)
