"""Values under keys, shared by all processes of an application.

They are JSON with tags, independently of the application's serializer, because the store itself increments them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import codec
from ..core.clock import span_ms
from ..core.ids import check_key, new_task_id

if TYPE_CHECKING:
    from datetime import timedelta

    from ..client.loops import ClientPerLoop
    from ..storage.shared import SharedState


class Values:
    """The values of one application. A key is any text of 1 to 200 characters, a value is anything JSON with tags has.

    Each call raises ``QueueUnavailable`` if the store cannot be reached, and ``QueueFull`` if it has no room.
    """

    def __init__(self, clients: ClientPerLoop) -> None:
        self._clients = clients

    async def put(self, key: str, value: Any, ttl: float | timedelta | None, *, only_if_empty: bool = False) -> bool:
        """Store `value` under `key`; with `only_if_empty`, return False if the key has a value."""
        ttl_ms = 0 if ttl is None else max(span_ms(ttl, "ttl"), 1)
        data = codec.encode_value(value, "value")
        shared = await self._shared()
        return await shared.put(_checked(key), data, new_task_id(), only_if_empty=only_if_empty, ttl_ms=ttl_ms)

    async def get(self, key: str, default: Any, *, pop: bool) -> Any:
        """The value of `key`, or `default`; with `pop` it is removed."""
        shared = await self._shared()
        value = await (shared.pop(_checked(key), new_task_id()) if pop else shared.get(_checked(key)))
        return default if value is None else codec.decode_value(value)

    async def delete(self, key: str) -> bool:
        """Remove the value of `key`; False if there was none."""
        return await (await self._shared()).delete(_checked(key), new_task_id())

    async def incr(self, key: str, amount: int) -> int:
        """Add `amount` to the int under `key` (0 if there is none) and return the sum."""
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise TypeError(f"amount must be an int, not {amount!r}")
        total = await (await self._shared()).incr(_checked(key), amount, new_task_id())
        if total is None:
            raise TypeError(f"the value of {key!r} and the sum must be signed 64-bit integers")
        return total

    async def _shared(self) -> SharedState:
        return (await self._clients.storage()).shared


def _checked(key: str) -> str:
    return check_key(key, "key")
