"""How arguments and results travel, and how to keep strangers from meddling with them."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from aqueue import ConfigurationError, JSONSerializer, MemoryHuey, PickleSerializer, Serializer
from aqueue.core.message import Envelope

from .running import running

KEY, OLD_KEY = "0123456789abcdef" * 4, "fedcba9876543210" * 4


async def test_a_worker_runs_only_what_was_signed() -> None:
    """With ``keys`` all that travels is signed, and compressed on request. Nobody else can send a task."""
    huey = MemoryHuey("shop", serializer=JSONSerializer(keys=[KEY, OLD_KEY], compress_from=1000))
    paid = []

    @huey.task(name="pay")
    async def pay(amount: int) -> str:
        paid.append(amount)
        return "paid " * 1000

    async with running(huey):
        await (await huey._parts.clients.open()).storage.push([Envelope("forged", b'{"t":"pay","a":[1000000]}')])
        assert await (await pay.enqueue(5)) == "paid " * 1000
        assert await huey.result("forged").status() in {"queued", "scheduled"}
    assert paid == [5]


async def test_pickles_carry_everything_but_only_with_a_key() -> None:
    """Reading a pickle can run any code. So it is read after its signature was verified, and never without one."""
    with pytest.raises(ConfigurationError, match="PickleSerializer needs keys="):
        PickleSerializer()
    huey = MemoryHuey("shop", serializer=PickleSerializer(keys=[KEY]))

    @huey.task()
    async def double(value: Any) -> Any:
        return 2 * value

    async with running(huey):
        assert await (await double.enqueue(Fraction(1, 3))) == Fraction(2, 3)


async def test_a_serializer_of_your_own_has_two_methods() -> None:
    """``dumps`` makes bytes of a value, ``loads`` a value of bytes. What they raise refuses the value, nothing else."""

    class FractionSerializer(Serializer):
        def dumps(self, value: Any) -> bytes:
            return json.dumps(value, default=lambda fraction: {"fraction": str(fraction)}).encode()

        def loads(self, data: bytes) -> Any:
            return json.loads(
                data, object_hook=lambda found: Fraction(found.get("fraction")) if "fraction" in found else found
            )

    huey = MemoryHuey("shop", serializer=FractionSerializer())

    @huey.task()
    async def double(value: Any) -> Any:
        return 2 * value

    async with running(huey):
        assert await (await double.enqueue(Fraction(1, 3))) == Fraction(2, 3)
