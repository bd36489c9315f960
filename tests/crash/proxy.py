"""A TCP proxy in front of a Redis server that loses what it is told to lose.

The connections of aqueue name themselves (``CLIENT SETNAME aq:<namespace>:<role>``), so a fault can hit one role alone:
``commands``, ``reader``, ``keeper`` or ``events``.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from random import Random

_ROLE = re.compile(rb"aq:[\w.-]+:(\w+)")
# What follows the handshake: a connection whose handshake fails would have nothing executed, and so lose nothing.
_WORK = re.compile(rb"EVAL|XREADGROUP|SUBSCRIBE")


class FaultProxy:
    """Passes everything on, until told otherwise."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.muted: frozenset[str] = frozenset()
        self.cutting: frozenset[str] = frozenset()
        self.holding: frozenset[str] = frozenset()
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
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._passing:
            task.cancel()
        if self._passing:
            await asyncio.wait(self._passing)

    def mute(self, *roles: str) -> None:
        """Requests arrive and are executed; replies vanish, and no end of the link notices: a half-open connection."""
        self.muted = frozenset(roles)

    def cut(self, *roles: str) -> None:
        """Requests arrive and are executed; at the first byte of a reply the link is reset."""
        self.cutting = frozenset(roles)

    def hold(self, *roles: str) -> None:
        """Requests arrive and are executed; replies wait on the way until all is healed."""
        self.holding = frozenset(roles)
        self.healed.clear()

    def reset_at_random(self, random: Random) -> None:
        """Reset each link after some bytes, in whatever they stand."""
        self.random = random

    def heal(self) -> None:
        """No further faults. A link that lost replies stays as it is: nothing resends them."""
        self.muted = self.cutting = self.holding = frozenset()
        self.random = None
        self.healed.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._link(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
            try:
                link = Link(self, writer, upstream_writer)
                async with asyncio.TaskGroup() as group:
                    group.create_task(link.pass_requests(reader))
                    group.create_task(link.pass_replies(upstream_reader))
            finally:
                _reset(upstream_writer)
        except* OSError:
            pass
        finally:
            _reset(writer)


class Link:
    """One connection of a client, and the one behind it."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._role = ""
        self._works = False
        self._is_muted = False
        self._left: float | None = None

    async def pass_requests(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            if found := _ROLE.search(data):
                self._role = found[1].decode()
            self._works = self._works or _WORK.search(data) is not None
            await self._pass(data, self._server)
        raise ConnectionResetError

    async def pass_replies(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            if self._works and self._role in self._proxy.cutting:
                self._proxy.faults += 1
                raise ConnectionResetError
            if self._works and self._role in self._proxy.holding:
                self._proxy.faults += 1
                await self._proxy.healed.wait()
            self._is_muted |= self._works and self._role in self._proxy.muted
            if self._is_muted:
                self._proxy.faults += 1
            else:
                await self._pass(data, self._client)
        raise ConnectionResetError

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        random = self._proxy.random
        if random is None:
            self._left = None
        elif self._left is None:
            self._left = random.expovariate(1 / 8000)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self._proxy.faults += 1
                writer.write(data[: int(self._left)])
                raise ConnectionResetError
        writer.write(data)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
