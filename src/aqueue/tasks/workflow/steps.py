"""Steps and pipelines: immutable values that are put together, and enqueued as a whole.

Each place where a call stands in a workflow is a run of its own. What comes `after` a call is after the run of the one
place where that stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar, get_args

from ...client.results import ResultGroup
from ...core.message import Trigger
from .graph import Graph, Join, Plan
from .inputs import Passing

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from ...client.results import Result
    from .graph import Member, PlannedNode

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

OnFailure: TypeAlias = Literal["fail_fast", "collect", "ignore"]


class Following(Protocol[R_co]):
    """What can follow: a task, one with options, a call, a step or a pipeline."""

    def _as_pipeline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R_co]:
        """Itself with more arguments for its first call, which gets the rest from what it follows."""


class Step(Generic[R_co]):
    """A call at its place in a workflow: after others, with a handler for its failure, or both."""

    __slots__ = ("_join", "after", "call", "handler")

    def __init__(
        self, call: Any, handler: Pipeline[Any] | None = None, after: tuple[Member, ...] = (), join: Join | None = None
    ) -> None:
        self.call = call
        self.handler = handler
        self.after = after
        self._join = join or Join()

    def __repr__(self) -> str:
        return f"<Step {self.call.task.name}>"

    def then(self, target: Following[T], /, *args: Any, **kwargs: Any) -> Pipeline[T]:
        """This, and `target` with its result; see ``Pipeline.then``."""
        return Pipeline((self,)).then(target, *args, **kwargs)

    def error(self, handler: Following[Any], /, *args: Any, **kwargs: Any) -> Step[R_co]:
        """This, with a handler: when it has failed, `handler` is run with `args` and the ``TaskException``.

        A second handler is for the failure of the first.
        """
        if self.handler is not None:
            return Step(self.call, self.handler.error(handler, *args, **kwargs), self.after, self._join)
        return Step(self.call, following(handler, args, kwargs, "error"), self.after, self._join)

    def enqueue(self) -> Coroutine[Any, Any, Result[R_co]]:
        """Send it, with all that it is after and its handlers, as a whole or not at all.

        Raises:
            ValueError: these cannot be enqueued together, or the store knows some of their ids.
            EncodeError, QueueUnavailable, QueueFull: see ``Task.enqueue``.
        """
        sent: Coroutine[Any, Any, Result[R_co]] = self.call.task._outbox.send_workflow(self)
        return sent

    def _as_pipeline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R_co]:
        call = self.call._extended(args, kwargs) if args or kwargs else self.call
        return Pipeline((Step(call, self.handler, self.after, self._join),))

    def _as_member(self) -> Pipeline[R_co]:
        return Pipeline((self,))

    def _add_to(self, graph: Graph, join: Join | None = None) -> PlannedNode:
        """Add its nodes; the one of its call, which has `join` unless it is after others, is returned."""
        if self.after:
            node = graph.add_after(self.call, self.after, self._join)
        else:
            node = graph.add(self.call, join or self._join)
        if self.handler is not None:
            self.handler._add_stages_to(graph, Join((node,), Trigger.FAILED, Passing.ERROR))
        return node

    def _plan(self) -> Plan[Result[R_co]]:
        graph = Graph()
        node = self._add_to(graph)
        return Plan(graph.nodes(), lambda result_of: result_of(node.id))


class JoinedTask(Generic[R_co]):
    """A task that is run after others; made by ``Task.after``."""

    __slots__ = ("_call", "_join", "_members")

    def __init__(self, call: Any, members: Iterable[Any], on_failure: OnFailure) -> None:
        self._call = call
        self._members = members_of(members)
        self._join = join_of(on_failure, Passing.EACH)
        if not self._members:
            raise ValueError("after() takes at least one call, pipeline or chord")

    def s(self, /, *args: Any, **kwargs: Any) -> Step[R_co]:
        """The task with these arguments, and the results of those before it behind them."""
        return Step(self._call._extended(args, kwargs), after=self._members, join=self._join)

    def enqueue(self, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Result[R_co]]:
        """Send the task with all that it is after; see ``Step.enqueue``."""
        return self.s(*args, **kwargs).enqueue()


class Pipeline(Generic[R_co]):
    """Calls, one after the other, each with the result of the one before it; `R` is what the last one returns."""

    __slots__ = ("steps",)

    def __init__(self, steps: tuple[Step[Any], ...]) -> None:
        self.steps = steps

    def __repr__(self) -> str:
        return f"<Pipeline {', '.join(step.call.task.name for step in self.steps)}>"

    def then(self, target: Following[T], /, *args: Any, **kwargs: Any) -> Pipeline[T]:
        """This, and then `target`: a task, a call or another pipeline, with `args` and the result of this.

        A tuple adds to the positional arguments, a dict to the keyword arguments that are not there yet, None adds
        nothing, and any other result is one more positional argument. When a stage does not end well, those behind it
        are cancelled.

        Raises:
            TypeError: `target` cannot follow, or does not take these arguments.
        """
        return Pipeline(self.steps + following(target, args, kwargs, "then").steps)

    def error(self, handler: Following[Any], /, *args: Any, **kwargs: Any) -> Pipeline[R_co]:
        """This, with a handler for its last stage; see ``Step.error``."""
        return Pipeline((*self.steps[:-1], self.steps[-1].error(handler, *args, **kwargs)))

    def enqueue(self) -> Coroutine[Any, Any, ResultGroup[Any]]:
        """Send it as a whole; gives a handle for each stage. Raises like ``Step.enqueue``."""
        sent: Coroutine[Any, Any, ResultGroup[Any]] = self.steps[0].call.task._outbox.send_workflow(self)
        return sent

    def _as_pipeline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R_co]:
        return Pipeline(self.steps[0]._as_pipeline(args, kwargs).steps + self.steps[1:])

    def _as_member(self) -> Pipeline[R_co]:
        return self

    @property
    def _last_call(self) -> Any:
        return self.steps[-1].call

    def _add_to(self, graph: Graph) -> PlannedNode:
        return self._add_stages_to(graph)[-1]

    def _add_stages_to(self, graph: Graph, join: Join | None = None) -> list[PlannedNode]:
        """Add its nodes; the first has `join`, and they are returned."""
        nodes: list[PlannedNode] = []
        for step in self.steps:
            nodes.append(step._add_to(graph, join))
            join = Join((nodes[-1],), Trigger.DONE, Passing.EXTEND)
        return nodes

    def _handled(self, handler: Following[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R_co]:
        """This, with a handler for each of its stages."""
        return Pipeline(tuple(step.error(handler, *args, **kwargs) for step in self.steps))

    def _plan(self) -> Plan[ResultGroup[Any]]:
        graph = Graph()
        stages = self._add_stages_to(graph)
        return Plan(graph.nodes(), lambda result_of: ResultGroup(result_of(stage.id) for stage in stages))


def join_of(on_failure: OnFailure, passing: Passing) -> Join:
    """The terms of a join that treats failures in this way.

    Raises:
        ValueError: there is no such way.
    """
    if on_failure not in get_args(OnFailure):
        raise ValueError(f"on_failure must be one of {', '.join(get_args(OnFailure))}, not {on_failure!r}")
    trigger = Trigger.DONE if on_failure == "fail_fast" else Trigger.ENDED
    return Join((), trigger, passing, drops=on_failure == "ignore")


def members_of(items: Iterable[Any]) -> tuple[Member, ...]:
    """What a workflow is made of: calls, steps, pipelines and chords.

    Raises:
        TypeError: one of `items` is none of these.
    """
    members = []
    for item in items:
        if not hasattr(item, "_as_member"):
            raise TypeError(
                f"a workflow is made of calls, as task.s(...) gives them, of pipelines and of chords, not of {item!r}"
            )
        members.append(item._as_member())
    return tuple(members)


def following(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], method: str) -> Pipeline[Any]:
    """`target` as what follows something else, for the `method` that was called.

    Raises:
        TypeError: it cannot follow, or does not take these arguments.
        ValueError: it is after something already.
    """
    if not hasattr(target, "_as_pipeline"):
        raise TypeError(f"{method}() takes a task, a call or a pipeline, not {target!r}")
    pipeline: Pipeline[Any] = target._as_pipeline(args, kwargs)
    if pipeline.steps[0].after:
        raise ValueError(f"{pipeline.steps[0]!r} is after other steps already: it cannot follow here, too")
    return pipeline
