"""Declaring tasks: their names, what may be one, which arguments they take, and when they are due."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import aqueue
from aqueue import ConfigurationError, MemoryHuey, Task, TaskRun
from aqueue.tasks.signatures import arguments_checker
from aqueue.tasks.task import due

from ...tour.running import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def huey() -> MemoryHuey:
    return MemoryHuey("shop")


# -- names


def module_function() -> None: ...


class Outer:
    async def method(self) -> None: ...


def test_a_task_is_named_by_its_module_and_its_qualified_name(huey: MemoryHuey) -> None:
    def nested() -> None: ...

    assert huey.task(module_function).name == f"{__name__}.module_function"
    assert huey.task(Outer.method).name == f"{__name__}.Outer.method"
    assert huey.task(nested).name.endswith(".<locals>.nested")


def test_a_name_of_ones_own_is_the_whole_name(huey: MemoryHuey) -> None:
    assert huey.task(name="add")(lambda: None).name == "add"


@pytest.mark.parametrize("function", [lambda: None, functools.partial(module_function)])
def test_what_has_no_name_of_its_own_needs_one(huey: MemoryHuey, function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="has no name of its own: declare it with name="):
        huey.task(function)
    assert huey.task(name="named")(function).name == "named"


@pytest.mark.parametrize("name", ["", "a b", "a\n", "x" * 201, "caf\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_bad_name_is_refused(huey: MemoryHuey, name: str) -> None:
    with pytest.raises(ValueError, match="task name must be 1 to 200 characters"):
        huey.task(name=name)(module_function)


SCRIPT = """
from aqueue import MemoryHuey

huey = MemoryHuey("shop")

@huey.task()
def add(a, b): ...

print(add.name)
"""


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["app.py"], "app.add"),
        (["./app.py"], "app.add"),
        (["-m", "app"], "app.add"),
        (["-m", "package.app"], "package.app.add"),
        (["-c", "import app"], "app.add"),
        (["-c", SCRIPT], "__main__.add"),
    ],
    ids=lambda value: "-".join(value)[:20] if isinstance(value, list) else value,
)
def test_a_task_of_the_script_that_was_started_has_the_name_that_a_worker_gives_it(
    tmp_path: Path, arguments: list[str], name: str
) -> None:
    (tmp_path / "app.py").write_text(SCRIPT)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "app.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(aqueue.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [name]


# -- what may be a task


def generator() -> Any:
    yield


async def async_generator() -> Any:
    yield


class Callable_:  # noqa: N801 - Callable is something else
    def __init__(self) -> None:
        self.name, self.factor = "not that of the task", 2

    async def __call__(self, number: int) -> int:
        return number * self.factor


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (generator, "generator is a generator function: a task returns its result, it cannot yield"),
        (async_generator, "async_generator is a generator function"),
        (Outer, "a task must be a function, not <class"),
        (5, "a task must be a function, not 5"),
        (None, "a task must be a function, not None"),
        ("add", "a task must be a function, not 'add'"),
        (staticmethod(module_function), "put @staticmethod above the task decorator"),
        (classmethod(module_function), "put @staticmethod above the task decorator"),
        (Callable_(), "is called with await, but is not a function: pass a bound method"),
    ],
)
def test_what_is_no_function_is_refused_at_once(huey: MemoryHuey, mistake: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        huey.task()(mistake)
    assert message in str(caught.value)
    assert len(huey._parts.registry) == 0


def test_a_coroutine_object_is_no_function(huey: MemoryHuey) -> None:
    coroutine = Outer().method()
    with pytest.raises(TypeError, match="a task must be a function"):
        huey.task()(coroutine)  # type: ignore[call-overload]
    coroutine.close()


def test_annotations_that_cannot_be_resolved_do_no_harm(huey: MemoryHuey) -> None:
    def task(a: NoSuchThing, b: print("never evaluated") = 5) -> NoSuchThing: ...  # type: ignore[name-defined, valid-type]  # noqa: F821

    huey.task(task).s(1)


def test_a_task_looks_like_its_function(huey: MemoryHuey) -> None:
    @huey.task
    async def add(a: int, b: int = 2) -> int:
        """Add two numbers."""
        return a + b

    assert (add.__name__, add.__doc__) == ("add", "Add two numbers.")  # type: ignore[attr-defined]
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"
    assert repr(add) == f"<Task {add.name}>"


def test_decorators_below_belong_to_the_task(huey: MemoryHuey) -> None:
    def twice(function: Callable[[int], int]) -> Callable[[int], int]:
        @functools.wraps(function)
        def wrapper(number: int) -> int:
            return 2 * function(number)

        return wrapper

    @huey.task
    @twice
    def echo(number: int) -> int:
        return number

    assert echo(4) == 8
    assert echo.name.endswith("echo")


async def test_a_method_of_an_object_can_be_a_task(huey: MemoryHuey) -> None:
    """Huey's commands of old were classes: an object holds what the runs of its method share."""
    double = huey.task(name="double")(Callable_().__call__)
    triple = Callable_()
    triple.factor = 3
    async with running(huey):
        assert await (await double.enqueue(5)) == 10
        assert await (await huey.task(name="triple")(triple.__call__).enqueue(5)) == 15


