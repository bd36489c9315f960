"""Applications on one kind of store."""

from __future__ import annotations

import inspect

from aqueue import Huey
from aqueue.app.huey import HueyKeywords


def test_type_checkers_see_the_options_that_every_application_has() -> None:
    parameters = inspect.signature(Huey).parameters.values()
    assert {*HueyKeywords.__optional_keys__} == {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
