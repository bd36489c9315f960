"""Which tasks of workflows wait for which, and what follows when one of those ends: the rules, in plain dicts."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

from ..lifecycle import TRIGGERING, State
from ..message import as_input
from .protocol import MOST_INPUT_BYTES, TOO_MUCH_INPUT, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..message import Node


class Ready(NamedTuple):
    """A node that has all its inputs."""

    node: Node
    inputs: list[bytes]


class Refused(NamedTuple):
    """A node that will not run, and the verdict that was the cause."""

    node: Node
    cause: Record


class _Waiting:
    """A node and the inputs that it has so far, by position."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.inputs: dict[int, bytes] = {}
        self.size = 0

    def take(self, position: int, verdict: Record) -> None:
        self.inputs[position] = as_input(verdict.state, verdict.result)
        self.size += len(self.inputs[position])

    @property
    def is_ready(self) -> bool:
        return len(self.inputs) == len(self.node.after)


class Joins:
    """The nodes that wait, and for whom."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._successors: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, nodes: Sequence[Node]) -> None:
        """Let each of `nodes` wait for those that it is after."""
        for node in nodes:
            if node.after:
                self._waiting[node.envelope.id] = _Waiting(node)
                for position, task_id in enumerate(node.after):
                    self._successors[task_id].append((node.envelope.id, position))

    def follow(self, task_id: str, verdict: Record) -> Iterator[Ready | Refused]:
        """The nodes that need not wait any more, now that a task has its verdict: it was the last, or the wrong one."""
        ended = deque([(task_id, verdict.state, verdict)])
        while ended:
            task_id, state, cause = ended.popleft()
            for successor, position in self._successors.pop(task_id, ()):
                waiting = self._waiting.get(successor)
                if waiting is None:
                    # Refused already, for another of those before it.
                    continue
                moved = self._take(waiting, position, state, cause)
                if moved is not None:
                    del self._waiting[successor]
                    yield moved
                if isinstance(moved, Refused):
                    ended.append((successor, State.CANCELLED, moved.cause))

    def _take(self, waiting: _Waiting, position: int, state: State, cause: Record) -> Ready | Refused | None:
        """Give a node an input, and say whether it need not wait any more.

        The task before it is in `state`: its own verdict or, where it did not run either, not that of `cause`.
        """
        if state not in TRIGGERING[waiting.node.trigger]:
            return Refused(waiting.node, Record(State.CANCELLED) if cause.state is State.DONE else cause)
        waiting.take(position, cause)
        if waiting.size > MOST_INPUT_BYTES:
            return Refused(waiting.node, Record(State.CANCELLED, TOO_MUCH_INPUT))
        return (
            Ready(waiting.node, [waiting.inputs[n] for n in range(len(waiting.inputs))]) if waiting.is_ready else None
        )
