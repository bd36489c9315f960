"""Flights: bounded in number and in bytes, and never empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.core.patience import FLIGHT_BYTES, next_flight

if TYPE_CHECKING:
    from collections.abc import Sequence


def cut(sizes: Sequence[int], most: int = 500) -> list[list[int]]:
    """The flights in which items of these sizes leave."""
    flights: list[list[int]] = []
    start = 0
    while start < len(sizes):
        flight = next_flight(sizes, start, most, bytes)
        flights.append(list(flight))
        start += len(flight)
    return flights


def test_small_items_fill_a_flight_up_to_its_number() -> None:
    assert [len(flight) for flight in cut([10] * 1200)] == [500, 500, 200]


def test_a_flight_is_full_with_its_bytes() -> None:
    half = FLIGHT_BYTES // 2
    assert cut([half, half, 1, half, half]) == [[half, half], [1, half], [half]]


def test_an_item_that_is_larger_than_a_flight_leaves_alone_and_in_its_turn() -> None:
    large = FLIGHT_BYTES + 1
    assert cut([1, large, 2, 3, large]) == [[1], [large], [2, 3], [large]]
