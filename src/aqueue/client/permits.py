"""The permits of locks and semaphores that one event loop holds, and the lines of those who wait for one.

What is held is renewed by one loop, long before it lapses. Of those who wait for one name only the first asks the
store: at once, when a release is announced, and every few seconds, because an announcement can get lost.

**What is shared.** `_held` has the permits to renew, `_lines` has a line for each name that somebody waits for, and
`_releases` keeps the releases that are under way alive. All of it belongs to one event loop, and nothing awaits between
reading a collection and writing it. A permit alone may be given back in another event loop than it was taken in: that
sets `_ended`, and the loop that renews drops the permit when it comes across it.

**Which races there are.**

* A caller gives up (it is cancelled, its time is over, the store does not answer) while the store grants its permit.
  Nobody would renew or release that one, so each request that ends without an answer is followed by a release.
* A caller is cancelled while it gives back. The release runs as a task of its own, which `_releases` keeps.
* A release is announced before the first in line sleeps. It clears `moved` before it asks: an announcement after the
  clearing ends the sleep at once, and one before it was answered by the request.
* A renewal is answered late, or by a new permit of the same token. A fence that has changed says that the permit lapsed
  in between, when another holder may have been inside, so it is lost even if it is ours again.
* A permit is taken that must be renewed before all others: `_renew_earlier` wakes the loop that sleeps until the first
  renewal is due (`_renewal_at`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from typing import TYPE_CHECKING

from ..core.clock import SystemClock
from ..exceptions import HueyException, QueueUnavailable, TaskLockedException
from ..storage.protocol import Connected, Freed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..storage.protocol import Storage
    from .subscribers import Subscribers

logger = logging.getLogger("aqueue.locks")

_LONGEST_REFUSAL_MS = 5_000
_REPEAT_SECONDS = 1.0
_CLOSING_SECONDS = 1.0

_clock = SystemClock()


class Permit:
    """One permit of a lock or a semaphore, in the hands of this process.

    `fence` is higher than that of every permit before it: write it beside a side effect, and refuse a lower one.
    """

    __slots__ = ("_ended", "_lapses_at", "_renew_at", "fence", "name", "permits", "token", "ttl_ms")

    def __init__(self, name: str, token: str, permits: int, ttl_ms: int) -> None:
        self.name = name
        self.token = token
        self.permits = permits
        self.ttl_ms = ttl_ms
        self.fence = 0
        self._renew_at = 0.0
        self._lapses_at = 0.0
        self._ended = False

    def __repr__(self) -> str:
        return f"<Permit {self.name} fence={self.fence} {'held' if self.is_held else 'not held'}>"

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have it: it was neither released nor lost."""
        return not self._ended and _clock.monotonic() < self._lapses_at

    def _extend(self, asked_at: float) -> None:
        """The store gave it at `asked_at` or later."""
        self._renew_at = asked_at + self.ttl_ms / 3000
        self._lapses_at = asked_at + self.ttl_ms / 1000


class _Line:
    """Those who wait for a permit of one name, in the order in which they came."""

    def __init__(self) -> None:
        self.length = 0
        self.turn = asyncio.Lock()
        self.moved = asyncio.Event()


