"""Workflows: keeping one, moving it on after a verdict, and ending a task that may wait for others.

A node that waits has a row in `node`, which says what for, and one in `edge` for each input. They are dropped when it
does not wait any longer.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ....core.lifecycle import TRIGGERING, VERDICTS, State
from ....core.message import Trigger, as_input, joined
from ...protocol import MOST_INPUT_BYTES, TOO_MUCH_INPUT, Record
from ..queries import QUERIES
from . import lines, revocations, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....core.lifecycle import Settlement
    from ....core.message import Envelope, Node
    from ..connection import Transaction


class _Successor(NamedTuple):
    """A node that waits for a task, which gives it this number of its inputs."""

    id: str
    trigger: str
    inputs: int


def push(transaction: Transaction, nodes: Sequence[Node]) -> list[bool]:
    """Keep `nodes`, or none when one is known; True for each that is new."""
    among = (transaction.namespace, json.dumps([node.envelope.id for node in nodes]), transaction.now_ms)
    known = {task_id for (task_id,) in transaction.execute(QUERIES["known"], among)}
    if not known:
        transaction.execute(QUERIES["free_ids"], among)
        _add(transaction, nodes)
    return [node.envelope.id not in known for node in nodes]


def _add(transaction: Transaction, nodes: Sequence[Node]) -> None:
    namespace = transaction.namespace
    waiting = [node for node in nodes if node.after]
    lines.enter(transaction, [node.envelope for node in nodes if not node.after])
    lines.wait(transaction, [node.envelope for node in waiting])
    transaction.execute_rows("add_nodes", [_node_row(namespace, node) for node in waiting])
    transaction.execute_rows("add_edges", [row for node in waiting for row in _edge_rows(namespace, node)])


def _node_row(namespace: int, node: Node) -> tuple[int, str, str, int, int, int, str]:
    envelope = node.envelope
    trigger = node.trigger.value
    return namespace, envelope.id, trigger, len(node.after), envelope.delay_ms, envelope.eta_ms, node.reply


def _edge_rows(namespace: int, node: Node) -> list[tuple[int, str, str, int]]:
    return [(namespace, source, node.envelope.id, position) for position, source in enumerate(node.after)]


def settle(transaction: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    """Carry out `settlements`, and what follows from the verdicts among them for the nodes that wait for them."""
    accepted = tasks.settle(transaction, settlements)
    for settlement, is_accepted in zip(settlements, accepted, strict=True):
        if settlement.linked and is_accepted and settlement.state in VERDICTS:
            verdict = Record(settlement.state, settlement.result)
            _move_on(transaction, settlement.id, verdict, settlement.ttl_ms)
    return accepted


def cancel(
    transaction: Transaction,
    task_id: str,
    result: bytes,
    ttl_ms: int,
    reply: str,
    instead: Envelope | None,
    if_lent: bool,
) -> bool:
    """End a task that is not leased, or ask for a leased one to be stopped; see ``Storage.cancel``."""
    task = tasks.unsettled(transaction, task_id)
    is_leased = task is not None and task.place == "leased"
    if task is None or (is_leased and not if_lent):
        return False
    if is_leased:
        revocations.ask_to_stop(transaction, task_id)
    else:
        if task.place == "waiting":
            _stop_waiting(transaction, task_id)
        tasks.withdraw(transaction, task_id, task.number, result, ttl_ms, reply)
        _move_on(transaction, task_id, Record(State.CANCELLED, result), ttl_ms)
    if instead is not None:
        lines.enter(transaction, [instead])
    return True


def _move_on(transaction: Transaction, task_id: str, verdict: Record, ttl_ms: int) -> None:
    """Hand a verdict to the nodes that wait for it; a node that it cancels hands on the cause."""
    ended = deque([(task_id, verdict.state, verdict)])
    while ended:
        task_id, state, cause = ended.popleft()
        arguments = (transaction.namespace, task_id)
        successors = transaction.execute(QUERIES["successors"], arguments).fetchall()
        given = as_input(cause.state, cause.result)
        transaction.execute(QUERIES["give"], (given, *arguments))
        for successor in map(_Successor._make, successors):
            if state in TRIGGERING[Trigger(successor.trigger)]:
                refusal = _take(transaction, successor, len(given))
            else:
                refusal = Record(State.CANCELLED) if cause.state is State.DONE else cause
            if refusal is not None:
                _cancel_node(transaction, successor.id, refusal.result, ttl_ms)
                ended.append((successor.id, State.CANCELLED, refusal))


def _take(transaction: Transaction, successor: _Successor, size: int) -> Record | None:
    """Count inputs that a node was given; the cause if it has to be cancelled for their size."""
    values = (successor.inputs, successor.inputs * size, transaction.namespace, successor.id)
    [(missing, total, delay_ms, eta_ms)] = transaction.execute(QUERIES["take"], values).fetchall()
    if total > MOST_INPUT_BYTES:
        return Record(State.CANCELLED, TOO_MUCH_INPUT)
    if not missing:
        _join(transaction, successor.id, eta_ms or transaction.now_ms + delay_ms)
    return None


def _join(transaction: Transaction, task_id: str, due_ms: int) -> None:
    """Put a node that has all its inputs in line, or in the schedule."""
    task = tasks.unsettled(transaction, task_id)
    if task is not None:
        inputs = [data for (data,) in transaction.execute(QUERIES["inputs"], (transaction.namespace, task_id))]
        payload = joined(task.payload, due_ms, inputs)
        lines.enter_again(transaction, task.number, State.QUEUED, due_ms, payload=payload)
    _stop_waiting(transaction, task_id)


def _cancel_node(transaction: Transaction, task_id: str, result: bytes, ttl_ms: int) -> None:
    client = _stop_waiting(transaction, task_id)
    task = tasks.unsettled(transaction, task_id)
    if task is not None:
        tasks.withdraw(transaction, task_id, task.number, result, ttl_ms, client)


def _stop_waiting(transaction: Transaction, task_id: str) -> str:
    """Forget what a node waited for; the client that is told about its end."""
    arguments = (transaction.namespace, task_id)
    transaction.execute(QUERIES["drop_edges"], arguments)
    [(client,)] = transaction.execute(QUERIES["drop_node"], arguments).fetchall()
    return str(client)
