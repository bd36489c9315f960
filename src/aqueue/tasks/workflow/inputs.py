"""What makes a message a node of a workflow: what it gets from the tasks before it, and how that becomes arguments.

All of it stands in the message, so a signature covers it. The store adds the verdicts of the tasks before it to the
payload (see ``message.joined``); each result is read, and its signature verified, as that of the very task.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from ...core.failures import read_error
from ...core.lifecycle import VERDICTS, State
from ...core.message import JOINED, SKIPPED, Error, Joined, as_input, joined, parted
from ...exceptions import DecodeError, TaskException

if TYPE_CHECKING:
    from ...core.codec import Codec
    from ...core.message import Message

_ERRORS = frozenset({State.FAILED, State.DEAD})


class Passing(StrEnum):
    """How inputs become arguments, behind those that the call has already."""

    EXTEND = "extend"  # the only value: a tuple is more arguments, a dict keyword arguments, None nothing
    EACH = "each"  # each value is an argument
    LIST = "list"  # one list of all values
    ERROR = "error"  # the error, as an exception


class NodeTerms(NamedTuple):
    """What a worker has to know of a node beside its call.

    `linked` when others wait for its verdict, `drops` when inputs that are no values are left out, `expires_ms` is how
    long after it was due it may start (0: the message says), and `after` has the ids of the tasks before it.
    """

    linked: bool = False
    passing: Passing | None = None
    after: tuple[str, ...] = ()
    drops: bool = False
    expires_ms: int = 0


_PLAIN = NodeTerms()


def as_node(terms: NodeTerms) -> list[Any] | None:
    """`terms` as a message has them: plain values, without those at the end that say nothing."""
    node: list[Any] = [terms.linked, terms.passing and terms.passing.value, list(terms.after), terms.drops]
    node.append(terms.expires_ms)
    while node and not node[-1]:
        node.pop()
    return node or None


def terms_of(message: Message) -> NodeTerms:
    """What ``as_node`` was given.

    Raises:
        DecodeError: the message says something else.
    """
    try:
        linked, passing, after, drops, expires_ms = NodeTerms(*(message.node or ()))
        if type(expires_ms) is int and all(type(task_id) is str for task_id in after):
            return NodeTerms(bool(linked), passing and Passing(passing), tuple(after), bool(drops), expires_ms)
    except (TypeError, ValueError):
        pass
    raise DecodeError(f"task {message.id} is no node of a workflow: {str(message.node)[:200]}")


def read_call(codec: Codec, task_id: str, payload: bytes) -> Message:
    """The message in `payload` as it was enqueued.

    Raises:
        DecodeError: there is none.
    """
    return codec.decode_message(task_id, _parts(payload).payload if payload.startswith(JOINED) else payload)


def read_ready(codec: Codec, task_id: str, payload: bytes) -> tuple[Message, NodeTerms]:
    """The message in `payload` with its inputs among its arguments, and its terms, which say nothing for a plain task.

    Raises:
        DecodeError: there is none, or an input is missing.
    """
    if payload.startswith(JOINED):
        payload, due_ms, inputs = _parts(payload)
        return _complete(codec, codec.decode_message(task_id, payload), due_ms, inputs)
    message = codec.decode_message(task_id, payload)
    # Every plain task takes this way.
    return (message, _PLAIN) if message.node is None else _complete(codec, message, 0, [])


def without_expiry(codec: Codec, task_id: str, payload: bytes) -> bytes | None:
    """`payload` of a call that may start at any time; None where that is so already.

    Raises:
        DecodeError: there is no call in it.
    """
    message = read_call(codec, task_id, payload)
    terms = terms_of(message)
    if not (message.expires_ms or terms.expires_ms):
        return None
    message.expires_ms = 0
    message.node = as_node(terms._replace(expires_ms=0))
    encoded = codec.encode_message(message)
    if not payload.startswith(JOINED):
        return encoded
    _, due_ms, inputs = _parts(payload)
    return joined(encoded, due_ms, [as_input(*verdict) for verdict in inputs])


def _complete(
    codec: Codec, message: Message, due_ms: int, inputs: list[tuple[str, bytes]]
) -> tuple[Message, NodeTerms]:
    terms = terms_of(message)
    if len(inputs) != len(terms.after):
        raise DecodeError(f"task {message.id} waits for {len(terms.after)} others and got {len(inputs)} results")
    values = [_value(codec, *pair) for pair in zip(terms.after, inputs, strict=True)]
    if terms.drops:
        values = [value for value in values if type(value) is not Error and value is not SKIPPED]
    if terms.passing is not None:
        _pass(message, terms.passing, values)
    if terms.after and terms.expires_ms:
        message.expires_ms = due_ms + terms.expires_ms
    return message, terms


def _parts(payload: bytes) -> Joined:
    try:
        return parted(payload)
    except ValueError as error:
        raise DecodeError(f"not the payload of a node of a workflow: {error}") from error


def _value(codec: Codec, task_id: str, verdict: tuple[str, bytes]) -> Any:
    """What a task returned; ``Error`` where it failed and ``SKIPPED`` where it did not come to that."""
    state, result = verdict
    if state not in VERDICTS:
        raise DecodeError(f"the task {task_id} is said to have ended as {state[:20]!r}, which is no verdict")
    if state == State.DONE:
        return codec.decode_value(result, "result", task_id)
    if state in _ERRORS:
        return Error({**read_error(codec, task_id, result), "state": state})
    return SKIPPED


def _pass(message: Message, passing: Passing, values: list[Any]) -> None:
    """Add `values` to the arguments of `message`."""
    if passing is Passing.LIST:
        message.args += (values,)
    elif passing is Passing.EACH:
        message.args += tuple(values)
    elif passing is Passing.ERROR:
        message.args += tuple(map(_exception, values))
    else:
        for value in values:
            _extend(message, value)


def _exception(value: Any) -> TaskException:
    if type(value) is not Error:
        raise DecodeError("a handler got a result that is no error")
    return TaskException(value.metadata)


def _extend(message: Message, value: Any) -> None:
    if isinstance(value, tuple):
        message.args += value
    elif isinstance(value, dict):
        message.kwargs = {**value, **message.kwargs}
    elif value is not None:
        message.args += (value,)
