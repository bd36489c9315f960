"""The options of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, get_type_hints

import pytest

from aqueue.worker.options import WorkerKeywords, WorkerOptions


def test_type_checkers_see_the_options_that_there_are() -> None:
    names = {"Sequence": Sequence, "timedelta": timedelta}
    assert get_type_hints(WorkerKeywords, localns=names) == get_type_hints(WorkerOptions, localns=names)


@pytest.mark.parametrize("options", [{"stall_timeout": 4.9}, {"health_port": 0}, {"health_port": 65_536}])
def test_what_is_out_of_range_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WorkerOptions(**options)
