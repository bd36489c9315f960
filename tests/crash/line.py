"""One direction of a slow line: a rate that all connections share, and a latency."""

from __future__ import annotations

import asyncio

# A connection sends this many seconds' worth of bytes, then the next one has its turn.
_TURN_SECONDS = 0.005
_LARGEST_CHUNK = 65536
_SMALLEST_CHUNK = 512
# An event loop that wakes up late may catch up by this much, so that the rate holds on a busy machine.
_MOST_ARREARS = 0.02


class Line:
    """Carries everything at once, until `rate` (bytes a second) or `latency` (seconds) is set.

    Connections take turns, chunk by chunk. `carried` is the number of bytes so far.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self.latency = 0.0
        self.carried = 0
        self._free_at = 0.0

    @property
    def chunk(self) -> int:
        """The number of bytes of one turn."""
        if self.rate is None:
            return _LARGEST_CHUNK
        return min(max(int(self.rate * _TURN_SECONDS), _SMALLEST_CHUNK), _LARGEST_CHUNK)

    async def carry(self, size: int) -> float:
        """Wait for a turn and until `size` bytes have left; when they arrive, on the clock of the event loop.

        A connection that asks for one chunk at a time stands behind at most one chunk of each other connection.
        """
        loop = asyncio.get_running_loop()
        if self.rate is not None:
            self._free_at = max(self._free_at, loop.time() - _MOST_ARREARS) + size / self.rate
            # Also where there is nothing to wait for: the others have their turn.
            await asyncio.sleep(max(self._free_at - loop.time(), 0))
        self.carried += size
        return loop.time() + self.latency
