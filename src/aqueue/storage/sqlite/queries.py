"""The statements of ``queries.sql`` by name."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADING = re.compile(r"^-- (\w+): .+$", re.MULTILINE)


def _load(text: str) -> Mapping[str, str]:
    _, *parts = _HEADING.split(text)
    statements = {name: statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)}
    present = statements.pop("present")
    return {
        name: statement.replace("{present}", _present(present, statement)) for name, statement in statements.items()
    }


def _present(condition: str, statement: str) -> str:
    """`condition` for the delivery that the rows, or the parameters, of `statement` begin with."""
    delivery = "column1, column2, column3, column4" if "{rows}" in statement else "?, ?, ?, ?"
    return condition.format(delivery=delivery)


SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
QUERIES = _load(Path(__file__).with_name("queries.sql").read_text(encoding="utf-8"))


@functools.cache
def of_rows(name: str, rows: int, columns: int) -> str:
    """The statement `name` for this number of `rows` with this number of `columns`."""
    row = f"({', '.join('?' * columns)})"
    return QUERIES[name].format(rows=", ".join([row] * rows))