class Permits:
    """Takes, renews and gives back. `listen` makes the store announce releases to the `subscribers`."""

    def __init__(self, storage: Storage, subscribers: Subscribers, listen: Callable[[], None]) -> None:
        self._storage = storage
        self._listen = listen
        self._held: set[Permit] = set()
        self._lines: dict[str, _Line] = {}
        self._releases: set[asyncio.Task[bool]] = set()
        self._renewal_at = math.inf
        self._renew_earlier = asyncio.Event()
        self._closed = False
        subscribers.add(Freed, lambda freed: self._look_again(freed.name))
        # What was released while nobody listened was missed.
        subscribers.add(Connected, lambda _: self._look_again())

    # -- taking and giving back

    async def take(self, permit: Permit, wait_ms: int) -> None:
        """Hold `permit`, which may take up to `wait_ms`.

        Raises:
            TaskLockedException: none was free in time.
            QueueUnavailable: the store could not be reached.
        """
        refused_ms = await (self._wait_in_line(permit, wait_ms) if wait_ms else self._ask(permit))
        if refused_ms:
            raise TaskLockedException(f"unable to acquire lock {permit.name}", refused_ms / 1000)

    async def give_back(self, permit: Permit) -> bool:
        """Release `permit`; False when it was lost before. It is released even if the caller is cancelled meanwhile."""
        was_held = permit.is_held
        permit._ended = True
        return await asyncio.shield(self._release_soon(permit)) and was_held

    def _look_again(self, name: str | None = None) -> None:
        """A permit of `name` may be free, or of any name."""
        for waited_for, line in self._lines.items():
            if name is None or name == waited_for:
                line.moved.set()

    async def _wait_in_line(self, permit: Permit, wait_ms: int) -> int:
        line = self._lines.setdefault(permit.name, _Line())
        line.length += 1
        refused_ms = _LONGEST_REFUSAL_MS
        try:
            async with asyncio.timeout(wait_ms / 1000), line.turn:
                while True:
                    line.moved.clear()
                    refused_ms = await self._ask(permit)
                    if not refused_ms:
                        return 0
                    self._listen()
                    # A little later than it lapses, and a thousand processes not in step.
                    await _clock.wait(line.moved, refused_ms / 1000 * (1 + random.random() / 10))
        except TimeoutError:
            return refused_ms
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[permit.name]

    async def _ask(self, permit: Permit) -> int:
        """0 when `permit` is held now, else in how many ms it is worth asking again."""
        if self._closed:
            raise QueueUnavailable("the application was closed while a lock was awaited")
        asked_at = _clock.monotonic()
        try:
            grant = await self._storage.shared.acquire(permit.name, permit.token, permit.permits, permit.ttl_ms)
        except (HueyException, asyncio.CancelledError):
            # It may have been granted all the same, to somebody who is not waiting any more.
            self._release_soon(permit)
            raise
        if not grant.fence:
            return min(grant.wait_ms, _LONGEST_REFUSAL_MS)
        permit.fence = grant.fence
        permit._extend(asked_at)
        self._held.add(permit)
        if permit._renew_at < self._renewal_at:
            self._renew_earlier.set()
        return 0

    def _release_soon(self, permit: Permit) -> asyncio.Task[bool]:
        release = asyncio.create_task(self._release(permit))
        self._releases.add(release)
        release.add_done_callback(self._released)
        return release

    async def _release(self, permit: Permit) -> bool:
        self._held.discard(permit)
        released = await self._storage.shared.release(permit.name, permit.token)
        self._look_again(permit.name)
        return released

    def _released(self, release: asyncio.Task[bool]) -> None:
        self._releases.discard(release)
        if not release.cancelled():
            # Its caller may have gone meanwhile, which is no reason for a warning.
            release.exception()

    # -- renewing

    async def run(self) -> None:
        """Renew what is held, each permit when a third of its time has passed, until cancelled."""
        try:
            while True:
                await self._wait_for_renewal()
                async with asyncio.TaskGroup() as group:
                    for permit in self._held.copy():
                        if permit._renew_at <= _clock.monotonic():
                            group.create_task(self._renew(permit))
        finally:
            self._closed = True
            self._look_again()
            if self._releases:
                await asyncio.wait(self._releases, timeout=_CLOSING_SECONDS)

    async def _wait_for_renewal(self) -> None:
        while not self._held:
            self._renewal_at = math.inf
            self._renew_earlier.clear()
            await self._renew_earlier.wait()
        self._renewal_at = min(permit._renew_at for permit in self._held)
        self._renew_earlier.clear()
        await _clock.wait(self._renew_earlier, self._renewal_at - _clock.monotonic())

    async def _renew(self, permit: Permit) -> None:
        if permit._ended:
            # In another event loop than the one that took it.
            self._held.discard(permit)
            return
        asked_at = _clock.monotonic()
        try:
            grant = await self._storage.shared.acquire(permit.name, permit.token, permit.permits, permit.ttl_ms)
        except HueyException as error:
            logger.warning("Lock %s could not be renewed: %s", permit.name, error)
            permit._renew_at = _clock.monotonic() + min(_REPEAT_SECONDS, permit.ttl_ms / 3000)
            return
        if grant.fence == permit.fence:
            permit._extend(asked_at)
        elif not permit._ended:
            # Also when it is ours again: in between it was free, and somebody may have been inside.
            permit._ended = True
            logger.warning(
                "Lock %s was lost: it was not renewed within %g s. What runs under it may run elsewhere too.",
                permit.name,
                permit.ttl_ms / 1000,
            )
            self._release_soon(permit)
