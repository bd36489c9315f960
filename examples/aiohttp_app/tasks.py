"""A plain function as a task: the worker runs it in a thread, so it may block."""

from __future__ import annotations

from collections import Counter

from aqueue import Huey

huey = Huey("words")


@huey.task(timeout=60)
def count_words(text: str) -> dict[str, int]:
    """The three most frequent words of a text."""
    return dict(Counter(text.lower().split()).most_common(3))
