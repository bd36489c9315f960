"""Handlers around tasks: in order, by name, and without power over the worker."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import CancelExecution, MemoryHuey
from aqueue.core.message import Delivery, Message, Receipt
from aqueue.tasks.context import TaskRun
from aqueue.tasks.hooks import Hooks
from aqueue.tasks.options import TaskOptions

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def huey() -> MemoryHuey:
    return MemoryHuey("shop")


@pytest.fixture
def run() -> TaskRun:
    delivery = Delivery("id", b"", Receipt("worker", "place", "entry", 1))
    return TaskRun(delivery, Message("id", "shop.add", (1, 2), {}), TaskOptions())


KINDS = ["on_startup", "on_shutdown", "pre_enqueue", "pre_execute", "post_execute"]


async def call_all(huey: MemoryHuey, run: TaskRun) -> None:
    """Every hook once, in the order of a worker's life."""
    await huey._parts.hooks.run_startup()
    await huey._parts.hooks.run_pre_enqueue(run)
    await huey._parts.hooks.run_pre_execute(run)
    await huey._parts.hooks.run_post_execute(run)
    await huey._parts.hooks.run_shutdown()


@pytest.mark.parametrize("kind", KINDS)
async def test_handlers_run_in_order_of_registration_sync_or_async(kind: str, huey: MemoryHuey, run: TaskRun) -> None:
    seen = []

    @getattr(huey, kind)()
    def plain(*_: Any) -> None:
        seen.append("plain")

    @getattr(huey, kind)()
    async def coroutine(*_: Any) -> None:
        await asyncio.sleep(0)
        seen.append("coroutine")

    getattr(huey, kind)("named")(lambda *_: seen.append("lambda"))
    await call_all(huey, run)
    assert seen == ["plain", "coroutine", "lambda"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_second_handler_of_one_name_replaces_the_first(kind: str, huey: MemoryHuey, run: TaskRun) -> None:
    seen = []
    for number in (1, 2):
        getattr(huey, kind)("one")(lambda *_, number=number: seen.append(number))
    await call_all(huey, run)
    assert seen == [2]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handler_is_removed_by_its_name_or_by_itself(kind: str, huey: MemoryHuey, run: TaskRun) -> None:
    seen = []

    @getattr(huey, kind)()
    def by_itself(*_: Any) -> None:
        seen.append("by itself")

    @getattr(huey, kind)("a name")
    def by_name(*_: Any) -> None:
        seen.append("by name")

    @getattr(huey, kind)("another name")
    def named_and_by_itself(*_: Any) -> None:
        seen.append("named")

    unregister = getattr(huey, f"unregister_{kind}")
    for handler in (by_itself, "a name", named_and_by_itself):
        assert unregister(handler) is True
        assert unregister(handler) is False
    assert unregister("never registered") is False
    await call_all(huey, run)
    assert seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_decorator_gives_the_handler_back(kind: str, huey: MemoryHuey) -> None:
    def handler(*_: Any) -> None: ...

    assert getattr(huey, kind)()(handler) is handler


@pytest.mark.parametrize("error", [ValueError, SystemExit, StopIteration, RecursionError])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_handler_that_fails_is_logged_and_passed_over(
    kind: str, error: type[BaseException], huey: MemoryHuey, run: TaskRun, caplog: pytest.LogCaptureFixture
) -> None:
    seen = []

    @getattr(huey, kind)()
    def broken(*_: Any) -> None:
        raise error

    getattr(huey, kind)("next")(lambda *_: seen.append("next"))
    await call_all(huey, run)
    assert seen == ["next"]
    [record] = caplog.records
    assert record.getMessage() == f"{kind} hook 'broken' failed"
    assert record.exc_info is not None


@pytest.mark.parametrize("kind", ["pre_enqueue", "pre_execute"])
async def test_a_pre_handler_can_cancel_and_then_the_others_are_not_asked(
    kind: str, huey: MemoryHuey, run: TaskRun
) -> None:
    seen = []
    register = getattr(huey, kind)

    @register()
    async def not_on_sunday(task: TaskRun) -> None:
        assert task is run
        raise CancelExecution("No tasks on sunday!")

    register("next")(lambda _: seen.append("next"))
    with pytest.raises(CancelExecution, match="No tasks on sunday!"):
        await getattr(huey._parts.hooks, f"run_{kind}")(run)
    assert seen == []


@pytest.mark.parametrize("kind", ["on_startup", "on_shutdown", "post_execute"])
async def test_only_a_pre_handler_can_cancel(
    kind: str, huey: MemoryHuey, run: TaskRun, caplog: pytest.LogCaptureFixture
) -> None:
    @getattr(huey, kind)()
    def cancelling(*_: Any) -> None:
        raise CancelExecution

    await call_all(huey, run)
    [record] = caplog.records
    assert record.getMessage() == f"{kind} hook 'cancelling' raised CancelExecution, which only a pre_ hook may"


async def test_a_post_execute_handler_gets_the_value_and_the_exception(huey: MemoryHuey, run: TaskRun) -> None:
    seen: list[tuple[Any, ...]] = []
    huey.post_execute("note")(lambda *arguments: seen.append(arguments))
    run.value = 3
    await huey._parts.hooks.run_post_execute(run)
    run.value, run.exception = None, ValueError("no")
    await huey._parts.hooks.run_post_execute(run)
    assert seen == [(run, 3, None), (run, None, run.exception)]


async def test_a_handler_may_unregister_itself_while_it_runs(huey: MemoryHuey, run: TaskRun) -> None:
    seen = []

    @huey.pre_execute()
    def once(_: TaskRun) -> None:
        seen.append("once")
        huey.unregister_pre_execute(once)

    for _ in range(2):
        await huey._parts.hooks.run_pre_execute(run)
    assert seen == ["once"]


async def test_the_end_of_the_worker_is_not_passed_over(huey: MemoryHuey, run: TaskRun) -> None:
    waiting = asyncio.Event()

    @huey.pre_execute()
    async def patient(_: TaskRun) -> None:
        waiting.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(huey._parts.hooks.run_pre_execute(run))
    await waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def missing_parentheses(huey: MemoryHuey) -> Any:
    @huey.on_startup  # type: ignore[arg-type]
    def handler() -> None: ...

    return handler


@pytest.mark.parametrize(
    "mistake",
    [missing_parentheses, lambda huey: huey.pre_execute()("not a function"), lambda huey: huey.post_execute(5)],
)
def test_what_is_no_handler_is_refused_when_it_is_registered(mistake: Callable[[MemoryHuey], Any]) -> None:
    with pytest.raises(TypeError, match=r"parentheses|must be a"):
        mistake(MemoryHuey("shop"))


async def test_a_handler_without_a_name_of_its_own_needs_one() -> None:
    hooks = Hooks()
    seen: list[int] = []
    handler = functools.partial(seen.append, 5)
    with pytest.raises(TypeError, match="name"):
        hooks.register(hooks.startup, None)(handler)
    hooks.register(hooks.startup, "open")(handler)
    await hooks.run_startup()
    assert seen == [5]
