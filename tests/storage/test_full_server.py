"""A Redis server without memory: what needs room is refused as a whole."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis

from aqueue import Huey
from aqueue.core.message import Envelope
from aqueue.exceptions import QueueFull
from aqueue.testing.conformance.harness import pull

from .conftest import RedisHarness

if TYPE_CHECKING:
    from ..servers import Server


async def test_a_step_of_a_schedule_that_finds_no_room_did_not_happen(redis_server: Server) -> None:
    storage = RedisHarness(redis_server.url).make()
    await storage.open()
    fired = [Envelope("ready", b"r"), Envelope("later", b"l", delay_ms=60_000)]
    assert await storage.advance("hourly", b"", b"one", [])
    with closing(redis.Redis.from_url(redis_server.url)) as operator:
        operator.config_set("maxmemory", 1)
        for envelopes in (fired, []):
            with pytest.raises(QueueFull):
                await storage.advance("hourly", b"one", b"two", envelopes)
        assert await storage.schedules() == {"hourly": b"one"}
        assert await storage.records(["ready", "later"]) == [None, None]
        assert await storage.advance("hourly", b"one", b"", [])
        operator.config_set("maxmemory", 0)
    assert await storage.advance("hourly", b"", b"two", fired)
    assert [delivery.payload for delivery in await pull(storage, 2)] == [b"r"]
    await storage.close()


async def test_a_large_batch_that_finds_no_room_says_what_is_kept_and_can_be_sent_again(redis_server: Server) -> None:
    huey = Huey("shop", redis_server.url)

    @huey.task
    async def measure(text: str) -> int:
        return len(text)

    async with huey:
        with closing(redis.Redis.from_url(redis_server.url)) as operator:
            operator.config_set("maxmemory", operator.info("memory")["used_memory"] + 10 * 2**20)
            with pytest.raises(QueueFull) as caught:
                await huey.enqueue_many(measure.s("x" * 1_000) for _ in range(20_000))
            operator.config_set("maxmemory", 0)
        ids, kept = caught.value.ids, caught.value.kept
        assert (len(ids), kept) == (20_000, ids[: len(kept)])
        assert 0 < len(kept) < 20_000
        again = await huey.enqueue_many(measure.options(id=task_id).s("x" * 1_000) for task_id in ids)
        assert not any(result.created for result in list(again)[: len(kept)])
        [depth] = await huey.queues.depths()
        assert depth.ready == 20_000
