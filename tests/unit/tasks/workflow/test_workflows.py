"""What a workflow comes to: its nodes, who is after whom, and what cannot be enqueued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import Chord, EncodeError, Group, MemoryHuey, Pipeline, Step, Task, chord, group
from aqueue.core.codec import decode_message
from aqueue.core.message import Envelope, Node, Trigger
from aqueue.tasks.workflow import graph
from aqueue.tasks.workflow.graph import plan_of
from aqueue.tasks.workflow.inputs import Passing

if TYPE_CHECKING:
    from collections.abc import Callable

    from aqueue.tasks.workflow.graph import Workflow


@pytest.fixture
def huey() -> MemoryHuey:
    return MemoryHuey("shop")


def declare(huey: MemoryHuey, name: str) -> Task[..., Any]:
    @huey.task(name=name)
    async def function(*args: Any, **kwargs: Any) -> Any: ...

    return function


@pytest.fixture
def a(huey: MemoryHuey) -> Task[..., Any]:
    return declare(huey, "a")


@pytest.fixture
def b(huey: MemoryHuey) -> Task[..., Any]:
    return declare(huey, "b")


@pytest.fixture
def c(huey: MemoryHuey) -> Task[..., Any]:
    return declare(huey, "c")


def edges(workflow: Workflow[Any]) -> list[tuple[str, list[str], str, str | None]]:
    """Each node of `workflow`: its task and arguments, those of the nodes before it, and the terms of its join."""
    nodes = plan_of(workflow).nodes
    names = {node: f"{node.call.task.name}{node.call.args or ''}" for node in nodes}
    return [
        (names[node], [names[before] for before in node.join.before], node.join.trigger.value, node.join.passing)
        for node in nodes
    ]


def linked(workflow: Workflow[Any]) -> list[bool]:
    return [node.linked for node in plan_of(workflow).nodes]


DONE, ENDED, FAILED = (trigger.value for trigger in Trigger)


# -- shapes


def test_a_pipeline_is_a_chain(a: Task[..., Any], b: Task[..., Any]) -> None:
    pipeline = a.s(1).then(b, 2).then(a.s(3), 4)
    assert edges(pipeline) == [
        ("a(1,)", [], DONE, None),
        ("b(2,)", ["a(1,)"], DONE, Passing.EXTEND),
        ("a(3, 4)", ["b(2,)"], DONE, Passing.EXTEND),
    ]
    assert linked(pipeline) == [True, True, False]
    assert repr(pipeline) == "<Pipeline a, b, a>"


def test_a_pipeline_goes_on_with_a_pipeline(a: Task[..., Any], b: Task[..., Any]) -> None:
    whole = a.s(1).then(b.s(2).then(a, 3), 4, key=5)
    assert edges(whole) == edges(a.s(1).then(b, 2, 4, key=5).then(a, 3))
    assert plan_of(whole).nodes[1].call.kwargs == {"key": 5}


def test_a_handler_is_after_the_failure_of_its_task(a: Task[..., Any], b: Task[..., Any], c: Task[..., Any]) -> None:
    assert edges(a.s(1).error(b, 2).then(c)) == [
        ("a(1,)", [], DONE, None),
        ("b(2,)", ["a(1,)"], FAILED, Passing.ERROR),
        ("c", ["a(1,)"], DONE, Passing.EXTEND),
    ]
    assert edges(a.s(1).error(b, 2).error(c, 3)) == [
        ("a(1,)", [], DONE, None),
        ("b(2,)", ["a(1,)"], FAILED, Passing.ERROR),
        ("c(3,)", ["b(2,)"], FAILED, Passing.ERROR),
    ]
    assert edges(a.s(1).then(b).error(c, 3))[-1] == ("c(3,)", ["b"], FAILED, Passing.ERROR)


def test_a_group_is_its_members(a: Task[..., Any], b: Task[..., Any], c: Task[..., Any]) -> None:
    members = group([a.s(1), b.s(2).then(b, 3)])
    assert edges(members) == [
        ("a(1,)", [], DONE, None),
        ("b(2,)", [], DONE, None),
        ("b(3,)", ["b(2,)"], DONE, Passing.EXTEND),
    ]
    handled = [(name, before) for name, before, trigger, _ in edges(members.error(c)) if trigger == FAILED]
    assert handled == [("c", ["a(1,)"]), ("c", ["b(2,)"]), ("c", ["b(3,)"])]


@pytest.mark.parametrize(("on_failure", "trigger"), [("collect", ENDED), ("ignore", ENDED), ("fail_fast", DONE)])
def test_a_chord_is_a_join(
    a: Task[..., Any], b: Task[..., Any], c: Task[..., Any], on_failure: Any, trigger: str
) -> None:
    workflow = chord([a.s(1), a.s(2).then(a, 3)], b, on_failure=on_failure).then(c)
    assert edges(workflow) == [
        ("a(1,)", [], DONE, None),
        ("a(2,)", [], DONE, None),
        ("a(3,)", ["a(2,)"], DONE, Passing.EXTEND),
        ("b", ["a(1,)", "a(3,)"], trigger, Passing.LIST),
        ("c", ["b"], DONE, Passing.EXTEND),
    ]
    assert [node.join.drops for node in plan_of(workflow).nodes] == [False] * 3 + [on_failure == "ignore", False]
    assert edges(workflow.error(a, 4))[-1] == ("a(4,)", ["c"], FAILED, Passing.ERROR)


def test_a_chord_in_a_chord_counts_with_its_last_result(
    a: Task[..., Any], b: Task[..., Any], c: Task[..., Any]
) -> None:
    inner = chord([a.s(1)], b).then(b, 2)
    assert edges(chord([inner, a.s(3)], c))[-1] == ("c", ["b(2,)", "a(3,)"], ENDED, Passing.LIST)
    handled = [before for _, before, trigger, _ in edges(group([inner]).error(c)) if trigger == FAILED]
    assert handled == [["b"], ["b(2,)"]]


def test_what_comes_after_others_brings_them_along(a: Task[..., Any], b: Task[..., Any], c: Task[..., Any]) -> None:
    first = a.s(1)
    left, right = b.after(first).s(2), b.options(priority=3).after(first, on_failure="collect").s(3)
    workflow = c.after(left, right).s(4).error(a)
    assert sorted(edges(workflow), key=str) == [
        ("a", ["c(4,)"], FAILED, Passing.ERROR),
        ("a(1,)", [], DONE, None),
        ("b(2,)", ["a(1,)"], DONE, Passing.EACH),
        ("b(3,)", ["a(1,)"], ENDED, Passing.EACH),
        ("c(4,)", ["b(2,)", "b(3,)"], DONE, Passing.EACH),
    ]


def test_what_comes_after_a_part_of_the_workflow_is_after_that_run(a: Task[..., Any], b: Task[..., Any]) -> None:
    first = a.s(1)
    pipeline = first.then(a, 2)
    inner = chord([a.s(3)], a)
    after_all = b.after(first, pipeline, inner).s().then(b, 4)
    assert edges(group([after_all, inner, pipeline.then(a, 5)])) == [
        ("b", ["a(1,)", "a(2,)", "a"], DONE, Passing.EACH),
        ("b(4,)", ["b"], DONE, Passing.EXTEND),
        ("a(3,)", [], DONE, None),
        ("a", ["a(3,)"], ENDED, Passing.LIST),
        ("a(1,)", [], DONE, None),
        ("a(2,)", ["a(1,)"], DONE, Passing.EXTEND),
        ("a(5,)", ["a(2,)"], DONE, Passing.EXTEND),
    ]


def test_a_call_that_stands_twice_is_run_twice(a: Task[..., Any], b: Task[..., Any]) -> None:
    call = a.s(1)
    assert len({node.id for node in plan_of(group([call] * 3)).nodes}) == 3
    assert len(plan_of(group([call.then(b), call.then(b)])).nodes) == 4


def test_putting_together_changes_nothing(a: Task[..., Any], b: Task[..., Any]) -> None:
    call = a.s(1)
    pipeline, members = call.then(b), group([call])
    joined = chord([call], b)
    for value in (
        call.error(b),
        pipeline.then(b),
        pipeline.error(b),
        members.error(b),
        joined.then(b),
        joined.error(b),
    ):
        assert value is not None
    assert (len(plan_of(pipeline).nodes), len(plan_of(members).nodes), len(plan_of(joined).nodes)) == (2, 1, 2)
    assert (call.args, call.kwargs) == ((1,), {})


# -- ids and options


def test_every_node_has_its_id_before_anything_is_sent(a: Task[..., Any], b: Task[..., Any]) -> None:
    pipeline = a.options(id="first").s().then(b.options(id="second", priority=7, queue="mails", delay=2))
    first, second = plan_of(pipeline).nodes
    assert (first.id, second.id) == ("first", "second")
    assert (second.call.id, second.call.options.priority, second.call.options.queue) == ("second", 7, "mails")
    assert second.call.delay_ms == 2_000


async def test_a_span_to_expire_in_counts_from_when_a_stage_is_due(huey: MemoryHuey, a: Task[..., Any]) -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    pipeline = a.s().then(a.options(expires=timedelta(seconds=5))).then(a.options(expires=moment))
    first, second, third = nodes = plan_of(pipeline).nodes
    messages = [
        decode_message("id", huey._parts.outbox.write(node.call, "me", node.as_node())[1].payload) for node in nodes
    ]
    assert [message.node for message in messages] == [
        [True],
        [True, "extend", [first.id], False, 5_000],
        [False, "extend", [second.id]],
    ]
    assert messages[2].expires_ms == int(moment.timestamp() * 1000)
    assert third.on(Envelope(third.id, b""), "me") == Node(Envelope(third.id, b""), (second.id,), Trigger.DONE, "me")


# -- what cannot be


def bad(a: Task[..., Any], b: Task[..., Any]) -> dict[str, tuple[Callable[[], Any], type[Exception], str]]:
    call, twice = a.s(), a.s()
    return {
        "follower": (lambda: a.s().then(5), TypeError, "then() takes a task, a call or a pipeline, not 5"),
        "group follower": (lambda: a.s().then(group([])), TypeError, "not <Group of 0>"),
        "handler": (lambda: a.s().error(print), TypeError, "error() takes a task, a call or a pipeline, not <built-in"),
        "callback": (lambda: chord([], None), TypeError, "chord() takes a task, a call or a pipeline, not None"),
        "group in group": (lambda: group([group([])]), TypeError, "not of <Group of 0>"),
        "task in group": (lambda: group([a]), TypeError, "not of <Task a>"),
        "after nothing": (lambda: a.after(), ValueError, "after() takes at least one"),
        "after a group": (lambda: a.after(group([call])), TypeError, "not of <Group of 1>"),
        "policy": (lambda: chord([], a, on_failure="panic"), ValueError, "collect, ignore, not 'panic'"),
        "policy of after": (lambda: a.after(call, on_failure="panic"), ValueError, "not 'panic'"),
        "two joins": (lambda: a.s().then(b.after(call).s()), ValueError, "comes after other steps already"),
        "ids": (
            lambda: plan_of(a.options(id="x").s().then(b.options(id="x"))),
            ValueError,
            "two tasks of this workflow have the id 'x'",
        ),
        "applications": (
            lambda: plan_of(a.s().then(declare(MemoryHuey("other"), "far"))),
            ValueError,
            "a and far belong to different applications",
        ),
        "which of them": (
            lambda: plan_of(group([twice, twice, b.after(twice).s()])),
            ValueError,
            "stands 2 times in this workflow",
        ),
        "circle": (lambda: plan_of(b.after(call).s().then(call)), ValueError, "goes in a circle"),
        "depth": (lambda: plan_of(nested(a, 3_000)), ValueError, "<Chord of 1, then a> is nested too deeply"),
    }


def nested(task: Task[..., Any], depth: int) -> Chord[Any]:
    workflow = chord([], task)
    for _ in range(depth):
        workflow = chord([workflow], task)
    return workflow


@pytest.mark.parametrize("case", bad(declare(MemoryHuey("shop"), "a"), declare(MemoryHuey("shop"), "b")))
def test_what_cannot_be_is_refused_at_once(a: Task[..., Any], b: Task[..., Any], case: str) -> None:
    make, kind, message = bad(a, b)[case]
    with pytest.raises(kind) as caught:
        make()
    assert message in str(caught.value)


def test_nobody_follows_with_arguments_that_do_not_fit(huey: MemoryHuey) -> None:
    @huey.task(name="mul")
    async def mul(a: int, b: int) -> int:
        return a * b

    start = mul.s(1, 2)
    assert plan_of(start.then(mul, 3)).nodes[1].call.args == (3,)
    assert plan_of(start.then(mul, b=3)).nodes[1].call.kwargs == {"b": 3}
    with pytest.raises(TypeError, match="mul: too many positional arguments"):
        start.then(mul, 1, 2, 3)
    with pytest.raises(TypeError, match="mul: got an unexpected keyword argument 'c'"):
        chord([start], mul.options(priority=1)).callback.steps[0].call._extended((), {"c": 1})
    with pytest.raises(TypeError, match="mul: multiple values for argument 'a'"):
        start.error(mul.s(1, 2), a=3)


def test_the_workflow_has_a_size_that_a_store_can_take(a: Task[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_NODES", 5)
    assert len(plan_of(group([a.s() for _ in range(5)])).nodes) == 5
    with pytest.raises(ValueError, match="a workflow has at most 5 tasks"):
        plan_of(group([a.s() for _ in range(6)]))


def test_long_workflows_are_no_deep_ones(a: Task[..., Any]) -> None:
    pipeline: Pipeline[Any] = Pipeline(tuple(Step(a.s()) for _ in range(5_000)))
    assert len(plan_of(pipeline).nodes) == 5_000
    step: Any = a.s()
    for _ in range(5_000):
        step = a.after(step).s()
    assert len(plan_of(step).nodes) == 5_001


# -- enqueueing


async def test_nothing_is_sent_of_a_workflow_that_cannot_travel(huey: MemoryHuey, a: Task[..., Any]) -> None:
    async with huey:
        with pytest.raises(EncodeError):
            await a.options(id="first").s().then(a, object()).enqueue()
        assert await huey.result("first").status() == "unknown"


async def test_a_workflow_is_new_as_a_whole(huey: MemoryHuey, a: Task[..., Any], b: Task[..., Any]) -> None:
    async with huey:
        await a.options(id="known").enqueue()
        with pytest.raises(ValueError, match="the store knows the task 'known' but not the whole workflow"):
            await a.options(id="first").s().then(b.options(id="known")).enqueue()
        assert await huey.result("first").status() == "unknown"


async def test_an_empty_group_is_enqueued_without_a_word(huey: MemoryHuey) -> None:
    results = await huey.enqueue(group([]))
    assert (len(results), await results) == (0, [])
    assert isinstance(group([]), Group)


async def test_the_application_enqueues_whatever_can_be(huey: MemoryHuey, a: Task[..., Any]) -> None:
    async with huey:
        assert (await huey.enqueue(a.s())).created
        assert len(await huey.enqueue(a.s().then(a))) == 2
        assert len(await huey.enqueue(group([a.s()] * 3))) == 3
        result = await huey.enqueue(chord([a.s()], a).then(a))
        assert (len(result.results), len(result.pipeline_results)) == (1, 2)
        assert repr(result) == "<ChordResult of 1>"
        assert (await huey.enqueue(a.s().error(a))).created
        assert (await huey.enqueue(a.after(a.s()).s())).created


async def test_many_calls_are_no_workflow(huey: MemoryHuey, a: Task[..., Any]) -> None:
    async with huey:
        for item in (a.s().then(a), a.s().error(a), group([]), 5):
            with pytest.raises(TypeError, match=r"enqueue_many\(\) takes calls, as task\.s\(\.\.\.\) gives them, not "):
                await huey.enqueue_many([a.options(id="first").s(), item])  # type: ignore[list-item]
        assert await huey.result("first").status() == "unknown"
