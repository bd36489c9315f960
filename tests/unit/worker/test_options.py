"""The options of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import get_type_hints

from aqueue.worker.options import WorkerKeywords, WorkerOptions


def test_type_checkers_see_the_options_that_there_are() -> None:
    names = {"Sequence": Sequence, "timedelta": timedelta}
    assert get_type_hints(WorkerKeywords, localns=names) == get_type_hints(WorkerOptions, localns=names)
