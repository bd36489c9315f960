"""The one form that every workflow comes to: nodes, and who is after whom."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from ...core.clock import span_ms
from ...core.ids import new_task_id
from ...core.message import Node, Trigger
from .inputs import NodeTerms, as_node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...client.results import Result
    from ...core.message import Envelope
    from .inputs import Passing

H = TypeVar("H")
H_co = TypeVar("H_co", covariant=True)

MOST_NODES = 100_000


class Workflow(Protocol[H_co]):
    """What is enqueued as a whole; `H_co` is the handle that this gives."""

    def _plan(self) -> Plan[H_co]:
        """What there is to enqueue.

        Raises:
            ValueError: its parts cannot be enqueued together.
        """


class Member(Protocol):
    """What can be a part of a workflow, and comes to an end that others can be after."""

    @property
    def _last_call(self) -> Any:
        """The call whose result is its result."""

    def _add_to(self, graph: Graph) -> PlannedNode:
        """Add its nodes; the one of its last call is returned."""

    def _handled(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Member:
        """Itself with a handler for each of the calls that could fail."""


class Join(NamedTuple):
    """What a node is after, and what it makes of that."""

    before: tuple[PlannedNode, ...] = ()
    trigger: Trigger = Trigger.DONE
    passing: Passing | None = None
    drops: bool = False


class PlannedNode:
    """One run of one call, which has an id now. `linked` when others are after it."""

    __slots__ = ("call", "id", "join", "linked")

    def __init__(self, call: Any, join: Join) -> None:
        self.id: str = call.id or new_task_id()
        self.call = call._named(self.id)
        self.join = join
        self.linked = False

    @property
    def after(self) -> tuple[str, ...]:
        """The ids of those before it."""
        return tuple(node.id for node in self.join.before)

    def as_node(self) -> list[Any] | None:
        """What its message says of its place in the workflow."""
        return as_node(NodeTerms(self.linked, self.join.passing, self.after, self.join.drops, self._expires_ms()))

    def on(self, envelope: Envelope, reply: str) -> Node:
        """As it is sent: in `envelope`; `reply` names the client that is told."""
        return Node(envelope, self.after, self.join.trigger, reply)

    def _expires_ms(self) -> int:
        """How long after it is due it may start, where that is not known before the others have ended."""
        expires = self.call.options.expires
        if not self.join.before or expires is None or isinstance(expires, datetime):
            return 0
        return span_ms(expires, "expires")


class Plan(NamedTuple, Generic[H_co]):
    """A workflow, complete and checked: its nodes, and what makes a handle of the results of their ids."""

    nodes: list[PlannedNode]
    handle: Callable[[Callable[[str], Result[Any]]], H_co]

    def is_new(self, new: list[bool]) -> bool:
        """Whether the store, by its answer, has kept the nodes now; False where it knew all of them.

        Raises:
            ValueError: it knew some of them, and has kept none.
        """
        if len(set(new)) > 1:
            known = self.nodes[new.index(False)].id
            raise ValueError(f"the store knows the task {known!r} but not the whole workflow: give it another id")
        return all(new)


def plan_of(workflow: Workflow[H]) -> Plan[H]:
    """What there is to enqueue of `workflow`; raises like ``Workflow._plan``."""
    try:
        return workflow._plan()
    except RecursionError:
        raise ValueError(f"{workflow!r} is nested too deeply") from None


class Graph:
    """The nodes of one workflow, in the order in which they were added."""

    def __init__(self) -> None:
        self._nodes: list[PlannedNode] = []
        self._runs: dict[Any, list[PlannedNode]] = {}
        self._unresolved: list[tuple[PlannedNode, Sequence[Member]]] = []

    def add(self, call: Any, join: Join) -> PlannedNode:
        """A node for one run of `call`."""
        node = PlannedNode(call, join)
        self._nodes.append(node)
        if len(self._nodes) > MOST_NODES:
            raise ValueError(f"a workflow has at most {MOST_NODES} tasks")
        self._runs.setdefault(call, []).append(node)
        return node

    def add_after(self, call: Any, members: Sequence[Member], join: Join) -> PlannedNode:
        """A node for one run of `call`, after the runs of `members`, wherever those stand in the workflow."""
        node = self.add(call, join)
        self._unresolved.append((node, members))
        return node

    def nodes(self) -> list[PlannedNode]:
        """All nodes, complete and checked.

        Raises:
            ValueError: they cannot be enqueued together.
        """
        while self._unresolved:
            node, members = self._unresolved.pop()
            node.join = node.join._replace(before=tuple(map(self._run_of, members)))
        for node in self._nodes:
            for before in node.join.before:
                before.linked = True
        self._check_ids()
        self._check_application()
        self._check_order()
        return self._nodes

    def _run_of(self, member: Member) -> PlannedNode:
        """The one run of `member`; one that stands nowhere in the workflow is brought along."""
        runs = self._runs.get(member._last_call)
        if runs is None:
            return member._add_to(self)
        if len(runs) > 1:
            raise ValueError(f"{member!r} stands {len(runs)} times in this workflow: after which of them?")
        return runs[0]

    def _check_ids(self) -> None:
        seen: set[str] = set()
        for node in self._nodes:
            if node.id in seen:
                raise ValueError(f"two tasks of this workflow have the id {node.id!r}")
            seen.add(node.id)

    def _check_application(self) -> None:
        tasks = [node.call.task for node in self._nodes]
        for task in tasks:
            if task._owner is not tasks[0]._owner:
                raise ValueError(
                    f"{tasks[0].name} and {task.name} belong to different applications: a workflow is enqueued in one"
                )

    def _check_order(self) -> None:
        """Raise where nodes wait for each other: no start would ever come."""
        missing = {node: len(node.join.before) for node in self._nodes}
        successors: dict[PlannedNode, list[PlannedNode]] = {}
        for node in self._nodes:
            for before in node.join.before:
                successors.setdefault(before, []).append(node)
        ready = [node for node, count in missing.items() if not count]
        while ready:
            node = ready.pop()
            del missing[node]
            for successor in successors.get(node, ()):
                missing[successor] -= 1
                if not missing[successor]:
                    ready.append(successor)
        if missing:
            raise ValueError(f"{next(iter(missing)).call!r} would wait for itself: the workflow goes in a circle")
