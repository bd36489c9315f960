"""Steps and pipelines: immutable values that are combined, and enqueued as a whole.

Each occurrence of a call in a workflow is a run of its own. To come `after` a call, that call must occur only once.
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
    """What can follow another part: a task, with or without options, a call, a step or a pipeline."""

    def _as_pipeline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R_co]:
        """A pipeline of this, with more arguments for its first call; the part before it provides the rest."""


class Step(Generic[R_co]):
    """A call in a workflow: after other calls, with an error handler, or both."""

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
        """This, then `target` with its result; see ``Pipeline.then``."""
        return Pipeline((self,)).then(target, *args, **kwargs)

    def error(self, handler: Following[Any], /, *args: Any, **kwargs: Any) -> Step[R_co]:
        """This, with a handler: if it fails, `handler` runs with `args` and the ``TaskException``.

        A second handler runs if the first one fails.
        """
        if self.handler is not None:
            return Step(self.call, self.handler.error(handler, *args, **kwargs), self.after, self._join)
        return Step(self.call, following(handler, args, kwargs, "error"), self.after, self._join)

    def enqueue(self) -> Coroutine[Any, Any, Result[R_co]]:
        """Send it as a whole or not at all, with the calls that it comes after and its handlers.

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
        """Add its nodes, and return that of its call, which has `join` unless this step has an `after` of its own."""
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
    """A task that runs after others; made by ``Task.after``."""

    __slots__ = ("_call", "_join", "_members")

    def __init__(self, call: Any, members: Iterable[Any], on_failure: OnFailure) -> None:
        self._call = call
        self._members = members_of(members)
        self._join = join_of(on_failure, Passing.EACH)
        if not self._members:
            raise ValueError("after() takes at least one call, pipeline or chord")

    def s(self, /, *args: Any, **kwargs: Any) -> Step[R_co]:
        """The task with these arguments, followed by the results of the members before it."""
        return Step(self._call._extended(args, kwargs), after=self._members, join=self._join)

    def enqueue(self, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Result[R_co]]:
        """Send the task and the members that it comes after; see ``Step.enqueue``."""
        return self.s(*args, **kwargs).enqueue()


class Pipeline(Generic[R_co]):
    """Calls that run one after the other, each with the result of the one before; the last one returns `R_co`."""

    __slots__ = ("steps",)

    def __init__(self, steps: tuple[Step[Any], ...]) -> None:
        self.steps = steps

    def __repr__(self) -> str:
        return f"<Pipeline {', '.join(step.call.task.name for step in self.steps)}>"

    def then(self, target: Following[T], /, *args: Any, **kwargs: Any) -> Pipeline[T]:
        """This, then `target`: a task, a call or another pipeline, with `args` and the result of this.

        A tuple adds positional arguments, a dict adds keyword arguments that the call does not have yet, None adds
        nothing, and any other result is one more positional argument. If a stage fails or is cancelled, the stages
        after it are cancelled.

        Raises:
            TypeError: `target` cannot follow, or does not take these arguments.
        """
        return Pipeline(self.steps + following(target, args, kwargs, "then").steps)

    def error(self, handler: Following[Any], /, *args: Any, **kwargs: Any) -> Pipeline[R_co]:
        """This, with an error handler for its last stage; see ``Step.error``."""
        return Pipeline((*self.steps[:-1], self.steps[-1].error(handler, *args, **kwargs)))

    def enqueue(self) -> Coroutine[Any, Any, ResultGroup[Any]]:
        """Send it as a whole; returns a handle for each stage. Raises like ``Step.enqueue``."""
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
        """Add its nodes, the first one with `join`, and return them."""
        nodes: list[PlannedNode] = []
        for step in self.steps:
            nodes.append(step._add_to(graph, join))
            join = Join((nodes[-1],), Trigger.DONE, Passing.EXTEND)
        return nodes

    def _handled(self, handler: Following[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pipeline[R_co]:
        """This, with an error handler for each of its stages."""
        return Pipeline(tuple(step.error(handler, *args, **kwargs) for step in self.steps))

    def _plan(self) -> Plan[ResultGroup[Any]]:
        graph = Graph()
        stages = self._add_stages_to(graph)
        return Plan(graph.nodes(), lambda result_of: ResultGroup(result_of(stage.id) for stage in stages))


def join_of(on_failure: OnFailure, passing: Passing) -> Join:
    """The join that treats failures as `on_failure` says.

    Raises:
        ValueError: `on_failure` is unknown.
    """
    if on_failure not in get_args(OnFailure):
        raise ValueError(f"on_failure must be one of {', '.join(get_args(OnFailure))}, not {on_failure!r}")
    trigger = Trigger.DONE if on_failure == "fail_fast" else Trigger.ENDED
    return Join((), trigger, passing, drops=on_failure == "ignore")


def members_of(items: Iterable[Any]) -> tuple[Member, ...]:
    """`items` as members of a workflow: calls, steps, pipelines and chords.

    Raises:
        TypeError: one of `items` has another type.
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
    """`target` as a part that follows another one; errors name the `method` that the user called.

    Raises:
        TypeError: `target` cannot follow, or does not take these arguments.
        ValueError: `target` comes after other steps already.
    """
    if not hasattr(target, "_as_pipeline"):
        raise TypeError(f"{method}() takes a task, a call or a pipeline, not {target!r}")
    pipeline: Pipeline[Any] = target._as_pipeline(args, kwargs)
    if pipeline.steps[0].after:
        raise ValueError(f"{pipeline.steps[0]!r} comes after other steps already: it cannot follow here, too")
    return pipeline
