"""Shared state on Redis: values, permits and rates, with one script for each call that reads before it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..shared import REMEMBERED_MS, Grant, Holder
from .scripts import ACQUIRE, DELETE, HOLDERS, INCR, POP, PUT, RELEASE, SPEND, USAGE

if TYPE_CHECKING:
    from .connections.server import Server
    from .keys import Keys


class RedisSharedState:
    """Implements ``storage.shared.SharedState``."""

    def __init__(self, server: Server, keys: Keys) -> None:
        self._server = server
        self._keys = keys

    # -- values

    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        arguments = (key, value, int(only_if_empty), ttl_ms)
        return bool(await self._server.run(PUT, token, REMEMBERED_MS, *arguments))

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._server.call("HGET", self._keys.value(key), "v")
        return value

    async def pop(self, key: str, token: str) -> bytes | None:
        value: bytes | None = await self._server.run(POP, token, REMEMBERED_MS, key)
        return value

    async def delete(self, key: str, token: str) -> bool:
        return bool(await self._server.run(DELETE, token, REMEMBERED_MS, key))

    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await self._server.run(INCR, token, REMEMBERED_MS, key, amount)
        return None if total is None else int(total)

    # -- permits

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        fence, wait_ms = await self._server.run(ACQUIRE, name, token, permits, ttl_ms)
        return Grant(fence, wait_ms)

    async def release(self, name: str, token: str) -> bool:
        return bool(await self._server.run(RELEASE, token, REMEMBERED_MS, name))

    async def holders(self, *names: str) -> list[Holder]:
        found = await self._server.run(HOLDERS, *names)
        holders = [Holder(name.decode(), token.decode(), left_ms) for name, token, left_ms in found]
        return sorted(holders, key=lambda holder: holder.left_ms)

    # -- rates

    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        wait_ms: int = await self._server.run(SPEND, name, per_ms, int(sliding), token, limit)
        return wait_ms

    async def usage(self, name: str, per_ms: int, *, sliding: bool) -> int:
        used: int = await self._server.run(USAGE, name, per_ms, int(sliding))
        return used

    async def reset(self, name: str, per_ms: int) -> None:
        await self._server.call("ZREMRANGEBYRANK", self._keys.rate(name, per_ms), 0, -1)
