"""Where a child process finds a task: a fresh interpreter imports it by the name of its module and its own.

The script that was started is ``__main__`` in the worker only. A child imports it by the name of its file, so that code
behind ``if __name__ == "__main__"`` does not run again.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ....exceptions import ConfigurationError
from ....tasks.signatures import script_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from ....tasks.task import Task


class Target(NamedTuple):
    """The names that lead to a task. `home` is the module with which the import of its application began."""

    module: str
    qualname: str
    home: str


_importing: ContextVar[bool] = ContextVar("aqueue_child_imports", default=False)


# -- in the worker


def target_of(task: Task[..., Any]) -> Target:
    """Where a child finds `task`.

    Raises:
        ConfigurationError: a child would not find it.
    """
    return Target(_module_of(task), task.func.__qualname__, _home_of(task.sender))


def check_processes(tasks: Iterable[Task[..., Any]]) -> None:
    """Refuse to start a worker whose child processes could not work.

    Raises:
        ConfigurationError: a child would not find one of `tasks`, or this process is itself a child.
    """
    if _importing.get():
        raise ConfigurationError(
            "a child process has imported what starts a worker: put that under if __name__ == '__main__'"
        )
    for task in tasks:
        if task.declared.pool == "process":
            _module_of(task)


def known(module: str, qualname: str) -> Any:
    """The object that has these names in a child, or None if it is not loaded here. Imports nothing."""
    for name in ("__main__", module) if module == script_name() else (module,):
        found = _attribute(sys.modules.get(name), qualname)
        if found is not None:
            return found
    return None


def _module_of(task: Task[..., Any]) -> str:
    """The name by which a child imports the module of `task`."""
    module, qualname = task.__module__, getattr(task, "__qualname__", "")
    if _attribute(sys.modules.get(module), qualname) is not task:
        raise ConfigurationError(
            f"the task {task.name} cannot run in a child process: {module}.{qualname} is not that task. Accepted is a "
            "function that is decorated where it is defined, at the top level of a module"
        )
    if module != "__main__":
        return module
    main, name = sys.modules["__main__"], script_name()
    spec = main.__spec__
    if spec is None and hasattr(main, "__file__"):
        spec = importlib.util.find_spec(name)
    if spec is None or spec.name == "__main__" or not _is_same_file(spec.origin, main.__file__):
        raise ConfigurationError(
            f"the task {task.name} cannot run in a child process: {name!r} does not lead to the script that was "
            "started. Accepted is a task in a module, or in a file that can be imported by its name"
        )
    return name


def _home_of(application: object) -> str:
    """Of the modules, other than the script, that refer to `application`: the one whose import ended last, or "".

    Imports are nested, so the import that ended last began first.
    """
    main = sys.modules["__main__"]
    for name, module in reversed(list(sys.modules.items())):
        names = getattr(module, "__dict__", {})
        if module is not main and any(value is application for value in list(names.values())):
            return name
    return ""


def _is_same_file(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and Path(one).resolve() == Path(other).resolve()


def _attribute(module: ModuleType | None, qualname: str) -> Any:
    try:
        return functools.reduce(getattr, qualname.split("."), module)
    except Exception:
        # A module may compute its attributes.
        return None


# -- in the child


def find(target: Target) -> Task[..., Any]:
    """Import and return the task at `target`. Raises whatever the import raises."""
    reset = _importing.set(True)
    try:
        task: Any = _import(target)
    finally:
        _importing.reset(reset)
    for name in target.qualname.split("."):
        task = getattr(task, name)
    return cast("Task[..., Any]", task)


def _import(target: Target) -> ModuleType:
    try:
        return importlib.import_module(target.module)
    except ImportError:
        if not target.home:
            raise
    # Modules that import each other in a circle can be imported in one order only: that of the worker, from `home` on.
    importlib.import_module(target.home)
    return importlib.import_module(target.module)
