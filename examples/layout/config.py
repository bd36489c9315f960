"""Only the application object, so that every module can import it without a cycle."""

from __future__ import annotations

from aqueue import Huey

huey = Huey("layout")