def test_attributes_of_the_function_do_not_take_the_place_of_those_of_the_task(huey: MemoryHuey) -> None:
    def work() -> str:
        return "done"

    vars(work).update(name="other", func=None, enqueue=None, declared=None)
    task = huey.task(name="work", retries=1)(work)
    assert (task.name, task.declared.retries, task(), task.func) == ("work", 1, "done", work)
    assert callable(task.enqueue)


async def test_a_task_can_be_declared_on_another_application_too(huey: MemoryHuey) -> None:
    entered: list[str] = []

    @contextmanager
    def resource() -> Iterator[int]:
        entered.append("entered")
        yield 5

    @huey.context_task(resource, as_argument=True, retries=1)
    async def add(five: int, number: int) -> int:
        return five + number

    other = MemoryHuey("other")
    again = other.task(retries=3, name="again")(add)
    assert (again.name, again.declared.retries, add.declared.retries) == ("again", 3, 1)
    assert [len(each._parts.registry) for each in (huey, other)] == [1, 1]
    async with running(other):
        assert await (await again.enqueue(2)).get(timeout=20) == 7
    assert entered == ["entered"]


def test_both_forms_of_the_decorator_declare_the_same(huey: MemoryHuey) -> None:
    bare, called = huey.task(module_function), MemoryHuey("other").task()(module_function)
    assert isinstance(bare, Task)
    assert isinstance(called, Task)
    assert (bare.name, bare.declared) == (called.name, called.declared)


# -- arguments


def empty() -> None: ...
def two(a: Any, b: Any) -> None: ...
def defaults(a: Any, b: Any = (), c: Any = None) -> None: ...
def positional_only(a: Any, b: Any = 1, /, c: Any = 2) -> None: ...
def keyword_only(a: Any, *, b: Any, c: Any = 3) -> None: ...
def only_keywords(*, a: Any, b: Any = ()) -> None: ...
def variadic(*args: Any) -> None: ...
def keywords(**kwargs: Any) -> None: ...
def everything(a: Any, /, b: Any, *args: Any, c: Any, d: Any = 4, **kwargs: Any) -> None: ...
def same_name_twice(a: Any, /, **kwargs: Any) -> None: ...
def awkward_names(self: Any, name: Any, timeout: Any = 1) -> None: ...
async def coroutine(a: Any, b: Any = 2) -> None: ...


SIGNATURES: list[Callable[..., Any]] = [
    empty,
    two,
    defaults,
    positional_only,
    keyword_only,
    only_keywords,
    variadic,
    keywords,
    everything,
]
SIGNATURES += [same_name_twice, awkward_names, coroutine, Outer().method, functools.partial(two, 1)]
SIGNATURES += [functools.partial(two, b=1)]
NAMES = ["a", "b", "c", "d", "x", "self", "name", "timeout", "kwargs"]


def takes(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        returned = function(*args, **kwargs)
    except TypeError:
        return False
    if inspect.iscoroutine(returned):
        returned.close()
    return True


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: getattr(function, "__name__", "partial"))
def test_the_arguments_that_are_accepted_are_those_that_the_function_would_take(function: Callable[..., Any]) -> None:
    check = arguments_checker(function, frozenset())
    names = [some for count in range(4) for some in combinations(NAMES, count)]
    answers = set()
    for count, some in product(range(5), names):
        args, kwargs = tuple(range(count)), dict.fromkeys(some)
        accepted = takes(check, args, kwargs)
        assert accepted == takes(function, args, kwargs), (args, kwargs)
        answers.add(accepted)
    assert answers == {True, False} or function is keywords


