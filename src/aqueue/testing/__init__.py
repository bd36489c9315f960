"""Helpers to test tasks, or a storage: clocks that a test moves by hand, and the conformance suite for storages.

The suite is ``aqueue.testing.conformance``. Nothing here needs a test framework.
"""

from __future__ import annotations

from .clock import ManualClock
from .virtual_clock import VirtualClock, virtual_clock

__all__ = ["ManualClock", "VirtualClock", "virtual_clock"]
