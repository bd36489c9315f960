"""What an application gives a worker to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.codec import Codec
    from ..tasks.hooks import Hooks
    from ..tasks.registry import Registry


@dataclass(frozen=True, slots=True)
class Workload:
    """The tasks of an application, the handlers around them, and how its messages and results are written and kept.

    `result_ttl_ms` is how long a result is kept where its task does not say, and `dead_ttl_ms` how long a dead letter
    is kept (0: none is written).
    """

    registry: Registry
    hooks: Hooks
    codec: Codec
    result_ttl_ms: int
    dead_ttl_ms: int
