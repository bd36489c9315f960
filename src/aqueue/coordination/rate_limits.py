"""Rate limits that hold between processes: so many blocks or tasks of one name begin within a span of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.clock import span_ms
from ..core.ids import check_key, new_task_id
from ..exceptions import RateLimitExceeded
from .guard import Application, Guard

if TYPE_CHECKING:
    from datetime import timedelta

_HIGHEST_LIMIT = 1_000_000


class RateLimit(Guard[None]):
    """A rate limit; made by ``huey.rate_limit``."""

    def __init__(
        self, application: Application, name: str, limit: int, per_ms: int, retry: bool, sliding: bool
    ) -> None:
        super().__init__(application)
        self.name = name
        self._limit = limit
        self._per_ms = per_ms
        self._retry = retry
        self._sliding = sliding

    def __repr__(self) -> str:
        return f"<RateLimit {self.name}>"

    async def acquire(self) -> None:
        """Count one call.

        Raises:
            RateLimitExceeded: the limit is used up.
            QueueUnavailable: the store could not be reached.
        """
        shared = (await self._application.client()).storage.shared
        wait_ms = await shared.spend(self.name, new_task_id(), self._limit, self._per_ms, sliding=self._sliding)
        if wait_ms:
            raise RateLimitExceeded(self.name, wait_ms / 1000, self._retry)

    async def current_usage(self) -> int:
        """How many calls the present window has admitted."""
        shared = (await self._application.client()).storage.shared
        return await shared.usage(self.name, self._per_ms, sliding=self._sliding)

    async def reset(self) -> None:
        """Forget what was admitted."""
        await (await self._application.client()).storage.shared.reset(self.name, self._per_ms)

    async def _enter(self) -> None:
        await self.acquire()

    async def _leave(self, entered: None) -> None:
        """A call that began stays counted."""


class Limits:
    """What an application offers of rate limits."""

    def rate_limit(
        self: Application, name: str, limit: int, per: float | timedelta, retry: bool = True, *, sliding: bool = False
    ) -> RateLimit:
        """A limit: of all blocks and tasks under it, in whatever process, `limit` begin within `per`.

        Use it as ``async with``, as ``with`` where nothing can be awaited, or as a decorator above or below
        ``@huey.task``. Who comes too often raises ``RateLimitExceeded``. A task that does runs again when the limit
        admits it, or after its own ``retry_delay``: at no cost with `retry`, else for one of its retries.

        `per` is seconds or a timedelta. Windows begin at its multiples, as in Huey, so that twice the limit may begin
        around the end of one; with `sliding` there is no span of that length in which more than `limit` do.

        Raises:
            TypeError, ValueError: an argument is of a wrong kind or out of range.
        """
        if not isinstance(limit, int) or isinstance(limit, bool):
            raise TypeError(f"limit must be an int, not {limit!r}")
        if not 1 <= limit <= _HIGHEST_LIMIT:
            raise ValueError(f"limit must be between 1 and {_HIGHEST_LIMIT}, not {limit!r}")
        for option, value in (("retry", retry), ("sliding", sliding)):
            if not isinstance(value, bool):
                raise TypeError(f"{option} must be True or False, not {value!r}")
        per_ms = span_ms(per, "per")
        if not per_ms:
            raise ValueError(f"per must be at least 0.001 seconds, not {per!r}")
        return RateLimit(self, check_key(name, "the name of a rate limit"), limit, per_ms, retry, sliding)
