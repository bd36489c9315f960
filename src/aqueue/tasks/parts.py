"""The parts of an application as one value, for its workers, immediate mode and front ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..client.loops import ClientPerLoop
    from ..core.codec import Codec
    from .hooks import Hooks
    from .outbox import Outbox
    from .registry import Registry


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one application; ``Huey.__init__`` makes them.

    `name` is the namespace in the store. `result_ttl_ms` is how long results are kept, unless a task says otherwise,
    and `dead_ttl_ms` is how long dead letters are kept.
    """

    name: str
    registry: Registry
    hooks: Hooks
    codec: Codec
    clients: ClientPerLoop
    outbox: Outbox
    result_ttl_ms: int
    dead_ttl_ms: int
