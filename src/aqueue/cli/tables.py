"""Tables for a person: columns, spans and instants, and text that cannot disturb a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST = 60


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of columns, numbers to the right; none where there are no rows."""
    if not rows:
        return []
    texts = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head, *texts]) for column in range(len(head))]
    numeric = [all(isinstance(row[column], int) for row in rows) for column in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in [head, *texts]
    ]


def span(ms: float) -> str:
    """A span as a person says it: ``850 ms``, ``12 s``, ``5 min``, ``3 h``, ``2 d``."""
    for unit, size, limit in (("ms", 1, 1000), ("s", 1000, 120), ("min", 60_000, 120), ("h", 3_600_000, 48)):
        if ms < limit * size:
            return f"{int(ms) // size} {unit}"
    return f"{int(ms) // 86_400_000} d"


def from_now(instant: datetime) -> str:
    """How far off `instant` is: ``in 5 min``, ``12 s ago``."""
    ms = (instant - datetime.now(UTC)).total_seconds() * 1000
    return f"in {span(ms)}" if ms > 0 else f"{span(-ms)} ago"


def call(args: Iterable[Any], kwargs: dict[str, Any]) -> str:
    """The arguments of a call as they are written in Python, cut where they are long."""
    parts = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    return cut(", ".join(parts))


def cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def printable(text: str) -> str:
    """`text` without what moves a cursor or changes a colour."""
    return text if text.isprintable() else "".join(x if x.isprintable() else json.dumps(x)[1:-1] for x in text)


def plain(value: Any) -> Any:
    """`value` as JSON has it: tuples and sets are lists, keys are text, and the rest is its own text."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, (bytes, bytearray)) else str(value)
