"""Help for those who test against aqueue: a clock that is moved by hand, and the suite that every storage passes.

The suite is ``aqueue.testing.conformance``. Nothing here needs a test framework.
"""

from __future__ import annotations

from .clock import ManualClock

__all__ = ["ManualClock"]
