"""Where the primary is. All connections of a storage are to one server, or to none.

When a DNS record, a virtual address or a proxy begins to lead to another server, the old one may live on as a replica
and close nothing. Connections to it look healthy, and some notice nothing at all: a replica accepts subscriptions too.
So what one connection finds out holds for all of them.

* A new connection counts once the server has accepted a write and was asked for its run id.
* A reply that the primary would not give ends every connection; see ``errors.is_wrong_server``.
* A connection to a server that this process has not met before ends the others, because the address leads there now. A
  server that was met before ends nothing: with several servers behind one address, connections would chase each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from hiredis import pack_command
from redis.exceptions import RedisError, ResponseError

from ....core.patience import CONNECT_SECONDS
from .errors import BROKEN, NotConnected, is_wrong_server, text_of
from .progress import Deadline, bytes_moved

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..keys import Keys
    from .address import Address


class Primary:
    """The server behind an address, as all connections of one storage see it. May be used from any thread."""

    def __init__(self, address: Address, keys: Keys) -> None:
        self.address = address
        # A write that changes nothing, because no key has the prefix alone as its name. A replica refuses it.
        self.probe: tuple[Any, ...] = ("XDEL", keys.prefix, "0-0")
        self.term = 0
        self._name = f"aq:{keys.namespace}"
        self._met: set[str] = set()
        self._ends: weakref.WeakKeyDictionary[object, Callable[[], None]] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()

    def __str__(self) -> str:
        return str(self.address)

    def connection(self, role: str) -> Connection:
        """A connection for an event loop, not connected yet; CLIENT LIST shows its `role`."""
        return Connection(self, self.address.async_connection(f"{self._name}:{role}"))

    def join(self, connection: object, server: str, end: Callable[[], None]) -> int:
        """Count `connection` among those to `server`, a run id, or '' if it is unknown. Returns the term.

        `end` is called, in whatever thread, when the term ends.
        """
        with self._lock:
            if server and server not in self._met:
                self._met.add(server)
                self.leave(self.term)
            self._ends[connection] = end
            return self.term

    def leave(self, term: int) -> None:
        """End `term`, and with it every connection that joined in it. A term that has ended already stays as it is."""
        with self._lock:
            if term != self.term:
                return
            self.term += 1
            ends, self._ends = list(self._ends.values()), weakref.WeakKeyDictionary()
        for end in ends:
            end()


class Connection:
    """A connection from an event loop to the primary. One task at a time sends and reads."""

    def __init__(self, primary: Primary, raw: Any) -> None:
        self._primary = primary
        self._raw = raw
        self._term = -1
        # Without a frame of our own around each reply.
        self.read = raw.read_response

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent: it was connected, and nothing has ended it since."""
        return self._raw.is_connected and not self._raw._writer.is_closing()

    async def connect(self) -> None:
        """Connect to the primary.

        Raises:
            NotConnected: nothing listens there, it does not answer in time, or it is not the primary.
        """
        await self._raw.disconnect(nowait=True)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._raw.connect()
                server = await self._introduced()
        except BaseException as error:
            await self._raw.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise NotConnected(f"no answer within {CONNECT_SECONDS:g} s") from error
            if isinstance(error, (*BROKEN, RedisError)):
                raise NotConnected(text_of(error)) from error
            raise
        abort = partial(_abort, asyncio.get_running_loop(), self._raw._writer.transport)
        self._term = self._primary.join(self, server, abort)

    async def _introduced(self) -> str:
        """The run id of the server; '' if it does not say. Raises what it replies if it is not the primary."""
        await self.send(self._primary.probe, ("INFO", "server"))
        refusal = await self._answer()
        info = await self._answer()
        if isinstance(refusal, ResponseError) and is_wrong_server(refusal):
            raise refusal
        return run_id(info)

    async def _answer(self) -> Any:
        try:
            return await self.read()
        except ResponseError as error:
            # Not each user may do either.
            return error

    def deadline(self, quiet: float = 0.0) -> Deadline:
        """A block in which a reply is due; `quiet` is how many seconds longer than usual the server may be silent."""
        return Deadline(self._raw._writer.transport, quiet)

    def bytes_moved(self) -> tuple[int, int] | None:
        """How many bytes were sent and received; None where the kernel does not count them."""
        return bytes_moved(self._raw._writer.transport)

    async def send(self, *commands: tuple[Any, ...]) -> None:
        # hiredis packs a batch in a fifth of the time that redis-py's own pack_command takes.
        await self.send_packed([pack_command(command) for command in commands])

    async def send_packed(self, packed: list[bytes]) -> None:
        await self._raw.send_packed_command(packed, check_health=False)

    async def give_up(self, error: BaseException | None = None) -> None:
        """Disconnect at once; so do all connections if `error` says that this server is not the primary."""
        await self._raw.disconnect(nowait=True)
        if error is not None and is_wrong_server(error):
            self._primary.leave(self._term)

    async def close(self) -> None:
        await self._raw.disconnect()


def run_id(info: Any) -> str:
    """The run id in a reply to INFO; '' if there is none."""
    if isinstance(info, bytes):
        _, _, rest = info.partition(b"\nrun_id:")
        return rest.partition(b"\r")[0].decode("ascii", "replace")
    return ""


def _abort(loop: asyncio.AbstractEventLoop, transport: asyncio.WriteTransport) -> None:
    # In the loop, because a transport belongs to its thread. A loop that is closed has closed its connections.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(transport.abort)
