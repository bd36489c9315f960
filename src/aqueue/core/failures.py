"""Whose failure it was: a task that did not run for the sake of another one has the error of that one as its own.

An error that others may inherit travels with the id of the task whose it is. So it is read, and its signature verified,
as that of the right task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import DecodeError

if TYPE_CHECKING:
    from .codec import Codec

# How they begin. No JSON does, and no pickle.
_OWNED = b"\0of:"
_SAID = b"\0said:"


def attributed_to(task_id: str, error: bytes) -> bytes:
    """`error`, the encoded description of one, as that of the task `task_id`; nothing where there is none."""
    return b"%b%b\n%b" % (_OWNED, task_id.encode(), error) if error else b""


def reported_by_store(name: str, text: str) -> bytes:
    """An error that nobody raised and that a store itself tells of: a name like that of an exception, and a text."""
    return b"%b%b\n%b" % (_SAID, name.encode(), text.encode())


def read_error(codec: Codec, task_id: str, data: bytes) -> dict[str, Any]:
    """The description of the error that the task `task_id` has, its own or an inherited one.

    Raises:
        DecodeError: `data` is none.
    """
    if not data:
        return {"task_id": task_id}
    head, _, rest = data.partition(b"\n")
    if head.startswith(_SAID):
        name, text = head.removeprefix(_SAID), rest
        return {"type": _text(name), "error": _text(text), "traceback": "", "task_id": task_id}
    if head.startswith(_OWNED):
        task_id, data = _text(head.removeprefix(_OWNED)), rest
    metadata = codec.decode_value(data, "error", task_id)
    if not isinstance(metadata, dict):
        raise DecodeError(f"the error of task {task_id} is no description of one")
    return metadata


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
