"""What a namespace shares beside its tasks, on Redis: one script for each call that looks before it writes."""

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
        arguments = (value, int(only_if_empty), ttl_ms, REMEMBERED_MS)
        return bool(await self._server.run(PUT, self._cell(key, token), *arguments))

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._server.call("HGET", self._keys.value(key), "v")
        return value

    async def pop(self, key: str, token: str) -> bytes | None:
        value: bytes | None = await self._server.run(POP, self._cell(key, token), REMEMBERED_MS)
        return value

    async def delete(self, key: str, token: str) -> bool:
        return bool(await self._server.run(DELETE, self._cell(key, token), REMEMBERED_MS))

    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await self._server.run(INCR, self._cell(key, token), amount, REMEMBERED_MS)
        return None if total is None else int(total)

    def _cell(self, key: str, token: str) -> tuple[str, str]:
        return self._keys.value(key), self._keys.answer(token)

    # -- permits

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        keys = (*self._permits(name), self._keys.fence, self._keys.answer(token))
        fence, wait_ms = await self._server.run(ACQUIRE, keys, name, token, permits, ttl_ms)
        return Grant(fence, wait_ms)

    async def release(self, name: str, token: str) -> bool:
        keys = (*self._permits(name), self._keys.answer(token))
        return bool(await self._server.run(RELEASE, keys, name, token, self._keys.control, REMEMBERED_MS))

    async def holders(self, *names: str) -> list[Holder]:
        found = await self._server.run(HOLDERS, (self._keys.held,), self._keys.holders_prefix, *names)
        holders = [Holder(name.decode(), token.decode(), left_ms) for name, token, left_ms in found]
        return sorted(holders, key=lambda holder: holder.left_ms)

    def _permits(self, name: str) -> tuple[str, str, str]:
        return self._keys.holders_prefix + name, self._keys.fences(name), self._keys.held

    # -- rates

    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        arguments = (token, limit, per_ms, int(sliding))
        wait_ms: int = await self._server.run(SPEND, (self._keys.rate(name, per_ms),), *arguments)
        return wait_ms

    async def usage(self, name: str, per_ms: int, *, sliding: bool) -> int:
        used: int = await self._server.run(USAGE, (self._keys.rate(name, per_ms),), per_ms, int(sliding))
        return used

    async def reset(self, name: str, per_ms: int) -> None:
        await self._server.call("ZREMRANGEBYRANK", self._keys.rate(name, per_ms), 0, -1)
