"""How an exception gets from a child process to its worker."""

from __future__ import annotations

import io
import pickle
from typing import Any

from ....core.codec import MAX_BYTES
from ....core.failures import describe_exception
from ....exceptions import TaskException
from .target import known
from .wire import Raised


class ChildRaised(Exception):
    """A body raised in a child process.

    `exception` is what it raised, or a ``TaskException`` that says the same if that cannot be pickled. `kind` is the
    class of it, or the nearest base class that this process knows. `description` is class name, text and traceback.
    """

    def __init__(self, raised: Raised) -> None:
        super().__init__(raised.description[1])
        self.description = raised.description
        self.final = raised.final
        self.exception = _restored(raised)
        self.kind = _kind(raised)


class ChildTraceback(Exception):
    """The traceback of an exception that was raised in a child process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def as_raised(error: BaseException, final: bool = False) -> Raised:
    """The message about `error` that a child sends to its worker."""
    lineage = [(str(kind.__module__), kind.__qualname__) for kind in type(error).__mro__]
    return Raised(describe_exception(error), lineage, _pickled(error), final)


def _pickled(error: BaseException) -> bytes:
    try:
        data = pickle.dumps(error)
    except Exception:
        return b""
    return data if len(data) <= MAX_BYTES else b""


def _restored(raised: Raised) -> BaseException:
    name, text, trace = raised.description
    exception = _unpickled(raised.pickled, ChildTraceback(trace))
    if exception is not None:
        return exception
    exception = TaskException({"type": name, "error": text, "traceback": trace})
    exception.__cause__ = ChildTraceback(trace)
    return exception


def _unpickled(data: bytes, cause: ChildTraceback) -> BaseException | None:
    """The exception, which has no frames in this process; `cause` shows them as text."""
    try:
        exception: BaseException = _Unpickler(io.BytesIO(data)).load()
        exception.__cause__ = cause
    except BaseException:
        # Unpickling runs code of the user, which may raise anything.
        return None
    return exception if isinstance(exception, BaseException) else None


def _kind(raised: Raised) -> type[BaseException]:
    for names in raised.lineage:
        kind = known(*names)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            return kind
    return Exception


class _Unpickler(pickle.Unpickler):
    """Finds classes in loaded modules only, because an import would block the worker."""

    def find_class(self, module: str, name: str) -> Any:
        found = known(module, name)
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not known here")
        return found
