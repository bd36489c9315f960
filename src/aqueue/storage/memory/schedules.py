"""The states of schedules in the memory storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocol import Advance, ScheduleChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...core.message import Envelope
    from ..protocol import Event


class Schedules:
    """States by name. `push` keeps an envelope, `tell` tells everyone who listens."""

    def __init__(self, push: Callable[[Envelope], object], tell: Callable[[Event], None]) -> None:
        self._push = push
        self._tell = tell
        self.states: dict[str, bytes] = {}

    def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        """See ``Storage.advance``."""
        kept = self.states.get(name, b"")
        if kept == state:
            return Advance.KNOWN
        if kept != seen:
            return Advance.REFUSED
        self.states[name] = state
        if not state:
            del self.states[name]
        for envelope in envelopes:
            self._push(envelope)
        if not envelopes:
            self._tell(ScheduleChanged(name))
        return Advance.MADE
