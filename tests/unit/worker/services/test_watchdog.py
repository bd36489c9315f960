"""A blocked event loop is noticed by a thread beside it, with the task and the line."""

from __future__ import annotations

import asyncio
import ctypes
import math
import sys
import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING

import pytest

from aqueue.core.message import Delivery, Message, Receipt
from aqueue.tasks.context import TaskRun, set_current_task
from aqueue.tasks.options import TaskOptions
from aqueue.worker.execution.held import HeldDelivery
from aqueue.worker.services.watchdog import Stall, Watchdog

from ...facts import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_DELIVERY = Delivery("some-id", b"", Receipt("worker", "place", "entry", 1))


class Scene:
    """A watchdog over one delivery, and what it noted at each change."""

    def __init__(self) -> None:
        self.held = HeldDelivery(_DELIVERY)
        self.noted: list[Stall | None] = []
        self.noticed = threading.Event()
        self.watchdog = Watchdog({_DELIVERY.receipt: self.held}, math.inf, self._note)

    def _note(self) -> None:
        self.noted.append(self.watchdog.stall)
        self.noticed.set()

    def block(self) -> None:
        """Block the event loop until the watchdog has noticed."""
        self.noticed.clear()
        assert self.noticed.wait(20)

    async def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run `body` as the delivery, and wait for the end of the stall to be noticed."""

        async def execute(_: HeldDelivery) -> None:
            set_current_task(TaskRun(_DELIVERY, Message("some-id", "shop.report", (), {}), TaskOptions()))
            await body()

        with self.watchdog:
            await self.held.begin(execute, copy_context())
            await until(lambda: self.watchdog.stall is None)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_it_names_the_task_and_the_line_of_the_application_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        scene.block()
        time.sleep(1)  # noqa: ASYNC251 - the fault itself

    began_ms = time.time() * 1000
    await scene.run(body)
    stall, end = scene.noted
    assert stall is not None
    assert end is None
    assert (stall.task, stall.id) == ("shop.report", "some-id")
    assert began_ms - 1 <= stall.since_ms <= time.time() * 1000
    assert stall.where.startswith(__file__)
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    text = warning.getMessage()
    assert ", by the task shop.report (some-id):" in text
    assert "scene.block()" in text
    assert "threading.py" not in text


@pytest.mark.skipif(sys.version_info < (3, 12), reason="an asyncio task does not give its context before Python 3.12")
async def test_it_names_the_task_whose_child_blocks_the_loop(scene: Scene) -> None:
    async def child() -> None:
        scene.block()

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    await scene.run(body)
    assert scene.noted[0] is not None
    assert scene.noted[0].task == "shop.report"


async def test_what_blocks_outside_of_a_task_is_shown_by_its_lines(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with scene.watchdog:
        scene.block()
    assert scene.noted[0] is not None
    assert scene.noted[0].id == ""
    assert scene.noted[0].where.startswith(__file__)
    assert "by the task" not in caplog.text


async def test_a_loop_that_turns_is_left_alone(scene: Scene) -> None:
    async def body() -> None:
        for _ in range(20):
            await asyncio.sleep(0.1)

    await scene.run(body)
    assert scene.noted == []


async def test_c_code_that_held_the_interpreter_is_reported_when_it_returns(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with scene.watchdog:
        # Let the thread begin its first wait.
        await asyncio.to_thread(lambda: None)
        # PyDLL keeps the interpreter during a call.
        ctypes.PyDLL(None).usleep(2_000_000)
        await until(lambda: "C code held the interpreter" in caplog.text)
    assert "No thread of this process has run for 2." in caplog.text


async def test_a_stall_is_shown_with_the_instant_since_which_it_lasts() -> None:
    stall = Stall(1_700_000_000_000, "shop.report", "some-id", "shop.py:3 in report")
    assert str(stall) == (
        "blocked since 2023-11-14T22:13:20+00:00, by the task shop.report (some-id), at shop.py:3 in report"
    )


async def test_an_error_does_not_end_it(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        scene.noticed.set()
        raise ValueError("unforeseen")

    async def body() -> None:
        scene.block()
        scene.watchdog._changed = scene._note
        assert scene.watchdog._thread.is_alive()

    scene.watchdog._changed = fail
    await scene.run(body)
    assert "goes on" in caplog.text
    assert scene.noted == [None]
