"""The permits of locks and semaphores that one event loop holds, and the callers that wait in line for one.

One loop renews all held permits, long before they lapse. Of the callers that wait for one name, only the first asks the
store: at once, after the announcement of a release, and every few seconds, because an announcement can get lost.

**What is shared.** `_held` has the permits to renew, `_lines` has a line for each name with waiting callers, and
`_releases` keeps references to the running releases. All of it belongs to one event loop, and nothing awaits between
reading a collection and writing it. Only a permit itself may be given back in another event loop than the one that took
it: this sets `_ended`, and the renewing loop drops such a permit when it is due.

**Which races there are.**

* A caller gives up (it is cancelled, its time is over, the store does not answer) while the store grants its permit.
  Nobody would renew or release that permit, so a request that ends without an answer is followed by a release.
* A caller is cancelled while it gives a permit back. The release runs as a task of its own, which `_releases` keeps.
* A release is announced before the first caller in line sleeps. The caller clears `moved` before it asks the store: a
  later announcement ends its sleep at once, and the answer of the store takes account of any earlier release.
* The answer to a renewal comes late, after the permit lapsed and was granted anew. A changed fence says so. Another
  holder may have been inside in between, so the permit counts as lost even though this process holds it again.
* A new permit must be renewed before all others: `_renew_earlier` wakes the loop, which sleeps until the first renewal
  is due (`_renewal_at`).
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
    """One permit of a lock or a semaphore, held by this process.

    `fence` is higher than that of every earlier permit: store it with a side effect, and refuse a lower one.
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
        """Whether the permit is still held, neither released nor lost, so that no other holder can have it."""
        return not self._ended and _clock.monotonic() < self._lapses_at

    def _extend(self, asked_at: float) -> None:
        """Count the time to live from `asked_at`; the store granted the permit then or later."""
        self._renew_at = asked_at + self.ttl_ms / 3000
        self._lapses_at = asked_at + self.ttl_ms / 1000


class _Line:
    """The callers that wait for a permit of one name, in order of arrival."""

    def __init__(self) -> None:
        self.length = 0
        self.turn = asyncio.Lock()
        self.moved = asyncio.Event()


class Permits:
    """Takes, renews and gives back permits. `listen` makes the store announce releases to the `subscribers`."""

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
        # Announcements are missed while there is no connection.
        subscribers.add(Connected, lambda _: self._look_again())

    # -- taking and giving back

    async def take(self, permit: Permit, wait_ms: int) -> None:
        """Take `permit`, waiting up to `wait_ms` for it.

        Raises:
            TaskLockedException: no permit was free in time.
            QueueUnavailable: the store could not be reached.
        """
        refused_ms = await (self._wait_in_line(permit, wait_ms) if wait_ms else self._ask(permit))
        if refused_ms:
            raise TaskLockedException(f"unable to acquire lock {permit.name}", refused_ms / 1000)

    async def give_back(self, permit: Permit) -> bool:
        """Release `permit`, even if the caller is cancelled meanwhile; False if it was lost before."""
        was_held = permit.is_held
        permit._ended = True
        return await asyncio.shield(self._release_soon(permit)) and was_held

    def _look_again(self, name: str | None = None) -> None:
        """Wake the first caller in line for `name`, or for every name: a permit may be free."""
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
                    # A little after the permit lapses, and at random, so that processes do not all ask at once.
                    await _clock.wait(line.moved, refused_ms / 1000 * (1 + random.random() / 10))
        except TimeoutError:
            return refused_ms
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[permit.name]

    async def _ask(self, permit: Permit) -> int:
        """Ask the store for `permit`; 0 if it is held now, else the ms after which to ask again."""
        if self._closed:
            raise QueueUnavailable("the application was closed while a lock was awaited")
        asked_at = _clock.monotonic()
        try:
            grant = await self._storage.shared.acquire(permit.name, permit.token, permit.permits, permit.ttl_ms)
        except (HueyException, asyncio.CancelledError):
            # The store may have granted it nevertheless, and the caller no longer waits for it.
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
            # Marks the exception as retrieved: asyncio must not warn if the caller has gone meanwhile.
            release.exception()

    # -- renewing

    async def run(self) -> None:
        """Renew each held permit when a third of its time to live has passed, until cancelled."""
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
            # It was given back in another event loop.
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
            # Lost even if this answer granted it anew: in between another holder may have been inside.
            permit._ended = True
            logger.warning(
                "Lock %s was lost: it was not renewed within %g s. Another process may hold it now.",
                permit.name,
                permit.ttl_ms / 1000,
            )
            self._release_soon(permit)
