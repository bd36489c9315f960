"""Deadlines that mean that nothing moves, measured with the kernel's counters of bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import TYPE_CHECKING

from redis.exceptions import TimeoutError as RedisTimeoutError

from ....core.patience import GLANCE_SECONDS, STILL_SECONDS

if TYPE_CHECKING:
    from types import TracebackType

# Of Linux's struct tcp_info, the bytes that the peer has acknowledged and those that came from it.
_COUNTERS = struct.Struct("@120xQQ")


def bytes_moved(transport: asyncio.BaseTransport) -> tuple[int, int] | None:
    """How many bytes the peer has got and sent since it was connected; None where the kernel does not count them."""
    if sys.platform != "linux":
        return None
    try:
        raw = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _COUNTERS.size)
        got, sent = _COUNTERS.unpack(raw)
    except (OSError, struct.error):
        # A Unix socket, an older kernel, or a connection that has ended.
        return None
    return got, sent


class Deadline:
    """A block in which a reply is due on `transport`.

    The connection ends when nothing has moved on it for some seconds, and the block with it. `quiet` is how much longer
    the server may be silent. `moved_at` is when something was last seen to move, on the clock of the event loop.

    Raises:
        RedisTimeoutError: nothing moved.
    """

    __slots__ = ("_counters", "_ended", "_limit", "_loop", "_since", "_timer", "_transport", "moved_at")

    def __init__(self, transport: asyncio.Transport, quiet: float = 0.0) -> None:
        self._transport = transport
        self._limit = quiet + STILL_SECONDS
        self._loop = asyncio.get_running_loop()
        self._counters: tuple[int, int] | None = None
        self._ended = False
        self.moved_at = 0.0

    def __enter__(self) -> Deadline:
        self._since = self._loop.time()
        self._timer = self._loop.call_later(GLANCE_SECONDS, self._glance)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._ended and not isinstance(error, asyncio.CancelledError):
            raise RedisTimeoutError(f"nothing moved on the connection for {self._limit:g} s") from error

    def _glance(self) -> None:
        now = self._loop.time()
        counters = bytes_moved(self._transport)
        if counters != self._counters:
            if self._counters is not None:
                self.moved_at = now
            # What came before the first glance is not known, and is taken for a movement too.
            self._since, self._counters = now, counters
        if now - self._since < self._limit:
            self._timer = self._loop.call_later(GLANCE_SECONDS, self._glance)
        else:
            self._ended = True
            self._transport.abort()
