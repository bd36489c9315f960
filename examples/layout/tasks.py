"""The decorated functions. A project can have many such modules."""

from __future__ import annotations

from config import huey


@huey.task()
def add(a: int, b: int) -> int:
    return a + b
