"""Values, permits and rates on a server that is full, that forgets, and that should not be left with anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import redis

from aqueue.core.ids import new_token
from aqueue.exceptions import QueueFull

from .opened import opened

if TYPE_CHECKING:
    from ....servers import Server

_PATIENCE_SECONDS = 30
_LONG_MS = 3_600_000


async def test_nothing_is_left_of_what_has_lapsed_but_the_last_fence_and_the_layout(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.storage.redis.shared.REMEMBERED_MS", 50)
    namespace = f"test-{new_token()}"
    async with opened(redis_url, namespace) as storage:
        shared = storage.shared
        await shared.put("lapsing", b"", "t1", ttl_ms=50)
        await shared.put("number", b"1", "t2", ttl_ms=50)
        await shared.incr("number", 1, "t3")
        await shared.put("popped", b"1", "t4")
        await shared.pop("popped", "t5")
        for token, ttl_ms in (("t6", 300), ("t7", 350), ("released", 400)):
            await shared.acquire("lock", token, 3, ttl_ms)
        await shared.acquire("lock", "refused", 3, _LONG_MS)
        await shared.release("lock", "released")
        await shared.spend("rate", "t8", 1, 50, sliding=True)
        left: list[bytes] = []
        with redis.Redis.from_url(redis_url) as server:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while len(left) != 2:
                    left = sorted(server.scan_iter(f"{{aq:{namespace}}}:*"))
                    await asyncio.sleep(0.01)
    assert left == [f"{{aq:{namespace}}}:{name}".encode() for name in ("fences", "layout")]


async def test_fences_grow_on_when_a_server_has_forgotten_everything(redis_server: Server) -> None:
    async with opened(redis_server.url) as storage:
        before = await storage.shared.acquire("lock", "mine", 1, _LONG_MS)
        redis_server.restart()
        after = await storage.shared.acquire("lock", "yours", 1, _LONG_MS)
    assert after.fence > before.fence > 0


async def test_a_full_server_takes_no_value_but_lets_locks_and_limits_work(redis_server: Server) -> None:
    async with opened(redis_server.url) as storage:
        shared = storage.shared
        await shared.put("key", b"kept", "t1")
        await shared.put("number", b"1", "t2")
        held = await shared.acquire("lock", "mine", 1, _LONG_MS)
        with redis.Redis.from_url(redis_server.url) as server:
            server.config_set("maxmemory", 1)
        with pytest.raises(QueueFull):
            await shared.put("key", b"other", "t3")
        with pytest.raises(QueueFull):
            await shared.incr("number", 1, "t4")
        assert [await shared.get("key"), await shared.get("number")] == [b"kept", b"1"]
        assert await shared.acquire("lock", "mine", 1, _LONG_MS) == held
        assert not (await shared.acquire("lock", "yours", 1, _LONG_MS)).fence
        assert await shared.release("lock", "mine")
        assert (await shared.acquire("lock", "theirs", 1, _LONG_MS)).fence
        assert await shared.spend("rate", "t5", 1, _LONG_MS, sliding=True) == 0
        assert await shared.pop("key", "t6") == b"kept"
        assert await shared.delete("number", "t7")
