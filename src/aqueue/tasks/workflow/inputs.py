"""The inputs of a node of a workflow: which tasks come before it, and how their results become its arguments.

The message says all of it, so the signature covers it. The store adds the verdicts of the tasks before it to the
payload (see ``message.joined``); each result is read, and its signature verified, as that of the task that returned it.
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
    """How inputs become arguments, after those that the call has already."""

    EXTEND = "extend"  # the only value: a tuple is more arguments, a dict keyword arguments, None nothing
    EACH = "each"  # each value is an argument
    LIST = "list"  # one list of all values
    ERROR = "error"  # the error, as an exception


class NodeTerms(NamedTuple):
    """What a worker needs to know about a node besides its call.

    `linked` is set if other nodes wait for its verdict. `after` has the ids of the tasks before it, and with `drops`
    those without a return value are left out of its inputs. `expires_ms` is how long after it is due it may start; 0
    means that the message's own `expires_ms` counts.
    """

    linked: bool = False
    passing: Passing | None = None
    after: tuple[str, ...] = ()
    drops: bool = False
    expires_ms: int = 0


_PLAIN = NodeTerms()


def as_node(terms: NodeTerms) -> list[Any] | None:
    """`terms` as a message holds them: plain values, without empty ones at the end."""
    node: list[Any] = [terms.linked, terms.passing and terms.passing.value, list(terms.after), terms.drops]
    node.append(terms.expires_ms)
    while node and not node[-1]:
        node.pop()
    return node or None


def terms_of(message: Message) -> NodeTerms:
    """The terms that ``as_node`` wrote into `message`.

    Raises:
        DecodeError: the message holds something else.
    """
    try:
        linked, passing, after, drops, expires_ms = NodeTerms(*(message.node or ()))
        if type(expires_ms) is int and all(type(task_id) is str for task_id in after):
            return NodeTerms(bool(linked), passing and Passing(passing), tuple(after), bool(drops), expires_ms)
    except (TypeError, ValueError):
        pass
    raise DecodeError(f"task {message.id} is not a node of a workflow: {str(message.node)[:200]}")


def read_call(codec: Codec, task_id: str, payload: bytes) -> Message:
    """The message in `payload` as it was enqueued.

    Raises:
        DecodeError: `payload` does not hold a message.
    """
    return codec.decode_message(task_id, _parts(payload).payload if payload.startswith(JOINED) else payload)


def read_ready(codec: Codec, task_id: str, payload: bytes) -> tuple[Message, NodeTerms]:
    """The message in `payload` with its inputs among its arguments, and its terms, which are empty for a plain task.

    Raises:
        DecodeError: `payload` does not hold a message, or an input is missing.
    """
    if payload.startswith(JOINED):
        payload, due_ms, inputs = _parts(payload)
        return _complete(codec, codec.decode_message(task_id, payload), due_ms, inputs)
    message = codec.decode_message(task_id, payload)
    # The fast path: every plain task ends here.
    return (message, _PLAIN) if message.node is None else _complete(codec, message, 0, [])


def without_expiry(codec: Codec, task_id: str, payload: bytes) -> bytes | None:
    """`payload` without an expiry, so that its call may start at any time; None if it has no expiry.

    Raises:
        DecodeError: `payload` does not hold a call.
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
    """The return value of a task; ``Error`` if it failed, ``SKIPPED`` if it was cancelled or has expired."""
    state, result = verdict
    if state not in VERDICTS:
        raise DecodeError(f"the verdict of the task {task_id} is {state[:20]!r}, which is not a verdict")
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
        raise DecodeError("an error handler got a result that is not an error")
    return TaskException(value.metadata)


def _extend(message: Message, value: Any) -> None:
    if isinstance(value, tuple):
        message.args += value
    elif isinstance(value, dict):
        message.kwargs = {**value, **message.kwargs}
    elif value is not None:
        message.args += (value,)
