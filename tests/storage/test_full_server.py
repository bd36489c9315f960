"""A Redis server without memory: what needs room is refused as a whole."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis

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
