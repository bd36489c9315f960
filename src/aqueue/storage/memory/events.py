"""Listeners of a memory storage, each in its own event loop, and pulls that wait for the next task."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from ...exceptions import QueueUnavailable
from ..protocol import Connected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ..protocol import Event


class _Listener(NamedTuple):
    """One ``listen`` call, in its event loop. None in the mailbox says that the storage was closed."""

    client: str
    mailbox: asyncio.Queue[Event | None]
    loop: asyncio.AbstractEventLoop

    def tell_from_elsewhere(self, event: Event) -> None:
        # Nobody listens in a loop that was closed.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.mailbox.put_nowait, event)


class Listeners:
    """The present calls of ``listen``."""

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        """See ``Storage.listen``."""
        listener = _Listener(client, asyncio.Queue(), asyncio.get_running_loop())
        self._listeners.append(listener)
        try:
            handle(Connected())
            while (event := await listener.mailbox.get()) is not None:
                handle(event)
            raise QueueUnavailable("the memory storage was closed")
        finally:
            self._listeners.remove(listener)

    def tell(self, clients: Collection[str] | None, event: Event) -> None:
        """Tell `event` to `clients`, or to every listener when that is None; called in an event loop."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners.copy():
            if clients is None or listener.client in clients:
                if listener.loop is loop:
                    listener.mailbox.put_nowait(event)
                else:
                    listener.tell_from_elsewhere(event)

    def tell_everyone(self, event: Event) -> None:
        """Tell `event` to every listener; called in any thread."""
        for listener in self._listeners.copy():
            listener.tell_from_elsewhere(event)

    def close(self) -> None:
        """End every ``listen`` of the running event loop."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            if listener.loop is loop:
                listener.mailbox.put_nowait(None)


class WaitingPulls:
    """The pulls that wait for a task to get in line."""

    def __init__(self) -> None:
        self._loops: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self.is_closed = False

    @contextlib.contextmanager
    def wake_by(self, event: asyncio.Event) -> Iterator[None]:
        """While the block runs, each `wake` sets `event`."""
        self._loops[event] = asyncio.get_running_loop()
        try:
            yield
        finally:
            del self._loops[event]

    def wake(self) -> None:
        """Wake every pull; called in an event loop, which need not be theirs."""
        if self._loops:
            here = asyncio.get_running_loop()
            # Copied, because pulls come and go in other threads meanwhile.
            for event, loop in self._loops.copy().items():
                if loop is here:
                    event.set()
                else:
                    # Nobody waits in a loop that was closed.
                    with contextlib.suppress(RuntimeError):
                        loop.call_soon_threadsafe(event.set)
