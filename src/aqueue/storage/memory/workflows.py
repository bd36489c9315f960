"""The nodes of workflows that wait for others, and what follows from a verdict: the rules, in plain dicts."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

from ...core.lifecycle import TRIGGERING, State
from ...core.message import as_input
from ..protocol import MOST_INPUT_BYTES, TOO_MUCH_INPUT, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...core.message import Node


class Ready(NamedTuple):
    """A node that has all its inputs."""

    node: Node
    inputs: list[bytes]


class Refused(NamedTuple):
    """A node that will not run, and the verdict that was the cause."""

    node: Node
    cause: Record


class _Waiting:
    """A node and the inputs that it has so far, by position; `is_over` once it no longer waits."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.inputs: dict[int, bytes] = {}
        self.size = 0
        self.is_over = False

    def take(self, position: int, verdict: Record) -> None:
        self.inputs[position] = as_input(verdict.state, verdict.result)
        self.size += len(self.inputs[position])

    @property
    def is_ready(self) -> bool:
        return len(self.inputs) == len(self.node.after)


class WaitingNodes:
    """The nodes that wait, and the tasks that they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._successors: defaultdict[str, list[tuple[_Waiting, int]]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._waiting)

    def ids(self) -> Iterable[str]:
        """Of the nodes that wait."""
        return self._waiting.keys()

    def clear(self) -> None:
        """Forget all nodes."""
        self._waiting.clear()
        self._successors.clear()

    def add(self, nodes: Sequence[Node]) -> None:
        """Let each of `nodes` wait for those that it is after."""
        for node in nodes:
            if node.after:
                waiting = self._waiting[node.envelope.id] = _Waiting(node)
                for position, task_id in enumerate(node.after):
                    self._successors[task_id].append((waiting, position))

    def remove(self, task_id: str) -> None:
        """A node no longer waits."""
        self._waiting.pop(task_id).is_over = True

    def follow(self, task_id: str, verdict: Record) -> Iterator[Ready | Refused]:
        """The nodes that no longer wait: the verdict of a task was the last one that they lacked, or the wrong one."""
        ended = deque([(task_id, verdict.state, verdict)])
        while ended:
            task_id, state, cause = ended.popleft()
            for waiting, position in self._successors.pop(task_id, ()):
                moved = None if waiting.is_over else self._take(waiting, position, state, cause)
                if moved is not None:
                    self.remove(moved.node.envelope.id)
                    yield moved
                if isinstance(moved, Refused):
                    ended.append((moved.node.envelope.id, State.CANCELLED, moved.cause))

    def _take(self, waiting: _Waiting, position: int, state: State, cause: Record) -> Ready | Refused | None:
        """Give a node an input; what becomes of the node if it no longer waits.

        The task before it is in `state`: its own verdict or, where it did not run either, not that of `cause`.
        """
        if state not in TRIGGERING[waiting.node.trigger]:
            return Refused(waiting.node, Record(State.CANCELLED) if cause.state is State.DONE else cause)
        waiting.take(position, cause)
        if waiting.size > MOST_INPUT_BYTES:
            return Refused(waiting.node, Record(State.CANCELLED, TOO_MUCH_INPUT))
        if not waiting.is_ready:
            return None
        return Ready(waiting.node, [waiting.inputs[position] for position in range(len(waiting.inputs))])
