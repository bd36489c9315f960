"""Load an application from ``module:name``, with a clear error for everything that can go wrong."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import pkgutil
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .. import Huey, Task
from .failures import Failure, shown

if TYPE_CHECKING:
    from types import ModuleType

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_OUR_DIRECTORIES = (str(Path(__file__).parent.parent) + os.sep, str(Path(importlib.__file__).parent) + os.sep)


class _NoSuchModule(Exception):
    """The module `part` does not exist, so none of the user's code has run."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


def load_app(spec: str) -> Huey:
    """Load the application that `spec` names.

    Accepted are ``module:name`` and ``module.name``, where the name belongs to a ``Huey`` object or to a function that
    returns one, and ``module`` alone if it contains exactly one ``Huey``. The current directory is importable.

    Raises:
        click.UsageError: `spec` has another form.
        Failure: the form is right, but there is no such application.
    """
    module_name, colon, name = spec.strip().partition(":")
    if "/" in module_name or "\\" in module_name or module_name.endswith(".py"):
        _refuse_path(module_name, name)
    if not _NAME.fullmatch(module_name) or (colon and not _NAME.fullmatch(name)):
        raise click.UsageError(f"APP must be module:name, as in app:huey, not {shown(spec)}")
    _make_current_directory_importable()
    try:
        if colon:
            module = _import(module_name)
        else:
            module, name = _split(module_name)
    except _NoSuchModule as missing:
        raise Failure(f"cannot import {missing.part!r}: no such module{_nearest_module(missing.part)}") from None
    return _application(module, name) if name else _only_application(module)


def _refuse_path(path: str, name: str) -> NoReturn:
    parts = [part for part in re.split(r"[/\\]", path.removesuffix(".py")) if part not in {"", "."}]
    above = "" if ".." not in parts and not Path(path).is_absolute() else str(Path(path).parent)
    module = parts[-1] if above else ".".join(parts)
    where = f" in the directory {above}" if above else ""
    raise click.UsageError(
        f"APP names a module, not a file: instead of {shown(path)} use {module}:{name or 'huey'}{where}"
    )


def _make_current_directory_importable() -> None:
    try:
        directory = str(Path.cwd())
    except OSError:
        # The directory has been deleted. Installed modules can still be imported.
        return
    if directory not in sys.path:
        sys.path.insert(0, directory)


def _split(dotted: str) -> tuple[ModuleType, str]:
    """Split Huey's spelling ``module.name`` into the module and the name, which is "" for a module alone."""
    try:
        return _import(dotted), ""
    except _NoSuchModule as missing:
        parent, _, name = dotted.rpartition(".")
        if missing.part != dotted or not parent:
            raise
    return _import(parent), name


def _import(module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and not _stack_of_user(error):
            raise _NoSuchModule(error.name) from None
        _fail_with_traceback(error, f"{module_name!r} cannot be imported: {error}")
    except SystemExit as error:
        raise Failure(
            f"{module_name!r} ended the program when it was imported ({error!r}): put the code that starts it under "
            'if __name__ == "__main__"'
        ) from None
    except Exception as error:
        _fail_with_traceback(error, f"{module_name!r} raised {type(error).__name__} when it was imported")


def _application(module: ModuleType, name: str) -> Huey:
    spec = f"{module.__name__}:{name}"
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise Failure(f"{spec}: {_called(value)} has no {part!r}{_nearest_name(value, part)}")
        value = getattr(value, part)
    if isinstance(value, Huey):
        return value
    if isinstance(value, Task):
        raise Failure(f"{spec} is a task, expected the Huey object that declares it")
    if not inspect.isroutine(value):
        kind = "a class" if inspect.isclass(value) else f"{shown(value)}, a {type(value).__name__}"
        raise Failure(f"{spec} is {kind}, expected a Huey object or a function that returns one")
    return _made_by(value, spec)


def _made_by(factory: Any, spec: str) -> Huey:
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError):
        raise Failure(f"{spec} is a function that takes arguments, expected one without arguments") from None
    try:
        value = factory()
    except Exception as error:
        _fail_with_traceback(error, f"{spec} raised {type(error).__name__}")
    if inspect.iscoroutine(value):
        value.close()
        raise Failure(f"{spec} is a coroutine function, expected a plain one that returns a Huey object")
    if not isinstance(value, Huey):
        raise Failure(f"{spec} returned {shown(value)}, expected a Huey object")
    return value


def _only_application(module: ModuleType) -> Huey:
    found = _applications(module)
    if not found:
        raise Failure(f"{module.__name__!r} has no Huey object: expected a line like huey = Huey('shop')")
    if len(found) > 1:
        choices = ", ".join(f"{module.__name__}:{name}" for name in found)
        raise Failure(f"{module.__name__!r} has {len(found)} Huey objects, say which: {choices}")
    return next(iter(found.values()))


def _applications(module: ModuleType) -> dict[str, Huey]:
    """The applications in `module`, each under the first of its names."""
    found: dict[str, Huey] = {}
    for name, value in vars(module).items():
        if isinstance(value, Huey) and not any(value is known for known in found.values()):
            found[name] = value
    return found


def _called(value: Any) -> str:
    return repr(value.__name__) if inspect.ismodule(value) else shown(value)


def _nearest_name(value: Any, part: str) -> str:
    names = list(_applications(value)) if inspect.ismodule(value) else []
    near = difflib.get_close_matches(part, names or dir(value), 1) or names[:1]
    return f"; did you mean {near[0]!r}?" if near else ""


def _nearest_module(part: str) -> str:
    here = [module.name for module in pkgutil.iter_modules([sys.path[0]])]
    near = difflib.get_close_matches(part, here, 1)
    return f"; did you mean {near[0]!r}?" if near else " here or among the installed packages"


def _fail_with_traceback(error: BaseException, summary: str) -> NoReturn:
    """Fail with the traceback that ``python -c 'import app'`` would show, without aqueue's own frames."""
    told = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = told
    while link is not None:
        link.stack = traceback.StackSummary.from_list([frame for frame in link.stack if not _is_ours(frame)])
        link = link.__cause__ or link.__context__
    raise Failure("".join(told.format()) + f"aqueue: {summary}") from None


def _stack_of_user(error: BaseException) -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame)]


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(("<frozen importlib", *_OUR_DIRECTORIES))
