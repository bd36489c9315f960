"""Which functions can be tasks, under which name, and how arguments are checked against their signatures."""

from __future__ import annotations

import inspect
import keyword
import os
import sys
from typing import TYPE_CHECKING, Any

from ..core.ids import check_task_name

if TYPE_CHECKING:
    from collections.abc import Callable


def task_name(function: Callable[..., Any], name: str | None) -> str:
    """The name under which `function` is registered: `name`, or its module and qualified name.

    The module of a function in the started script is ``__main__``, but a worker imports it under the name of its file.
    The task gets the name with the file in both.

    Raises:
        ValueError: `function` has no name of its own, as a lambda, or the name contains characters that are not
            accepted.
    """
    if name is not None:
        return check_task_name(name)
    qualified = getattr(function, "__qualname__", "<lambda>")
    if qualified.endswith("<lambda>"):
        raise ValueError(f"{function!r} has no name of its own: declare it with name=")
    module = script_name() if function.__module__ == "__main__" else function.__module__
    return check_task_name(f"{module}.{qualified}")


def script_name() -> str:
    """The module name under which other processes import the started script, which is ``__main__`` in this one."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    path = getattr(main, "__file__", None)
    file_name = os.path.basename(path or "__main__")  # noqa: PTH119 - pathlib takes 2 ms to import
    return spec.name if spec is not None else file_name.removesuffix(".py")


def check_function(function: Callable[..., Any]) -> None:
    """Refuse a `function` that cannot be a task.

    Raises:
        TypeError: it is not a function, or it is a generator function.
    """
    if isinstance(function, (staticmethod, classmethod)):
        raise TypeError(f"{function!r}: put @staticmethod above the task decorator")
    if not callable(function) or inspect.isclass(function):
        raise TypeError(f"a task must be a function, not {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator function: a task returns its result, it cannot yield")
    if not inspect.isroutine(function) and inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(
            f"{function!r} is called with await, but is not a function: pass a bound method, such as its __call__"
        )


def check_pool(function: Callable[..., Any], pool: str | None) -> None:
    """Refuse a function that cannot run in the `pool` that it was declared with.

    Raises:
        TypeError: it is a coroutine function, which runs in the event loop.
        ValueError: a child process cannot import it.
    """
    qualified = getattr(function, "__qualname__", "<lambda>")
    if pool is not None and inspect.iscoroutinefunction(function):
        raise TypeError(f"{qualified} is async def, and pool={pool!r} is for plain functions: leave pool out")
    if pool == "process" and "<" in qualified:
        raise ValueError(
            f"a child process cannot import {qualified}: pool='process' needs a function that is defined with def at "
            "the top level of a module"
        )


def takes_keyword(parameter: inspect.Parameter, name: str) -> bool:
    """Whether `parameter` accepts a keyword argument `name`."""
    named = parameter.name == name and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return named or parameter.kind is parameter.VAR_KEYWORD


def arguments_checker(function: Callable[..., Any], injected: frozenset[str]) -> Callable[..., None]:
    """Make a function that raises TypeError for arguments that `function` does not accept, and does nothing else.

    It has the signature of `function` and no body, so the interpreter binds the arguments. That takes a tenth of the
    time of ``inspect.Signature.bind`` and gives the interpreter's own messages.
    """
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(
            annotation=parameter.empty, default=parameter.empty if parameter.default is parameter.empty else None
        )
        for parameter in signature.parameters.values()
        if parameter.name not in injected
    ]
    bare = inspect.Signature(parameters)
    name = getattr(function, "__name__", "")
    if not name.isidentifier() or keyword.iskeyword(name):
        name = "task"
    namespace: dict[str, Any] = {}
    exec(f"def {name}{bare}: pass", namespace)  # noqa: S102 - built from identifiers alone
    checker: Callable[..., None] = namespace[name]
    return checker
