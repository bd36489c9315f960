"""What can be done to workflows, each as a function that runs inside a transaction: keep one, move it on, end a task.

A task that waits has a row that says what for, and one for each input. Both go when it need not wait any more.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ....core.lifecycle import TRIGGERING, VERDICTS, State
from ....core.message import Trigger, as_input, joined
from ...protocol import MOST_INPUT_BYTES, TOO_MUCH_INPUT, Record
from ..queries import QUERIES
from . import revocations as marks
from . import tasks as operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....core.lifecycle import Settlement
    from ....core.message import Envelope, Node
    from ..connection import Transaction

_WAITING = State.WAITING.value


class _Successor(NamedTuple):
    """A task that waits for another, which gives it so many of its inputs."""

    id: str
    trigger: str
    inputs: int


def push(transaction: Transaction, nodes: Sequence[Node]) -> list[bool]:
    """Keep `nodes`, or none when one is known; True for each that is new."""
    transaction.check_room()
    among = (transaction.namespace, json.dumps([node.envelope.id for node in nodes]), transaction.now_ms)
    known = {task_id for (task_id,) in transaction.execute(QUERIES["known"], among)}
    if not known:
        transaction.execute(QUERIES["free_ids"], among)
        _add(transaction, nodes)
    return [node.envelope.id not in known for node in nodes]


def _add(transaction: Transaction, nodes: Sequence[Node]) -> None:
    rows = [operations.task_row(transaction, node.envelope) for node in nodes]
    for position, node in enumerate(nodes):
        number, namespace, task_id, queue, priority, place, _, at_ms, payload = rows[position]
        if node.after:
            rows[position] = (number, namespace, task_id, queue, priority, _WAITING, _WAITING, 0, payload)
        else:
            operations.entered(transaction, place, at_ms)
    transaction.execute_rows("push", rows)
    waiting = [node for node in nodes if node.after]
    transaction.execute_rows("add_nodes", [_node_row(transaction.namespace, node) for node in waiting])
    transaction.execute_rows("add_edges", [row for node in waiting for row in _edge_rows(transaction.namespace, node)])


def _node_row(namespace: int, node: Node) -> tuple[int, str, str, int, int, int, str]:
    envelope = node.envelope
    trigger = node.trigger.value
    return namespace, envelope.id, trigger, len(node.after), envelope.delay_ms, envelope.eta_ms, node.reply


def _edge_rows(namespace: int, node: Node) -> list[tuple[int, str, str, int]]:
    return [(namespace, source, node.envelope.id, position) for position, source in enumerate(node.after)]


def settle(transaction: Transaction, settlements: Sequence[Settlement]) -> list[bool]:
    """Carry out `settlements`, and what follows from the verdicts among them for those who wait."""
    accepted = operations.settle(transaction, settlements)
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
    """End a task that is not leased, or ask for the one that is to be stopped; see ``Storage.cancel``."""
    row = transaction.execute(QUERIES["unsettled"], (transaction.namespace, task_id)).fetchone()
    if row is None:
        return False
    _, place, *_ = row
    if place == "leased" and not if_lent:
        return False
    if place == "leased":
        marks.ask_to_stop(transaction, task_id)
    else:
        if place == _WAITING:
            _stop_waiting(transaction, task_id)
        _end(transaction, task_id, result, ttl_ms, reply)
        _move_on(transaction, task_id, Record(State.CANCELLED, result), ttl_ms)
    if instead is not None:
        operations.push(transaction, [instead])
    return True


def _move_on(transaction: Transaction, task_id: str, verdict: Record, ttl_ms: int) -> None:
    """Hand a verdict to those who wait for it; who is cancelled by it hands its cause on."""
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
                client = _stop_waiting(transaction, successor.id)
                _end(transaction, successor.id, refusal.result, ttl_ms, client)
                ended.append((successor.id, State.CANCELLED, refusal))


def _take(transaction: Transaction, successor: _Successor, size: int) -> Record | None:
    """Count inputs that a task was given; the cause where it has to be cancelled for them."""
    values = (successor.inputs, successor.inputs * size, transaction.namespace, successor.id)
    [(missing, total, delay_ms, eta_ms)] = transaction.execute(QUERIES["take"], values).fetchall()
    if total > MOST_INPUT_BYTES:
        return Record(State.CANCELLED, TOO_MUCH_INPUT)
    if not missing:
        _join(transaction, successor.id, eta_ms or transaction.now_ms + delay_ms)
    return None


def _join(transaction: Transaction, task_id: str, due_ms: int) -> None:
    """Put a task that has all its inputs in line, or in the schedule."""
    number, _, payload, *_ = transaction.execute(QUERIES["unsettled"], (transaction.namespace, task_id)).fetchone()
    inputs = [data for (data,) in transaction.execute(QUERIES["inputs"], (transaction.namespace, task_id))]
    place, state, at_ms = operations.entrance(transaction.now_ms, State.QUEUED, 0, due_ms)
    values = (transaction.next_number(), place, state, at_ms, joined(payload, due_ms, inputs), number)
    transaction.execute(QUERIES["join"], values)
    _stop_waiting(transaction, task_id)
    operations.entered(transaction, place, at_ms)


def _end(transaction: Transaction, task_id: str, result: bytes, ttl_ms: int, client: str) -> None:
    """The verdict on a task that is not leased."""
    number, *_ = transaction.execute(QUERIES["unsettled"], (transaction.namespace, task_id)).fetchone()
    told = transaction.next_number()
    transaction.execute(QUERIES["withdraw"], (result, transaction.now_ms + ttl_ms, client, told, number))
    operations.tell(transaction, number, client, told)
    if transaction.is_marked:
        marks.forget(transaction, task_id)


def _stop_waiting(transaction: Transaction, task_id: str) -> str:
    """Forget what a task waited for; the client that is told of its end."""
    arguments = (transaction.namespace, task_id)
    transaction.execute(QUERIES["drop_edges"], arguments)
    [(client,)] = transaction.execute(QUERIES["drop_node"], arguments).fetchall()
    return str(client)
