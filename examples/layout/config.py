"""The application object, and nothing else: whatever needs it can import it without a cycle."""

from __future__ import annotations

from aqueue import Huey

huey = Huey("layout")
