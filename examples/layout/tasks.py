"""The decorated functions. A project has as many such modules as it likes."""

from __future__ import annotations

from config import huey


@huey.task()
def add(a: int, b: int) -> int:
    return a + b
