"""Tables for people: columns, spans, instants, and text that is safe to print in a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST = 60


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """The lines of a table, with numbers aligned to the right; an empty list if there are no rows."""
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
    """A span of `ms` milliseconds in a readable unit: ``850 ms``, ``12 s``, ``5 min``, ``3 h``, ``2 d``."""
    for unit, size, limit in (("ms", 1, 1000), ("s", 1000, 120), ("min", 60_000, 120), ("h", 3_600_000, 48)):
        if ms < limit * size:
            return f"{int(ms) // size} {unit}"
    return f"{int(ms) // 86_400_000} d"


def counted(number: int, thing: str) -> str:
    """A number with its noun in the singular or plural: ``1 task``, ``5 tasks``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def from_now(instant: datetime) -> str:
    """The distance from now to `instant`: ``in 5 min``, ``12 s ago``."""
    ms = (instant - datetime.now(UTC)).total_seconds() * 1000
    return f"in {span(ms)}" if ms > 0 else f"{span(-ms)} ago"


def call(args: Iterable[Any], kwargs: dict[str, Any], longest: int = _LONGEST) -> str:
    """The arguments of a call in Python syntax, cut to `longest` characters."""
    parts = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    return cut(", ".join(parts), longest)


def cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def printable(text: str) -> str:
    """`text` with control characters escaped: they could move the cursor or change colours."""
    return text if text.isprintable() else "".join(x if x.isprintable() else json.dumps(x)[1:-1] for x in text)


def plain(value: Any) -> Any:
    """`value` in types that JSON has: tuples and sets become lists, keys become text, anything else its own text."""
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
