"""How many bytes aqueue moves at a time.

A call takes as long as its bytes take on the line, and what comes behind it waits. So whatever leaves in batches leaves
in *flights*, which are bounded in bytes as well as in number, and *freight* travels apart from what is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Item = TypeVar("_Item")

# The bytes of one flight: a fraction of a second on a slow line, and enough to keep a fast one busy.
FLIGHT_BYTES: Final = 2**20

# What is larger than this does not share a flight with others.
FREIGHT_BYTES: Final = 2**18


def next_flight(items: Sequence[_Item], start: int, most: int, content: Callable[[_Item], bytes]) -> Sequence[_Item]:
    """The part of `items` from `start` that leaves together: at most `most` of them, at least one.

    If they are more than one, the bytes that `content` gives for them are at most ``FLIGHT_BYTES`` together.
    """
    flight = items[start : start + most]
    if sum(map(len, map(content, flight))) <= FLIGHT_BYTES:
        return flight
    size = 0
    for position, item in enumerate(flight):
        size += len(content(item))
        if size > FLIGHT_BYTES:
            return flight[: max(position, 1)]
    return flight
