"""Values under keys, on every store."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import EncodeError, Huey, MemoryHuey

from ..facts import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


async def test_a_value_comes_back_as_it_was_put(huey_on_any_store: Huey) -> None:
    async with huey_on_any_store as huey:
        for value in (None, 0, "", [1, (2, {3})], {"a": b"\x00"}, Decimal("1.10")):
            await huey.put("key", value)
            assert await huey.get("key", "default") == value
            assert type(await huey.get("key")) is type(value)


async def test_what_is_not_there_is_the_default(huey_on_any_store: Huey) -> None:
    async with huey_on_any_store as huey:
        assert await huey.get("key") is None
        assert await huey.get("key", 5) == 5
        assert await huey.get("key", 5, pop=True) == 5


async def test_reading_leaves_a_value_and_popping_takes_it(huey_on_any_store: Huey) -> None:
    async with huey_on_any_store as huey:
        await huey.put("key", 1)
        assert [await huey.get("key"), await huey.get("key", pop=True), await huey.get("key")] == [1, 1, None]
        await huey.put("key", 2)
        assert [await huey.delete("key"), await huey.delete("key")] == [True, False]


async def test_of_many_who_try_one_gets_an_empty_key(huey_on_any_store: Huey) -> None:
    async with huey_on_any_store as huey:
        won = await asyncio.gather(*(huey.put_if_empty("key", number) for number in range(50)))
        assert won.count(True) == 1
        assert await huey.get("key") == won.index(True)


async def test_a_value_with_a_time_to_live_goes_by_itself(huey_on_any_store: Huey) -> None:
    async def gone() -> bool:
        return await huey.get("key") is None

    async with huey_on_any_store as huey:
        await huey.put("key", 1, ttl=0.05)
        await until(gone)
        assert await huey.put_if_empty("key", 2, ttl=3600)
        assert await huey.get("key") == 2


async def test_concurrent_sums_lose_nothing(huey_on_any_store: Huey) -> None:
    async with huey_on_any_store as huey:
        sums = await asyncio.gather(*(huey.incr("n", 2) for _ in range(100)))
        assert sorted(sums) == list(range(2, 201 + 1, 2))
        assert await huey.incr("n", -200) == 0
        await huey.put("n", 41)
        assert await huey.incr("n") == 42
        assert await huey.get("n") == 42


@pytest.mark.parametrize("value", ["1", 1.0, True, None, [1], 2**63 - 1, 2**70])
async def test_what_is_no_number_is_not_added_to(value: Any) -> None:
    async with MemoryHuey("shop") as huey:
        await huey.put("key", value)
        with pytest.raises(TypeError, match="the value of 'key' and the sum must be signed 64-bit integers"):
            await huey.incr("key")
        assert await huey.get("key") == value


async def test_values_locks_and_tasks_of_one_name_are_apart(huey_on_any_store: Huey) -> None:
    async with huey_on_any_store as huey:
        add = huey.task(name="add")(lambda: 1)
        result = await add.options(id="same").enqueue()
        async with huey.lock_task("same"), huey.rate_limit("same", 1, 3600):
            await huey.put("same", 1)
            assert await huey.delete("same")
            assert await huey.is_locked("same")
            assert await huey.rate_limit("same", 1, 3600).current_usage() == 1
        assert await result.status() == "queued"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda huey: huey.put("", 1), ValueError, "key must be text of 1 to 200 characters, not ''"),
        (lambda huey: huey.get(5), TypeError, "key must be a str, not 5"),
        (lambda huey: huey.delete(None), TypeError, "key must be a str, not None"),
        (lambda huey: huey.put("key", object()), EncodeError, "value is a builtins.object, which cannot travel"),
        (lambda huey: huey.put("key", 1, ttl=-1), ValueError, "ttl must be between 0 seconds and 10 years"),
        (lambda huey: huey.incr("key", 1.5), TypeError, "amount must be an int, not 1.5"),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused(
    call: Callable[[Huey], Coroutine[Any, Any, Any]], error: type[Exception], message: str
) -> None:
    async with MemoryHuey("shop") as huey:
        with pytest.raises(error, match=message):
            await call(huey)


def test_code_that_cannot_await_has_them_too(huey_on_any_store: Huey) -> None:
    sync = huey_on_any_store.sync
    sync.run(huey_on_any_store.put("key", [1]))
    assert sync.run(huey_on_any_store.get("key")) == [1]
