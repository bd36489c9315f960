"""What came of one delivery: the value that the runner returns, and that is then decided, announced and logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from ...exceptions import EncodeError

if TYPE_CHECKING:
    from ...core.codec import Codec
    from ...core.lifecycle import Outcome, SettlementPolicy
    from ...core.message import Delivery
    from ...tasks.context import TaskRun

logger = logging.getLogger("aqueue.runner")


class RunReport(NamedTuple):
    """The `outcome` of one delivery, and what it takes to decide about it.

    `reply` names the client that may wait for the result. `run` is None if the message names no task that is known
    here. `why` says in one line what was wrong, if that is not an exception of the run.
    """

    outcome: Outcome
    policy: SettlementPolicy
    reply: str = ""
    run: TaskRun | None = None
    why: str = ""


def encode_failure(codec: Codec, description: tuple[str, str, str], delivery: Delivery, run: TaskRun | None) -> bytes:
    """The metadata of the ``TaskException`` that callers get: `description` is its type, text and traceback."""
    name, text, trace = description
    metadata = {
        "type": name,
        "error": text,
        "traceback": trace,
        "attempt": delivery.failures + 1,
        "retries": run.retries if run is not None else 0,
        "task_id": delivery.id,
    }
    try:
        return codec.encode_value(metadata, "error", delivery.id)
    except EncodeError as error:
        # The task gets its verdict even if the user's serializer fails here too.
        logger.error("The description of an error was left out: %s", error)
        return b""
