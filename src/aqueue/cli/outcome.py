"""The state and result of one task, as text for people and as JSON for scripts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .. import ResultNotFound, ResultTimeout, State, TaskException
from .failures import NOT_YET
from .tables import plain

if TYPE_CHECKING:
    from .. import Result

_GOOD = frozenset({State.QUEUED, State.SCHEDULED, State.WAITING, State.RUNNING, State.RETRYING, State.DONE})


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task at one moment."""

    id: str
    state: State
    value: Any = None
    error: str = ""
    traceback: str = ""
    attempt: int = 0
    timed_out: bool = False

    @property
    def exit_code(self) -> int:
        """0 if the task is done or under way, 1 if it ended without success or is unknown, 75 after a timeout."""
        return NOT_YET if self.timed_out else 0 if self.state in _GOOD else 1

    def as_json(self) -> str:
        """One JSON object. A value that JSON cannot express is replaced by the nearest one, see ``plain``."""
        return json.dumps({**asdict(self), "value": plain(self.value)})

    def as_text(self) -> str:
        lines = [f"id     {self.id}", f"state  {self.state}"]
        if self.state is State.DONE:
            lines.append(f"value  {json.dumps(plain(self.value), ensure_ascii=False)}")
        if self.state is State.UNKNOWN:
            lines.append("error  no task has this id: it was never enqueued, or its result has expired")
        if self.error:
            lines.append(f"error  {self.error}, at attempt {self.attempt}")
        if self.traceback:
            lines += ["", self.traceback.rstrip()]
        return "\n".join(lines)


async def look(result: Result[Any]) -> Outcome:
    """The task as it is now."""
    state = await result.status()
    if state is State.UNKNOWN or not await result.is_ready():
        return Outcome(result.id, state)
    return await wait(result, None)


async def wait(result: Result[Any], timeout: float | None) -> Outcome:
    """The task once it has its verdict, or as it is after `timeout` seconds. None waits without a limit."""
    try:
        return Outcome(result.id, State.DONE, value=await result.get(timeout=timeout))
    except TaskException as error:
        told = error.metadata
        return Outcome(
            result.id,
            State(error.state),
            error=str(told.get("error", "")),
            traceback=error.traceback,
            attempt=error.attempt,
        )
    except ResultNotFound:
        return Outcome(result.id, State.UNKNOWN)
    except ResultTimeout:
        return Outcome(result.id, await result.status(), timed_out=True)
