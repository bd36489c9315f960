"""The contract for what a namespace shares beside its tasks: values, permits and rates.

Each call may be repeated when its reply was lost. A `token` names the call, or the holder of a permit: for
`REMEMBERED_MS` a repetition under the same token changes nothing and gets the same answer. Spans are milliseconds, by
the clock of the store alone. What has lapsed leaves nothing behind.

A call raises ``QueueUnavailable`` when the store cannot be reached within a few seconds, and ``QueueFull`` when it has
no room for what the call brings.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

# Longer than a client goes on repeating a call.
REMEMBERED_MS = 30_000

_INTEGER = re.compile(rb"-?[0-9]{1,19}")
_SMALLEST = -(2**63)
_LARGEST = 2**63 - 1


class Grant(NamedTuple):
    """The answer to ``acquire``.

    `fence` is 0 for a refusal, which holds for `wait_ms` unless a permit is released. Else the permit is held,
    and `fence` is higher than that of every earlier grant in the namespace.
    """

    fence: int
    wait_ms: int = 0


class Holder(NamedTuple):
    """A permit of `name` that `token` holds for `left_ms` more, unless it is renewed."""

    name: str
    token: str
    left_ms: int


class SharedState(Protocol):
    """What a storage keeps beside its tasks."""

    # -- values

    async def put(self, key: str, value: bytes, token: str, *, only_if_empty: bool = False, ttl_ms: int = 0) -> bool:
        """Keep `value` under `key`, for `ttl_ms` if that is not 0; False if `only_if_empty` and there was one."""

    async def get(self, key: str) -> bytes | None: ...

    async def pop(self, key: str, token: str) -> bytes | None:
        """The value of `key`, which is empty then."""

    async def delete(self, key: str, token: str) -> bool:
        """Empty `key`; False when it was."""

    async def incr(self, key: str, amount: int, token: str) -> int | None:
        """Add `amount` to the decimal integer of `key`, 0 where it is empty; its time to live stays.

        None when the value or the sum is not an integer of 64 bits: then the value stays as it is.
        """

    # -- permits

    async def acquire(self, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
        """Give `token` one of the `permits` of `name` for `ttl_ms`; a permit that it holds already begins anew.

        After a refusal, every listener hears ``Freed`` when a permit of `name` is released next.
        """

    async def release(self, name: str, token: str) -> bool:
        """Take the permit back from `token`, which can acquire none afterwards; False when it held none."""

    async def holders(self, *names: str) -> list[Holder]:
        """The holders of permits of `names`, or of any name, in the order in which the permits lapse."""

    # -- rates

    async def spend(self, name: str, token: str, limit: int, per_ms: int, *, sliding: bool) -> int:
        """Count one call against `limit` per `per_ms`: 0 when it is admitted, else the ms after which one may be.

        A window begins at each multiple of `per_ms` since the epoch; with `sliding` every span of `per_ms` is one. What
        is admitted is remembered call by call, so that the limit is exact at any moment, under any concurrency, and
        costs the store one small entry for each call of the last `per_ms`.
        """

    async def usage(self, name: str, per_ms: int, *, sliding: bool) -> int:
        """The number of calls that the present window has admitted."""

    async def reset(self, name: str, per_ms: int) -> None:
        """Forget what was admitted."""


def increased(value: bytes, amount: int) -> bytes | None:
    """The decimal integer `value` plus `amount`; None when either is not an integer of 64 bits."""
    if not _INTEGER.fullmatch(value):
        return None
    total = int(value) + amount
    return b"%d" % total if _SMALLEST <= total <= _LARGEST and _SMALLEST <= int(value) <= _LARGEST else None
