"""What a node of a workflow gets from those before it, and how that becomes arguments.

The payload of a node is lines: the message, the terms of the node and, where it was after others, the instant at which
it is due and one input for each of them (see ``message.joined``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from .. import codec
from ..exceptions import DecodeError, TaskException
from ..lifecycle import State
from ..message import SKIPPED, Error, Message

_ERRORS = frozenset({State.FAILED, State.DEAD})


class Passing(StrEnum):
    """How inputs become arguments, behind those that the call has already."""

    EXTEND = "extend"  # the only value: a tuple is more arguments, a dict keyword arguments, None nothing
    EACH = "each"  # each value is an argument
    LIST = "list"  # one list of all values
    ERROR = "error"  # the error, as an exception


class NodeTerms(NamedTuple):
    """What a worker has to know of a node beside its message.

    `linked` when others wait for its verdict, `drops` when inputs that are no values are left out, `expires_ms` is how
    long after it was due it may start (0: the message says).
    """

    passing: Passing | None = None
    drops: bool = False
    linked: bool = False
    expires_ms: int = 0


def as_node(payload: bytes, terms: NodeTerms) -> bytes:
    """The payload of a message as that of a node."""
    passing, *rest = terms
    return b"%b\n%b" % (payload, codec.encode_value([passing and passing.value, *rest]))


def decode_node(task_id: str, payload: bytes) -> tuple[Message, bool]:
    """The message of a node, with its inputs among its arguments, and whether others wait for its verdict.

    Raises:
        DecodeError: `payload` is not that of a node.
    """
    head, *lines = payload.split(b"\n")
    message = codec.decode_message(task_id, head)
    try:
        terms = NodeTerms(*codec.decode_value(lines[0]))
        _take(message, terms, *lines[1:])
    except (IndexError, TypeError, ValueError) as error:
        raise DecodeError(f"not a node of a workflow: {error}") from error
    return message, bool(terms.linked)


def _take(message: Message, terms: NodeTerms, due_ms: bytes = b"", *lines: bytes) -> None:
    inputs = [_input(line) for line in lines]
    if terms.drops:
        inputs = [value for value in inputs if type(value) is not Error and value is not SKIPPED]
    if terms.passing is not None:
        _pass(message, Passing(terms.passing), inputs)
    if due_ms and terms.expires_ms:
        message.expires_ms = int(due_ms) + terms.expires_ms


def _input(line: bytes) -> Any:
    """What a task returned; ``Error`` where it failed and ``SKIPPED`` where it did not come to that."""
    state, _, result = line.partition(b" ")
    verdict = State(state.decode())
    if verdict is State.DONE:
        return codec.decode_value(result)
    if verdict not in _ERRORS:
        return SKIPPED
    metadata = codec.decode_value(result) if result else {}
    return Error({**metadata, "state": str(verdict)})


def _pass(message: Message, passing: Passing, inputs: list[Any]) -> None:
    """Add `inputs` to the arguments of `message`."""
    if passing is Passing.LIST:
        message.args += (inputs,)
    elif passing is Passing.EACH:
        message.args += tuple(inputs)
    elif passing is Passing.ERROR:
        message.args += tuple(TaskException(error.metadata) for error in inputs)
    else:
        for value in inputs:
            if isinstance(value, tuple):
                message.args += value
            elif isinstance(value, dict):
                message.kwargs = {**message.kwargs, **value}
            elif value is not None:
                message.args += (value,)
