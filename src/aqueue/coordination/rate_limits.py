"""Rate limits across processes: of the blocks and tasks under one name, at most `limit` start per period."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.clock import span_ms
from ..core.ids import check_key, new_task_id
from ..exceptions import RateLimitExceeded
from .guard import Guard

if TYPE_CHECKING:
    from datetime import timedelta

    from ..client.loops import ClientPerLoop
    from ..client.portal import Portal

_HIGHEST_LIMIT = 1_000_000


class RateLimit(Guard[None]):
    """A rate limit; made by ``huey.rate_limit``."""

    def __init__(
        self,
        clients: ClientPerLoop,
        portal: Portal,
        name: str,
        limit: int,
        per_ms: int,
        *,
        retry: bool,
        sliding: bool,
    ) -> None:
        super().__init__(clients, portal)
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
        shared = (await self._clients.storage()).shared
        wait_ms = await shared.spend(self.name, new_task_id(), self._limit, self._per_ms, sliding=self._sliding)
        if wait_ms:
            raise RateLimitExceeded(self.name, wait_ms / 1000, self._retry)

    async def current_usage(self) -> int:
        """How many calls the current period has admitted."""
        shared = (await self._clients.storage()).shared
        return await shared.usage(self.name, self._per_ms, sliding=self._sliding)

    async def reset(self) -> None:
        """Forget the calls that were admitted so far."""
        await (await self._clients.storage()).shared.reset(self.name, self._per_ms)

    async def _enter(self) -> None:
        await self.acquire()

    async def _leave(self, entered: None) -> None:
        """Do nothing: an admitted call stays counted after its end."""


class RateLimits:
    """The rate limits of one application."""

    def __init__(self, clients: ClientPerLoop, portal: Portal) -> None:
        self._clients = clients
        self._portal = portal

    def limit(self, name: str, limit: int, per: float | timedelta, *, retry: bool, sliding: bool) -> RateLimit:
        """A rate limit; see ``Huey.rate_limit``."""
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
        key = check_key(name, "the name of a rate limit")
        return RateLimit(self._clients, self._portal, key, limit, per_ms, retry=retry, sliding=sliding)
