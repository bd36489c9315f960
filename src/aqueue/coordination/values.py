"""Values under keys that every process of an application shares, apart from tasks, results, locks and limits.

They are JSON with tags, whatever serializer the application has for its tasks: the store itself counts with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..core import codec
from ..core.clock import span_ms
from ..core.ids import check_key, new_task_id

if TYPE_CHECKING:
    from datetime import timedelta

    from ..storage.protocol import Storage


class _Line(Protocol):
    @property
    def storage(self) -> Storage: ...


class Application(Protocol):
    """What values need of the application whose they are."""

    async def client(self) -> _Line: ...


class Values:
    """What an application offers of values. A key is any text of 1 to 200 characters, a value what can be an argument.

    Each call raises ``QueueUnavailable`` when the store cannot be reached, and ``QueueFull`` when it has no room.
    """

    async def put(self: Application, key: str, value: Any, ttl: float | timedelta | None = None) -> None:
        """Keep `value` under `key`, in place of any other; with `ttl` (seconds or a timedelta) for so long.

        Raises:
            TypeError, ValueError: `key` or `ttl` is out of range.
            EncodeError: `value` cannot travel.
        """
        await _put(self, key, value, ttl, only_if_empty=False)

    async def put_if_empty(self: Application, key: str, value: Any, ttl: float | timedelta | None = None) -> bool:
        """Like ``put`` where there is no value yet; False where there is one. Of many who try, one gets True."""
        return await _put(self, key, value, ttl, only_if_empty=True)

    async def get(self: Application, key: str, default: Any = None, *, pop: bool = False) -> Any:
        """The value of `key`, or `default`; with `pop` it is taken away, as in Huey."""
        shared = (await self.client()).storage.shared
        value = await (shared.pop(_checked(key), new_task_id()) if pop else shared.get(_checked(key)))
        return default if value is None else codec.decode_value(value)

    async def delete(self: Application, key: str) -> bool:
        """Empty `key`; False when it was."""
        return await (await self.client()).storage.shared.delete(_checked(key), new_task_id())

    async def incr(self: Application, key: str, amount: int = 1) -> int:
        """Add `amount` to the int of `key`, 0 where there is none, and return the sum. A time to live stays.

        Raises:
            TypeError: `amount` is no int, or the value is none of 64 bits, or would not be any more.
        """
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise TypeError(f"amount must be an int, not {amount!r}")
        total = await (await self.client()).storage.shared.incr(_checked(key), amount, new_task_id())
        if total is None:
            raise TypeError(f"the value of {key!r} and the sum must be ints of 64 bits")
        return total


async def _put(
    application: Application, key: str, value: Any, ttl: float | timedelta | None, *, only_if_empty: bool
) -> bool:
    ttl_ms = 0 if ttl is None else max(span_ms(ttl, "ttl"), 1)
    data = codec.encode_value(value, "value")
    shared = (await application.client()).storage.shared
    return await shared.put(_checked(key), data, new_task_id(), only_if_empty=only_if_empty, ttl_ms=ttl_ms)


def _checked(key: str) -> str:
    return check_key(key, "key")
