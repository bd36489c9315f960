"""Help for those who test their tasks, or a storage: clocks that are moved by hand, and the suite of every storage.

The suite is ``aqueue.testing.conformance``. Nothing here needs a test framework.
"""

from __future__ import annotations

from .clock import ManualClock
from .virtual_clock import VirtualClock, virtual_clock

__all__ = ["ManualClock", "VirtualClock", "virtual_clock"]
