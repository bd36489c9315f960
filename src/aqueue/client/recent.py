"""The tasks that a client enqueued last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..storage.protocol import Record

_MOST = 1000


class Recent:
    """The tasks that this client enqueued last while it listened: it has their verdicts, or will hear them.

    So a caller that awaits one of them needs no look-up, which would be a second round trip after that of the enqueue.
    """

    def __init__(self) -> None:
        self._verdicts: dict[str, Record | None] = {}

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._verdicts

    def add(self, task_id: str) -> None:
        """Add a task that is about to be enqueued."""
        self._verdicts[task_id] = None
        if len(self._verdicts) > _MOST:
            del self._verdicts[next(iter(self._verdicts))]

    def hear(self, task_id: str, verdict: Record | None) -> None:
        """Store the verdict of a task; None means that it was too large to be announced, so a look-up is needed."""
        if task_id in self._verdicts:
            if verdict is None:
                del self._verdicts[task_id]
            else:
                self._verdicts[task_id] = verdict

    def pop(self, task_id: str) -> Record | None:
        """Remove a task and return its verdict, if that was announced."""
        return self._verdicts.pop(task_id)

    def clear(self) -> None:
        """Remove all tasks, since their announcements may have been lost."""
        self._verdicts.clear()
