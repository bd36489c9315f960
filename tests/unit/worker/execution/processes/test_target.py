"""What a child process can find, and what is refused before anything waits for it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import ConfigurationError, MemoryHuey
from aqueue.worker.execution.processes.target import target_of

from . import jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench


# -- declaring


def test_a_coroutine_function_has_no_pool() -> None:
    for pool in ("process", "thread"):
        with pytest.raises(TypeError, match=rf"is async def, and pool='{pool}' is for plain functions"):

            @MemoryHuey("shop").task(pool=pool)
            async def work() -> None: ...


@pytest.mark.parametrize(
    "function", [lambda: None, functools.partial(int, "5"), test_a_coroutine_function_has_no_pool.__call__]
)
def test_what_no_name_leads_to_has_no_process(function: Callable[..., Any]) -> None:
    with pytest.raises((ValueError, ConfigurationError), match=r"child process") as caught:
        target_of(MemoryHuey("shop").task(name="work", pool="process")(function))
    assert "\n" not in str(caught.value)


def test_a_local_function_has_no_process() -> None:
    def local() -> None: ...

    with pytest.raises(ValueError, match=r"a child process cannot import .*<locals>\.local"):
        MemoryHuey("shop").task(pool="process")(local)
    MemoryHuey("shop").task(pool="thread")(local)


# -- starting a worker


def undecorated() -> None: ...


async def test_a_worker_does_not_start_whose_children_would_not_find_a_task() -> None:
    huey = MemoryHuey("shop")
    huey.task(name="work", pool="process")(undecorated)
    async with huey:
        with pytest.raises(ConfigurationError, match=r"^the task work cannot run in a child process: .* is not that"):
            await huey.create_worker(burst=True).run()


async def test_a_task_that_is_declared_too_late_for_that_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    task = MemoryHuey("shop").task(name="work", pool="process")(undecorated)
    monkeypatch.setitem(jobs.huey._parts.registry._tasks, "work", task)
    ran = await bench.run(task)
    assert ran.run is not None
    assert isinstance(ran.run.exception, ConfigurationError)


# -- finding

TASK = """
{imports}


@huey.task(pool="process")
def work():
    return __name__
"""


async def test_a_method_of_a_class_is_found(bench: Bench, imported: Callable[[str, str], Any]) -> None:
    module = imported(
        "shop_of_classes",
        "from tests.unit.worker.execution.processes.jobs import huey\n\n\nclass Shop:\n    class Inner:\n"
        "        @staticmethod\n        @huey.task(pool='process')\n        def work():\n            return __name__\n",
    )
    assert await bench.value(module.Shop.Inner.work) == "shop_of_classes"


async def test_modules_that_import_each_other_are_imported_in_the_order_of_the_worker(
    bench: Bench, write_module: Callable[[str, str], None], imported: Callable[[str, str], Any]
) -> None:
    write_module("shop_tasks", TASK.format(imports="from shop_app import huey"))
    app = imported(
        "shop_app", "from aqueue import MemoryHuey\n\nhuey = MemoryHuey('shop')\n\nfrom shop_tasks import work\n"
    )
    target = target_of(app.work)
    assert (target.module, target.home) == ("shop_tasks", "shop_app")
    bench.runner._registry.add(app.work)
    assert await bench.value(app.work) == "shop_tasks"
