"""The one form that every workflow is turned into: nodes, and the order between them."""

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
    """What is enqueued as a whole; `H_co` is the type of the handle that the caller gets."""

    def _plan(self) -> Plan[H_co]:
        """The nodes to enqueue.

        Raises:
            ValueError: the parts cannot be enqueued together.
        """


class Member(Protocol):
    """A part of a workflow with one last call, so that other parts can come after it."""

    @property
    def _last_call(self) -> Any:
        """The call whose result is the result of this part."""

    def _add_to(self, graph: Graph) -> PlannedNode:
        """Add the nodes of this part, and return that of its last call."""

    def _handled(self, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Member:
        """This part with an error handler for each of its calls."""


class Join(NamedTuple):
    """The nodes that a node waits for, and what it does with their results."""

    before: tuple[PlannedNode, ...] = ()
    trigger: Trigger = Trigger.DONE
    passing: Passing | None = None
    drops: bool = False


class PlannedNode:
    """One run of one call, which has an id by then. `linked` is set if other nodes come after it."""

    __slots__ = ("call", "id", "join", "linked")

    def __init__(self, call: Any, join: Join) -> None:
        self.id: str = call.id or new_task_id()
        self.call = call._named(self.id)
        self.join = join
        self.linked = False

    @property
    def after(self) -> tuple[str, ...]:
        """The ids of the nodes before this one."""
        return tuple(node.id for node in self.join.before)

    def as_node(self) -> list[Any] | None:
        """The part of the message that describes the node's place in the workflow."""
        return as_node(NodeTerms(self.linked, self.join.passing, self.after, self.join.drops, self._expires_ms()))

    def on(self, envelope: Envelope, reply: str) -> Node:
        """The node as it is sent, in `envelope`; `reply` names the client to notify."""
        return Node(envelope, self.after, self.join.trigger, reply)

    def _expires_ms(self) -> int:
        """How long after it is due it may start, if it is due only once other nodes have ended; else 0."""
        expires = self.call.options.expires
        if not self.join.before or expires is None or isinstance(expires, datetime):
            return 0
        return span_ms(expires, "expires")


class Plan(NamedTuple, Generic[H_co]):
    """A workflow, complete and checked: its nodes, and a function that makes the caller's handle from their results."""

    nodes: list[PlannedNode]
    handle: Callable[[Callable[[str], Result[Any]]], H_co]

    def is_new(self, new: list[bool]) -> bool:
        """Whether the store has added the nodes, given its answer `new`; False if it knew all of them.

        Raises:
            ValueError: the store knew some of them, and so has added none.
        """
        if len(set(new)) > 1:
            known = self.nodes[new.index(False)].id
            raise ValueError(f"the store knows the task {known!r} but not the whole workflow: give it another id")
        return all(new)


def plan_of(workflow: Workflow[H]) -> Plan[H]:
    """The plan of `workflow`; raises like ``Workflow._plan``."""
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
        """Add a node for one run of `call`."""
        node = PlannedNode(call, join)
        self._nodes.append(node)
        if len(self._nodes) > MOST_NODES:
            raise ValueError(f"a workflow has at most {MOST_NODES} tasks")
        self._runs.setdefault(call, []).append(node)
        return node

    def add_after(self, call: Any, members: Sequence[Member], join: Join) -> PlannedNode:
        """Add a node for one run of `call`, after the runs of `members`, wherever they are in the workflow."""
        node = self.add(call, join)
        self._unresolved.append((node, members))
        return node

    def nodes(self) -> list[PlannedNode]:
        """All nodes, complete and checked.

        Raises:
            ValueError: the nodes cannot be enqueued together.
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
        """The one run of `member`; if the workflow has none, add it."""
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
        """Refuse a circle: nodes that wait for each other would never start."""
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
