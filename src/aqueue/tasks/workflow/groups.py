"""Groups and chords: calls, pipelines and chords that run in parallel, and a callback for when all have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...client.results import ChordResult, ResultGroup
from .graph import Graph, Plan
from .inputs import Passing
from .steps import following, join_of, members_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from .graph import Member, PlannedNode
    from .steps import Following, OnFailure, Pipeline

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Group(Generic[R_co]):
    """Calls, pipelines and chords that run in parallel."""

    __slots__ = ("members",)

    def __init__(self, members: tuple[Member, ...]) -> None:
        self.members = members

    def __repr__(self) -> str:
        return f"<Group of {len(self.members)}>"

    def then(self, callback: Following[T], /, *args: Any, **kwargs: Any) -> Chord[T]:
        """A chord of these members: `callback` runs with `args` and the list of their results; see ``chord``."""
        return Chord(self, following(callback, args, kwargs, "then"))

    def error(self, handler: Following[Any], /, *args: Any, **kwargs: Any) -> Group[R_co]:
        """This, with an error handler for every call in it, including each stage of a pipeline."""
        return Group(tuple(member._handled(handler, args, kwargs) for member in self.members))

    def enqueue(self) -> Coroutine[Any, Any, ResultGroup[R_co]]:
        """Send it as a whole; returns a handle for each member. Raises like ``Step.enqueue``."""
        if not self.members:
            return _nothing()
        sent: Coroutine[Any, Any, ResultGroup[R_co]] = self.members[0]._last_call.task._outbox.send_workflow(self)
        return sent

    def _add_members_to(self, graph: Graph) -> tuple[PlannedNode, ...]:
        """Add all nodes, and return those of the members' last calls."""
        return tuple(member._add_to(graph) for member in self.members)

    def _plan(self) -> Plan[ResultGroup[R_co]]:
        graph = Graph()
        members = self._add_members_to(graph)
        return Plan(graph.nodes(), lambda result_of: ResultGroup(result_of(member.id) for member in members))


class Chord(Generic[R_co]):
    """A group, and a callback with the list of its results. `R` is what the callback returns."""

    __slots__ = ("callback", "group", "on_failure")

    def __init__(self, group: Group[Any], callback: Pipeline[Any], on_failure: OnFailure = "collect") -> None:
        self.group = group
        self.callback = callback
        self.on_failure = on_failure

    def __repr__(self) -> str:
        return f"<Chord of {len(self.group.members)}, then {self.callback.steps[0].call.task.name}>"

    def then(self, target: Following[Any], /, *args: Any, **kwargs: Any) -> Chord[R_co]:
        """This, then `target` with the return value of the callback; see ``Pipeline.then``."""
        return Chord(self.group, self.callback.then(target, *args, **kwargs), self.on_failure)

    def error(self, handler: Following[Any], /, *args: Any, **kwargs: Any) -> Chord[R_co]:
        """This, with an error handler for its callback; see ``Step.error``."""
        return Chord(self.group, self.callback.error(handler, *args, **kwargs), self.on_failure)

    def enqueue(self) -> Coroutine[Any, Any, ChordResult[R_co]]:
        """Send it as a whole; returns handles for the members and the callback. Raises like ``Step.enqueue``."""
        sent: Coroutine[Any, Any, ChordResult[R_co]] = self._last_call.task._outbox.send_workflow(self)
        return sent

    def _as_member(self) -> Chord[R_co]:
        return self

    @property
    def _last_call(self) -> Any:
        return self.callback._last_call

    def _add_to(self, graph: Graph) -> PlannedNode:
        return self._add_all_to(graph)[1][-1]

    def _add_all_to(self, graph: Graph) -> tuple[tuple[PlannedNode, ...], list[PlannedNode]]:
        members = self.group._add_members_to(graph)
        join = join_of(self.on_failure, Passing.LIST)
        return members, self.callback._add_stages_to(graph, join._replace(before=members))

    def _handled(self, handler: Following[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Chord[R_co]:
        """This, with a handler for each stage of its callback."""
        return Chord(self.group, self.callback._handled(handler, args, kwargs), self.on_failure)

    def _plan(self) -> Plan[ChordResult[R_co]]:
        graph = Graph()
        members, callback = self._add_all_to(graph)
        return Plan(
            graph.nodes(),
            lambda result_of: ChordResult(
                ResultGroup(result_of(member.id) for member in members),
                ResultGroup(result_of(stage.id) for stage in callback),
            ),
        )


def group(members: Iterable[Any]) -> Group[Any]:
    """Calls, made with ``task.s(...)``, pipelines and chords that run in parallel.

    Raises:
        TypeError: one of `members` has another type.
    """
    return Group(members_of(members))


def chord(members: Iterable[Any], callback: Following[T], *, on_failure: OnFailure = "collect") -> Chord[T]:
    """A group, and a `callback` that runs with the list of its results, in the order of `members`.

    `on_failure` says what happens if a member has no result. With ``"collect"``, the list has an ``Error`` in its place
    if it failed, and ``SKIPPED`` if it was cancelled or has expired. With ``"ignore"``, the list leaves it out. With
    ``"fail_fast"``, the callback is cancelled at once.

    Raises:
        TypeError: one of `members` cannot be a member, or `callback` cannot follow.
        ValueError: `on_failure` is not one of these three.
    """
    join_of(on_failure, Passing.LIST)
    return Chord(group(members), following(callback, (), {}, "chord"), on_failure)


async def _nothing() -> ResultGroup[Any]:
    return ResultGroup([])
