"""Large payloads: loaded a flight at a time, and no more of them taken than the line carries."""

from __future__ import annotations

import asyncio

import pytest

from aqueue import QueueUnavailable
from aqueue.core.message import Delivery, Receipt
from aqueue.core.patience import FLIGHT_BYTES, FREIGHT_BYTES
from aqueue.worker.execution.loader import Loader

from ...facts import until


def large(name: str, size: int) -> Delivery:
    return Delivery(name, b"", Receipt("me", "place", name, 1), unread=size)


class Line:
    """Carries a payload once it is told to."""

    def __init__(self) -> None:
        self.under_way: dict[str, asyncio.Future[bytes]] = {}

    async def fetch(self, delivery: Delivery) -> bytes:
        self.under_way[delivery.id] = asyncio.get_running_loop().create_future()
        try:
            return await self.under_way[delivery.id]
        finally:
            del self.under_way[delivery.id]


async def test_payloads_come_a_flight_at_a_time_in_the_order_in_which_they_were_asked_for() -> None:
    line = Line()
    loader = Loader(line.fetch)
    half = FLIGHT_BYTES // 2
    sizes = {"a": half, "b": half, "c": 3 * FLIGHT_BYTES, "d": half, "e": half}
    loads = [asyncio.create_task(loader.load(large(name, size))) for name, size in sizes.items()]
    for flight in (["a", "b"], ["c"], ["d", "e"]):
        await until(lambda expected=flight: list(line.under_way) == expected)
        for name in flight:
            line.under_way[name].set_result(name.encode())
    assert await asyncio.gather(*loads) == [b"a", b"b", b"c", b"d", b"e"]
    assert not loader.is_full


async def test_freight_delays_nothing_that_is_small() -> None:
    line = Line()
    loader = Loader(line.fetch)
    freight = asyncio.create_task(loader.load(large("freight", 16 * FLIGHT_BYTES)))
    await until(lambda: line.under_way)
    small = asyncio.create_task(loader.load(large("small", FREIGHT_BYTES)))
    await until(lambda: "small" in line.under_way)
    for name in ("small", "freight"):
        line.under_way[name].set_result(name.encode())
    assert await asyncio.gather(freight, small) == [b"freight", b"small"]


async def test_what_would_have_to_wait_is_surplus() -> None:
    line = Line()
    loader = Loader(line.fetch)
    many = [large(str(number), FLIGHT_BYTES) for number in range(10)]
    small = [Delivery(str(number), b"x", Receipt("me", "place", str(number), 1)) for number in range(10)]
    assert loader.surplus([*small, *many]) == many[4:]
    assert loader.surplus(large(str(number), 20_000) for number in range(40)) == []
    loads = [asyncio.create_task(loader.load(delivery)) for delivery in many[:4]]
    await until(lambda: line.under_way)
    assert loader.is_full
    assert loader.surplus([*small, *many[4:]]) == many[4:]
    line.under_way["0"].set_result(b"")
    await loads[0]
    assert not loader.is_full
    for load in loads:
        load.cancel()
    await asyncio.wait(loads)


async def test_a_load_that_fails_leaves_its_room_to_the_next() -> None:
    line = Line()
    loader = Loader(line.fetch)
    first, second, third = (
        asyncio.create_task(loader.load(large(name, FLIGHT_BYTES))) for name in ("first", "second", "third")
    )
    await until(lambda: line.under_way)
    second.cancel()
    line.under_way["first"].set_exception(QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        await first
    await until(lambda: list(line.under_way) == ["third"])
    line.under_way["third"].set_result(b"here")
    assert await third == b"here"
