from __future__ import annotations

import pytest

from aqueue import Huey, MemoryHuey


@pytest.fixture
def huey() -> Huey:
    """An application that lives in this process. With another URL every test here would read the same."""
    return MemoryHuey("shop")
