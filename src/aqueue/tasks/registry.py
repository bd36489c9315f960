"""The tasks and the schedules of one application, by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .schedule import Schedule, ScheduleState
    from .task import Task


class Registry:
    """Tasks and schedules by name. A message names its task; a worker runs only tasks registered here.

    `tasks` is a read-only view of all tasks; `schedules` has the schedules that the code declares.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        self.tasks: Mapping[str, Task[..., Any]] = MappingProxyType(self._tasks)
        self.schedules: dict[str, Schedule] = {}

    def __iter__(self) -> Iterator[Task[..., Any]]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task[..., Any]) -> None:
        """Register `task`. If a reloaded module declares the same function again, the new task replaces the old one.

        Raises:
            ValueError: another function has the name.
        """
        known = self._tasks.get(task.name)
        if known is not None and _origin(known) != _origin(task):
            raise ValueError(
                f"two tasks are named {task.name!r}: {_origin(known)} and {_origin(task)}; declare one with name="
            )
        self._tasks[task.name] = task

    def get(self, name: str) -> Task[..., Any] | None:
        return self._tasks.get(name)

    def schedule(self, name: str, state: ScheduleState | None) -> Schedule | None:
        """The schedule declared under `name`, else the one that was added at run time, if its task is known here.

        Raises:
            KeyError, TypeError, ValueError: the added schedule cannot be read here.
        """
        declared = self.schedules.get(name)
        if declared is not None or state is None or state.added is None:
            return declared
        from .schedule import restored  # most applications have none

        task = self.get(state.added["task"])
        return None if task is None else restored(name, state.added, task)

    def nearest(self, name: str) -> str | None:
        """The registered name that looks most like `name`."""
        import difflib  # only where something is wrong

        near = difflib.get_close_matches(name, self._tasks, 1)
        return near[0] if near else None


def _origin(task: Task[..., Any]) -> str:
    code = getattr(task.func, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(task.func)
