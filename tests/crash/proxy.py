"""A TCP proxy in front of a Redis server: a line that is slow, leads elsewhere, or loses what it is told to lose.

The connections of aqueue name themselves (``CLIENT SETNAME aq:<namespace>:<role>``), so a fault can hit one role alone:
``commands``, ``reader``, ``keeper`` or ``events``.
"""

from __future__ import annotations

import asyncio
import enum
import re
import socket
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .line import Line

if TYPE_CHECKING:
    from random import Random

_ROLE = re.compile(rb"aq:[\w.-]+:(\w+)")
# What follows the handshake: a connection whose handshake fails would have nothing executed, and so lose nothing.
_WORK = re.compile(rb"EVAL|XREADGROUP|SUBSCRIBE")
# Small, so that it is the line that holds the bytes and not the kernel.
_KERNEL_BUFFER = 128 * 1024
# The chunks of one connection that are on the way at once: at a latency, more than one has to be.
_MOST_UNDER_WAY = 1000


class Fault(enum.Enum):
    """What happens to the connections of a role."""

    MUTE = "replies vanish"
    SWALLOW = "requests vanish"
    CUT = "a reply resets the connection"
    HOLD = "replies wait"


class FaultProxy:
    """Passes everything on at once, until told otherwise.

    `requests` and `replies` are the two directions of the line behind it. `faults` counts what was lost or held.
    """

    def __init__(self, url: str) -> None:
        self._target = _target(url)
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._struck: dict[str, Fault] = {}
        self.requests = Line()
        self.replies = Line()
        self.healed = asyncio.Event()
        self.random: Random | None = None
        self.faults = 0

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the proxy is not open")
        _, port = self._server.sockets[0].getsockname()
        return f"redis://127.0.0.1:{port}/0"

    async def open(self) -> None:
        listening = socket.socket()
        _keep_little(listening)
        listening.bind(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._accept, sock=listening)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut_links()

    # -- a slow line

    def throttle(self, bytes_per_second: float, *, latency: float = 0.0) -> None:
        """Carry so many bytes a second in each direction, all connections together, each of them `latency` seconds
        later than without it."""
        for line in (self.requests, self.replies):
            line.rate, line.latency = bytes_per_second, latency

    # -- an address that leads elsewhere

    def lead_to(self, url: str) -> None:
        """Connect to the server at `url` from now on. Links that are open stay with the server that they have."""
        self._target = _target(url)

    async def cut_links(self) -> None:
        """Reset every link that is open."""
        links = list(self._passing)
        for link in links:
            link.cancel()
        if links:
            await asyncio.wait(links)

    # -- lost bytes

    def mute(self, *roles: str) -> None:
        """Requests arrive and are executed; replies vanish, and no end of the link notices: a half-open connection."""
        self._strike(Fault.MUTE, roles)

    def swallow(self, *roles: str) -> None:
        """Requests vanish, and no end of the link notices; what the server says of its own accord still arrives."""
        self._strike(Fault.SWALLOW, roles)

    def cut(self, *roles: str) -> None:
        """Requests arrive and are executed; at the first byte of a reply the link is reset."""
        self._strike(Fault.CUT, roles)

    def hold(self, *roles: str) -> None:
        """Requests arrive and are executed; replies wait on the way until all is healed."""
        self._strike(Fault.HOLD, roles)
        self.healed.clear()

    def reset_at_random(self, random: Random) -> None:
        """Reset each link after some bytes, in whatever they stand."""
        self.random = random

    def heal(self) -> None:
        """No further faults, and a fast line. A link that lost bytes stays as it is: nothing resends them."""
        self._struck.clear()
        self.random = None
        self.requests.rate = self.replies.rate = None
        self.requests.latency = self.replies.latency = 0.0
        self.healed.set()

    def fault_of(self, role: str) -> Fault | None:
        """What happens to connections of `role` now."""
        return self._struck.get(role)

    def _strike(self, fault: Fault, roles: tuple[str, ...]) -> None:
        self._struck.update(dict.fromkeys(roles, fault))

    # -- links

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._link(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = socket.socket()
            _keep_little(upstream)
            upstream.setblocking(False)
            await asyncio.get_running_loop().sock_connect(upstream, self._target)
            upstream_reader, upstream_writer = await asyncio.open_connection(sock=upstream)
            try:
                link = Link(self, writer, upstream_writer)
                async with asyncio.TaskGroup() as group:
                    group.create_task(link.pass_requests(reader))
                    group.create_task(link.pass_replies(upstream_reader))
                    group.create_task(link.requests.deliver())
                    group.create_task(link.replies.deliver())
            finally:
                _reset(upstream_writer)
        except* OSError:
            pass
        finally:
            _reset(writer)


class Link:
    """One connection of a client, and the one behind it."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        fuse = Fuse(proxy)
        self.requests = Way(proxy.requests, server, fuse)
        self.replies = Way(proxy.replies, client, fuse)
        self._proxy = proxy
        self._role = ""
        self._works = False

    async def pass_requests(self, reader: asyncio.StreamReader) -> None:
        is_lost = False
        while data := await reader.read(65536):
            if found := _ROLE.search(data):
                self._role = found[1].decode()
            self._works = self._works or _WORK.search(data) is not None
            # A request of which some bytes are lost spoils those that follow it.
            is_lost = is_lost or self._fault is Fault.SWALLOW
            if is_lost:
                self._proxy.faults += 1
            else:
                await self.requests.send(data)
        raise ConnectionResetError

    async def pass_replies(self, reader: asyncio.StreamReader) -> None:
        is_lost = False
        while data := await reader.read(65536):
            if self._fault is Fault.CUT:
                self._proxy.faults += 1
                raise ConnectionResetError
            if self._fault is Fault.HOLD:
                self._proxy.faults += 1
                await self._proxy.healed.wait()
            is_lost = is_lost or self._fault is Fault.MUTE
            if is_lost:
                self._proxy.faults += 1
            else:
                await self.replies.send(data)
        raise ConnectionResetError

    @property
    def _fault(self) -> Fault | None:
        return self._proxy.fault_of(self._role) if self._works else None


class Way:
    """One direction of a link: what is sent arrives at `writer` once the line has carried it."""

    def __init__(self, line: Line, writer: asyncio.StreamWriter, fuse: Fuse) -> None:
        self._line = line
        self._writer = writer
        self._fuse = fuse
        self._under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_UNDER_WAY)

    async def send(self, data: bytes) -> None:
        while data:
            chunk, data = data[: self._line.chunk], data[self._line.chunk :]
            arrives_at = await self._line.carry(len(chunk))
            await self._under_way.put((arrives_at, chunk))

    async def deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            arrives_at, data = await self._under_way.get()
            if (wait := arrives_at - loop.time()) > 0:
                await asyncio.sleep(wait)
            self._fuse.burn(data, self._writer)
            self._writer.write(data)
            await self._writer.drain()


class Fuse:
    """Resets a link after a random number of bytes, in both directions together."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._left: float | None = None

    def burn(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Let `data` pass.

        Raises:
            ConnectionResetError: only a part of it did, and `writer` has that.
        """
        random = self._proxy.random
        if random is None:
            self._left = None
            return
        if self._left is None:
            self._left = random.expovariate(1 / 8000)
        self._left -= len(data)
        if self._left < 0:
            self._proxy.faults += 1
            writer.write(data[: int(self._left)])
            raise ConnectionResetError


def _target(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port


def _keep_little(connection: socket.socket) -> None:
    """Give `connection`, or those that it accepts, small buffers in the kernel."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, _KERNEL_BUFFER)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
