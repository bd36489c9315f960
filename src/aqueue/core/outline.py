"""Exceptions that take too long to format, in short.

The standard library formats and shows every path to every exception in a group: a group that holds another one twice,
which holds another one twice, takes twice the time for each level. Text of megabytes and tracebacks of thousands of
frames take long, too, and all of that happens in the event loop.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

MOST_TEXT = 64 * 1024

# Above one of these an exception is large.
_MOST_PARTS = 100
_MOST_FRAMES = 1000
# What is shown of a large one.
_SHOWN_PARTS = 20
_SHOWN_FRAMES = 20
_SHOWN_TEXT = 2000


def is_large(exception: BaseException) -> bool:
    """Whether `exception` with all that it holds takes too long to format."""
    parts, frames = 0, 0
    chained: set[int] = set()
    left = [exception]
    while left:
        part = left.pop()
        parts += 1
        frames += _frames(part, _MOST_FRAMES - frames + 1)
        if parts > _MOST_PARTS or frames > _MOST_FRAMES or _has_much_text(part):
            return True
        left += _members(part)
        for other in _chain(part):
            if id(other) not in chained:
                chained.add(id(other))
                left.append(other)
    return False


def outline(exception: BaseException) -> str:
    """The first exceptions in `exception`, each once, with the ends of their tracebacks, in place of a traceback."""
    shown: dict[int, BaseException] = {}
    left = deque([exception])
    while left and len(shown) < _SHOWN_PARTS:
        part = left.popleft()
        if id(part) not in shown:
            shown[id(part)] = part
            left += [*_members(part)[:_SHOWN_PARTS], *_chain(part)]
    return "".join(
        [
            "[too large to be shown in full: this is the outermost exception, and what it holds follows]\n",
            *(line for part in shown.values() for line in _lines(part)),
        ]
    )


def short_text(exception: BaseException) -> str:
    """The class and the text of `exception`, cut if it is long. Never raises, even where the text does."""
    name = type(exception).__qualname__
    try:
        text = str(exception)
    except BaseException as error:
        return f"{name} (its text raised {type(error).__qualname__})"
    return f"{name}: {text}" if len(text) <= _SHOWN_TEXT else f"{name}: {text[:_SHOWN_TEXT]} [... shortened ...]"


def _lines(part: BaseException) -> Iterator[str]:
    yield from traceback.format_tb(_end(part.__traceback__))
    yield f"{short_text(part)}\n"


def _members(part: BaseException) -> list[BaseException]:
    return list(part.exceptions) if isinstance(part, BaseExceptionGroup) else []


def _chain(part: BaseException) -> list[BaseException]:
    return [other for other in (part.__cause__, part.__context__) if other is not None]


def _frames(part: BaseException, most: int) -> int:
    count, trace = 0, part.__traceback__
    while trace is not None and count < most:
        count, trace = count + 1, trace.tb_next
    return count


def _end(trace: TracebackType | None) -> TracebackType | None:
    """The last `_SHOWN_FRAMES` of `trace`. The standard library would look at each frame before them."""
    ahead = trace
    for _ in range(_SHOWN_FRAMES):
        ahead = ahead.tb_next if ahead is not None else None
    while trace is not None and ahead is not None:
        trace, ahead = trace.tb_next, ahead.tb_next
    return trace


def _has_much_text(part: BaseException) -> bool:
    notes = getattr(part, "__notes__", ())
    texts = [*part.args, *notes] if isinstance(notes, list) else part.args
    return any(isinstance(text, (str, bytes)) and len(text) > MOST_TEXT for text in texts)