def test_a_wrong_call_is_told_in_the_words_of_the_interpreter(huey: MemoryHuey) -> None:
    task = huey.task(two)
    with pytest.raises(TypeError, match=r"^two\(\) missing 1 required positional argument: 'b'$"):
        task.s(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^two\(\) takes 2 positional arguments but 3 were given$"):
        task.s(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^two\(\) got an unexpected keyword argument 'c'$"):
        task.s(1, c=3)  # type: ignore[call-arg]


def test_checking_arguments_runs_nothing_of_the_function(huey: MemoryHuey) -> None:
    def careful(a: int = 1 // 1) -> None:
        raise AssertionError("it was run")

    huey.task(careful).s()


@pytest.mark.parametrize("name", ["class", "<lambda>", "not a name", ""])
def test_a_function_may_have_any_name(huey: MemoryHuey, name: str) -> None:
    def function(a: int) -> None: ...

    function.__name__ = name
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        huey.task(name="task")(function).s()  # type: ignore[call-arg]


def test_no_argument_of_the_user_is_taken_for_an_option(huey: MemoryHuey) -> None:
    @huey.task
    def greedy(id: int, delay: int, priority: int, task: int, name: int, self: int) -> None: ...  # noqa: A002

    call = greedy.s(id=1, delay=2, priority=3, task=4, name=5, self=6)
    assert call.kwargs == {"id": 1, "delay": 2, "priority": 3, "task": 4, "name": 5, "self": 6}


class Manager:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "as_argument", "context", "good", "bad"),
    [
        (lambda conn, a: None, True, False, (1,), (1, 2)),
        (lambda *args: None, True, False, (1, 2, 3), None),
        (lambda conn, *args: None, True, False, (1, 2, 3), None),
        (lambda a, task: None, False, True, (1,), (1, 2)),
        (lambda a, *, task=None: None, False, True, (1,), (1, 2)),
        (lambda a, **kwargs: None, False, True, (1,), (1, 2)),
        (lambda conn, a, task: None, True, True, (1,), (1, 2)),
    ],
)
def test_what_the_worker_fills_in_is_not_the_callers(
    function: Any, as_argument: bool, context: bool, good: tuple[Any, ...], bad: tuple[Any, ...] | None
) -> None:
    task = MemoryHuey("shop").context_task(Manager(), as_argument, context=context, name="task")(function)  # type: ignore[call-overload]
    task.s(*good)
    if bad is not None:
        with pytest.raises(TypeError):
            task.s(*bad)


@pytest.mark.parametrize("function", [lambda a: None, lambda task, /: None, lambda *args: None, lambda: None])
def test_a_function_that_cannot_take_its_run_is_refused(huey: MemoryHuey, function: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match="takes no argument 'task': context=True gives it the run"):
        huey.task(name="task", context=True)(function)


@pytest.mark.parametrize("function", [lambda: None, lambda *, conn: None, lambda **kwargs: None])
def test_a_function_that_cannot_take_its_resource_is_refused(huey: MemoryHuey, function: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match="takes no argument: as_argument=True gives it the resource"):
        huey.context_task(Manager(), as_argument=True, name="task")(function)


# -- calls


def test_s_is_a_call_that_is_not_sent_yet(huey: MemoryHuey) -> None:
    task = huey.task(two)
    call = task.s(1, b=2)
    assert (call.task, call.args, call.kwargs, call.id) == (task, (1,), {"b": 2}, None)
    assert (call.delay_ms, call.eta_ms, call.options) == (0, 0, task.declared)
    configured = task.options(id="x", delay=1.5, priority=5).s(1, 2)
    assert (configured.id, configured.delay_ms, configured.options.priority) == ("x", 1500, 5)


async def test_a_call_can_be_enqueued_in_three_ways(huey: MemoryHuey) -> None:
    task = huey.task(two)
    async with huey:
        for enqueue in (task.s(1, 2).enqueue, lambda: huey.enqueue(task.s(1, 2)), lambda: task.enqueue(1, 2)):
            assert await (await enqueue()).status() == "queued"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"delay": -5}, ValueError, "delay must be between 0 seconds and 10 years"),
        ({"delay": float("nan")}, ValueError, "delay must be between"),
        ({"delay": "5"}, TypeError, "delay must be seconds"),
        ({"delay": timedelta(days=-1)}, ValueError, "delay must be between"),
        ({"delay": 100 * 365 * 86400}, ValueError, "delay must be between"),
        ({"eta": 5}, TypeError, "eta must be a datetime"),
        ({"eta": datetime(2026, 1, 1), "delay": 5}, ValueError, "give eta= or delay=, not both"),
        ({"id": ""}, ValueError, "id must be 1 to 200 characters"),
        ({"id": 5}, TypeError, "id must be a str"),
        ({"id": "{a}"}, ValueError, "id must be"),
        ({"priorty": 5}, TypeError, "did you mean 'priority'?"),
        ({"priority": 101}, ValueError, "priority must be between -100 and 100"),
        ({"queue": "a b"}, ValueError, "queue must be"),
    ],
)
async def test_a_bad_option_of_a_call_is_an_error_of_the_call(
    huey: MemoryHuey, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    task = huey.task(empty)
    with pytest.raises(error) as caught:
        task.options(**arguments)
    assert message in str(caught.value)
    with pytest.raises(error) as caught:
        await task.schedule(**{"delay": 1, **arguments} if "eta" not in arguments else arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"args": 1, "delay": 5}, TypeError, r"schedule\(\) takes args as a tuple, not 1: write args=\(1,\)"),
        ({"args": [1], "delay": 5}, TypeError, "takes args as a tuple"),
        ({"kwargs": [1], "delay": 5}, TypeError, "takes kwargs as a dict"),
        ({"args": (1, 2)}, ValueError, "needs eta= or delay="),
        ({"args": (1,), "delay": 5}, TypeError, "missing 1 required positional argument"),
        ({"args": (1, 2), "eta": datetime(2026, 1, 1), "delay": 5}, ValueError, "not both"),
    ],
)
async def test_schedule_is_refused_at_the_call(
    huey: MemoryHuey, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await huey.task(two).schedule(**arguments)


async def test_schedule_takes_every_option(huey: MemoryHuey) -> None:
    async with huey:
        result = await huey.task(two).schedule((1, 2), delay=60, id="mine", priority=5, retries=3)
        assert (result.id, await result.status()) == ("mine", "scheduled")


def test_when_a_call_is_due() -> None:
    eta = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert due(None, None) == (0, 0)
    assert due(None, 1.5) == (1500, 0)
    assert due(None, 0) == (0, 0)
    assert due(eta, None) == (0, round(eta.timestamp() * 1000))
    assert due(datetime(1970, 1, 1, tzinfo=UTC), None) == (0, 1)
    naive = datetime(2026, 7, 1, 12)
    assert due(naive, None, convert_utc=False) == due(eta, None)
    assert due(naive, None) == (0, round(naive.timestamp() * 1000))


async def test_map_takes_a_tuple_as_arguments_and_anything_else_as_one(huey: MemoryHuey) -> None:
    seen: list[Any] = []
    task = huey.task(name="note")(lambda *args: seen.append(args))
    async with huey:
        await task.map([(1, 2), 3, [4, 5], {"six": 7}, "89", (), ((10,),)])
        await huey.create_worker(burst=True, concurrency=1).run()
    assert seen == [(1, 2), (3,), ([4, 5],), ({"six": 7},), ("89",), (), ((10,),)]


async def test_map_with_one_bad_item_sends_nothing(huey: MemoryHuey) -> None:
    async with huey:
        with pytest.raises(TypeError, match="missing 1 required"):
            await huey.task(two).map([(1, 2), (3,)])
        assert await huey.queues.depths() == []


async def test_map_of_nothing_is_an_empty_group(huey: MemoryHuey) -> None:
    async with huey:
        results = await huey.task(two).map([])
        assert (len(results), await results) == (0, [])


async def test_a_task_that_wants_its_run_can_be_called_with_one_of_the_callers(huey: MemoryHuey) -> None:
    @huey.task(context=True)
    async def attempt(task: TaskRun | None = None) -> int:
        return 0 if task is None else task.attempt

    assert await attempt() == 0


def test_a_call_that_is_not_awaited_is_pointed_out_by_the_interpreter(huey: MemoryHuey) -> None:
    async def forget() -> None:
        huey.task(two).enqueue(1, 2)  # type: ignore[unused-coroutine]

    with pytest.warns(RuntimeWarning, match=r"'Outbox\.send' was never awaited"):
        asyncio.run(forget())


# -- the registry


def test_two_functions_of_one_name_are_told_apart(huey: MemoryHuey) -> None:
    huey.task(name="add")(two)
    with pytest.raises(
        ValueError, match=r"two tasks are named 'add': .*test_task.py:\d+ and .*test_task.py:\d+; declare"
    ):
        huey.task(name="add")(defaults)
    task = huey._parts.registry.get("add")
    assert task is not None
    assert task.func is two


def test_one_function_may_have_two_names_and_be_declared_again(huey: MemoryHuey) -> None:
    first, second = huey.task(name="a")(two), huey.task(name="b")(two)
    again = huey.task(name="a", retries=3)(two)
    assert [task.name for task in huey._parts.registry] == ["a", "b"]
    assert huey._parts.registry.get("a") is again
    assert (first.declared.retries, second.declared.retries, again.declared.retries) == (0, 0, 3)


def test_the_nearest_name_is_suggested(huey: MemoryHuey) -> None:
    huey.task(name="shop.tasks.add")(two)
    assert huey._parts.registry.nearest("shop.task.add") == "shop.tasks.add"
    assert huey._parts.registry.nearest("something else") is None
    assert huey._parts.registry.get("shop.task.add") is None
