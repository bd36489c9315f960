"""Envelopes, nodes and settlements as arguments of scripts, in batches that a server takes in one call.

The other half stands in Lua: ``push.lua`` and ``parts/envelopes.lua`` read envelopes, ``push_workflow.lua`` nodes,
``settle.lua`` verdicts and ``put_back.lua`` returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .keys import lane_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ...core.lifecycle import Settlement
    from ...core.message import Envelope, Node

_Item = TypeVar("_Item")
_Group = TypeVar("_Group")

# A script blocks the server for everybody, and Lua's unpack() takes some thousand values: batches stay well below both.
BATCH = 500


def pushes(items: Sequence[Envelope]) -> Iterator[tuple[Sequence[int], list[Any]]]:
    """What to push, one lane at a time: positions in `items` in the order of the answers, and the arguments.

    Of each envelope the arguments have its id and payload, and behind those that are ready its due instant too.
    """
    lanes: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    for position in _first_positions(items):
        _, _, queue, priority, delay_ms, eta_ms = items[position]
        lanes.setdefault((queue, priority), ([], []))[bool(delay_ms or eta_ms)].append(position)
    for lane, (ready, later) in lanes.items():
        for batch in batches(ready + later):
            yield batch, _push(lane_of(*lane), [items[position] for position in batch])


def _push(lane: str, items: Iterable[Envelope]) -> list[Any]:
    arguments: list[Any] = [lane, 0]
    ready = 0
    for task_id, payload, _, _, delay_ms, eta_ms in items:
        if delay_ms or eta_ms:
            arguments += (task_id, payload, _when(delay_ms, eta_ms))
        else:
            arguments += (task_id, payload)
            ready += 1
    arguments[1] = ready
    return arguments


def envelopes(items: Iterable[Envelope]) -> list[Any]:
    """Of each envelope its id, payload, lane and due instant."""
    arguments: list[Any] = []
    for task_id, payload, queue, priority, delay_ms, eta_ms in items:
        arguments += (task_id, payload, lane_of(queue, priority), _when(delay_ms, eta_ms))
    return arguments


def nodes(items: Sequence[Node]) -> list[Any]:
    """Of each node its envelope, what it waits for ('' for nothing) and which nodes wait for it ('' for none)."""
    successors: dict[str, list[str]] = {node.envelope.id: [] for node in items}
    for node in items:
        for position, task_id in enumerate(node.after):
            successors[task_id].append(f"{position} {node.envelope.id}")
    arguments: list[Any] = []
    for (task_id, payload, queue, priority, delay_ms, eta_ms), after, trigger, reply in items:
        when = _when(delay_ms, eta_ms)
        join = f"{trigger} {len(after)} {when} {reply}" if after else ""
        arguments += (task_id, payload, lane_of(queue, priority), when, join, " ".join(successors[task_id]))
    return arguments


def verdicts(items: Iterable[Settlement]) -> list[Any]:
    """Of each settlement that ends a task its entry, count, id, state, result, ms to keep that, and client."""
    arguments: list[Any] = []
    for receipt, task_id, state, result, ttl_ms, reply, *_ in items:
        arguments += (receipt.entry, receipt.count, task_id, state, result, ttl_ms, reply)
    return arguments


def returns(items: Iterable[Settlement]) -> list[Any]:
    """Of each settlement that puts a task back its entry, count, id, state, due instant and failures."""
    arguments: list[Any] = []
    for receipt, task_id, state, _, _, _, delay_ms, eta_ms, failures, *_ in items:
        arguments += (receipt.entry, receipt.count, task_id, state, _when(delay_ms, eta_ms), failures)
    return arguments


def _when(delay_ms: int, eta_ms: int) -> str:
    """A due instant: behind a plus counted from the arrival, else in ms of the clock."""
    return str(eta_ms) if eta_ms else f"+{delay_ms}" if delay_ms else "+0"


def batches(items: Sequence[_Item], most: int = BATCH) -> Iterator[Sequence[_Item]]:
    """`items` in order, at most `most` at a time."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


def _first_positions(items: Sequence[Envelope]) -> Iterable[int]:
    """The position of each id where it stands first: within one batch too, the first of an id is the task."""
    if len({envelope.id for envelope in items}) == len(items):
        return range(len(items))
    return sorted({envelope.id: position for position, envelope in reversed(list(enumerate(items)))}.values())


def grouped(items: Sequence[_Item], key: Callable[[_Item], _Group]) -> dict[_Group, list[int]]:
    """The positions of `items` by `key`, in order."""
    groups: dict[_Group, list[int]] = {}
    for position, item in enumerate(items):
        groups.setdefault(key(item), []).append(position)
    return groups
