"""Which levels (a queue at one priority) exist: the streams that a worker has to read, highest priority first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .keys import level_of, priority_of, queue_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Levels:
    """The levels of a namespace, as last seen."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._ordered: dict[tuple[str, ...], list[str]] = {}

    def learn(self, members: Iterable[bytes]) -> None:
        """Take in the members of the set of levels."""
        known = frozenset(member.decode() for member in members)
        if known != self._known:
            self._known = known
            self._ordered = {}

    def of(self, queues: Sequence[str]) -> list[str]:
        """The levels of `queues`, highest priority first, equal ones in the order of `queues`."""
        asked = tuple(queues)
        ordered = self._ordered.get(asked)
        if ordered is None:
            # The default level is read before it holds anything, so that the first task of all finds a reader.
            levels = {level_of(queue, 0) for queue in asked} | {x for x in self._known if queue_of(x) in asked}
            ordered = sorted(levels, key=lambda level: (-priority_of(level), asked.index(queue_of(level))))
            self._ordered[asked] = ordered
        return ordered

    @property
    def queues(self) -> list[str]:
        """Every queue that ever held a task."""
        return sorted({queue_of(level) for level in self._known})

    @property
    def all(self) -> list[str]:
        """Every level that ever held a task."""
        return sorted(self._known)
