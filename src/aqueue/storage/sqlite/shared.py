"""What a namespace in the file shares beside its tasks, one short transaction a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .steps import shared as steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..shared import Grant, Holder
    from .thread import WriterThread


class SqliteSharedState:
    """Implements ``storage.shared.SharedState``. `writer` gives the thread of the present session."""

    def __init__(self, writer: Callable[[], WriterThread]) -> None:
        self._writer = writer

    # -- values

    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        return await self._writer().submit(steps.put, key, value, token, only_if_empty, ttl_ms)

    async def get(self, key: str) -> bytes | None:
        return await self._writer().look(steps.get, key)

    async def pop(self, key: str, token: str) -> bytes | None:
        return await self._writer().submit(steps.pop, key, token)

    async def delete(self, key: str, token: str) -> bool:
        return await self._writer().submit(steps.delete, key, token)

    async def incr(self, key: str, amount: int, token: str) -> int | None:
        total = await self._writer().submit(steps.incr, key, amount, token)
        return None if total is None else int(total)

    # -- permits

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        return await self._writer().submit(steps.acquire, name, token, permits, ttl_ms)

    async def release(self, name: str, token: str) -> bool:
        return await self._writer().submit(steps.release, name, token)

    async def holders(self, *names: str) -> list[Holder]:
        return await self._writer().look(steps.holders, names)

    # -- rates

    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        return await self._writer().submit(steps.spend, name, token, limit, per_ms, sliding)

    async def usage(self, name: str, per_ms: int, *, sliding: bool) -> int:
        return await self._writer().look(steps.usage, name, per_ms, sliding)

    async def reset(self, name: str, per_ms: int) -> None:
        await self._writer().submit(steps.reset, name, per_ms)
