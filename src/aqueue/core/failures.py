"""The encoded description of a failure, and whose it was.

A task that does not run because another one failed reports that task's error as its own. Such an inherited error
travels with the id of the task that failed, so that it is decoded, and its signature verified, as the error of that
task.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from ..exceptions import DecodeError
from .outline import MOST_TEXT, is_large, outline, short_text

if TYPE_CHECKING:
    from types import TracebackType

    from .codec import Codec

MAX_TRACEBACK = MOST_TEXT

# The first bytes of an inherited error, and of one that the store reports. No JSON and no pickle begins with them.
_INHERITED = b"\0of:"
_OF_STORE = b"\0said:"
_MACHINERY = frozenset({"aqueue", "anyio", "asyncio"})


def describe_exception(exception: BaseException) -> tuple[str, str, str]:
    """Class name, text and traceback of `exception`, shortened if they are long.

    Takes milliseconds, whatever `exception` holds, and never raises, even where the methods of `exception` do.
    """
    name = type(exception).__qualname__
    try:
        lines = traceback_text(exception, _from_user_code(exception.__traceback__))
    except BaseException as error:
        lines = f"{name} (its traceback raised {type(error).__qualname__})"
    if len(lines) > MAX_TRACEBACK:
        lines = f"{lines[: MAX_TRACEBACK // 2]}\n[... shortened ...]\n{lines[-MAX_TRACEBACK // 2 :]}"
    return _clean(name), exception_text(exception), _clean(lines)


def traceback_text(exception: BaseException, trace: TracebackType | None) -> str:
    """`exception` with its traceback `trace`, or an outline of one that would take too long."""
    if is_large(exception):
        return outline(exception)
    return "".join(traceback.format_exception(type(exception), exception, trace))


def exception_text(exception: BaseException) -> str:
    """The repr of `exception`, shortened if it is long. Never raises, even where the repr does."""
    try:
        text = short_text(exception) if is_large(exception) else repr(exception)
    except BaseException as error:
        text = f"{type(exception).__qualname__} (its repr raised {type(error).__qualname__})"
    return _clean(text[:MAX_TRACEBACK])


def attributed_to(task_id: str, error: bytes) -> bytes:
    """`error`, an encoded description, marked as that of the task `task_id`. Empty bytes stay empty."""
    return b"%b%b\n%b" % (_INHERITED, task_id.encode(), error) if error else b""


def reported_by_store(name: str, text: str) -> bytes:
    """The description of an error that a store found and nobody raised; `name` stands for the class of an exception."""
    return b"%b%b\n%b" % (_OF_STORE, name.encode(), text.encode())


def read_error(codec: Codec, task_id: str, data: bytes) -> dict[str, Any]:
    """The description of the error of the task `task_id`, its own or an inherited one.

    Raises:
        DecodeError: `data` is not a description of an error.
    """
    if not data:
        return {"task_id": task_id}
    head, _, rest = data.partition(b"\n")
    if head.startswith(_OF_STORE):
        name, text = head.removeprefix(_OF_STORE), rest
        return {"type": _text(name), "error": _text(text), "traceback": "", "task_id": task_id}
    if head.startswith(_INHERITED):
        task_id, data = _text(head.removeprefix(_INHERITED)), rest
    metadata = codec.decode_value(data, "error", task_id)
    if not isinstance(metadata, dict):
        raise DecodeError(f"the error of task {task_id} is not a description of one")
    return metadata


def _from_user_code(trace: TracebackType | None) -> TracebackType | None:
    """The part of `trace` that begins in the user's function."""
    inner = trace
    while inner is not None and inner.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _MACHINERY:
        inner = inner.tb_next
    return inner or trace


def _clean(text: str) -> str:
    """`text` as JSON can carry it: a lone surrogate becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
