"""Facts about a Redis store: its settings, its queues, its workers. Nothing here is on a hot path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...exceptions import ConfigurationError
from ..protocol import Description, QueueDepth, WorkerInfo
from .keys import GROUP, Lanes

if TYPE_CHECKING:
    from .connections.address import Address
    from .connections.server import Server
    from .keys import Keys

OLDEST_VERSION = (6, 2)


class ServerInfo:
    """Reads the facts of one namespace and of the server that holds it."""

    def __init__(self, address: Address, server: Server, keys: Keys) -> None:
        self._address = address
        self._server = server
        self._keys = keys

    async def lanes(self) -> Lanes:
        """The lanes that exist now."""
        return Lanes(await self._server.call("SMEMBERS", self._keys.lanes))

    async def check(self) -> None:
        """Refuse a server that is not safe for tasks.

        Raises:
            ConfigurationError: it is too old, or evicts keys that have no expiry.
        """
        facts = await self._facts()
        version = facts.get("redis_version", "")
        if version and tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
            raise ConfigurationError(
                f"the server at {self._address} is Redis {version}, and aqueue needs 6.2 or newer, or Valkey"
            )
        policy = facts.get("maxmemory_policy", "")
        if policy.startswith("allkeys") and facts.get("maxmemory") != "0":
            raise ConfigurationError(
                f"the server at {self._address} evicts queued tasks when its memory is full (maxmemory-policy "
                f"{policy}): set it to noeviction"
            )

    async def describe(self) -> Description:
        facts = await self._facts()
        warnings = []
        policy = facts.get("maxmemory_policy", "")
        if policy.startswith("volatile") and facts.get("maxmemory") != "0":
            warnings.append(f"maxmemory-policy {policy} may evict results before they expire")
        if facts.get("aof_enabled") == "1":
            durability = "append-only file: a power cut may lose the last second or so (see appendfsync)"
        elif facts:
            durability = "memory, with snapshots if configured: a restart loses what came after the last snapshot"
        else:
            durability = "unknown: this user may not run INFO"
        valkey = facts.get("valkey_version")
        version = f"Valkey {valkey}" if valkey else f"Redis {facts.get('redis_version', '(version unknown)')}"
        return Description("redis", str(self._address), version, durability, tuple(warnings))

    async def now_ms(self) -> int:
        seconds, micros = await self._server.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def depths(self) -> list[QueueDepth]:
        now, lanes = await self.now_ms(), await self.lanes()
        return [await self._depth(queue, lanes.of((queue,)), now) for queue in lanes.queues]

    async def workers(self) -> list[WorkerInfo]:
        now = await self.now_ms()
        fields = await self._server.call("HGETALL", self._keys.workers)
        workers = []
        for consumer, sign in zip(fields[::2], fields[1::2], strict=True):
            seen, _, description = sign.partition(b" ")
            workers.append(WorkerInfo(consumer.decode(), description, max(now - int(seen), 0)))
        return workers

    async def schedules(self) -> dict[str, bytes]:
        fields = await self._server.call("HGETALL", self._keys.schedules)
        return {name.decode(): state for name, state in zip(fields[::2], fields[1::2], strict=True)}

    async def _depth(self, queue: str, lanes: list[str], now: int) -> QueueDepth:
        ready = running = 0
        oldest = now
        for lane in lanes:
            stream = self._keys.stream(lane)
            group = await self._group(stream)
            reached = await self._server.call("HGET", self._keys.paused, lane)
            after = (reached or group.get(b"last-delivered-id", b"0-0")).decode()
            first = await self._server.call("XRANGE", stream, f"({after}", "+", "COUNT", 1)
            if first:
                oldest = min(oldest, int(first[0][0].partition(b"-")[0]))
            pending = int(group.get(b"pending", 0))
            # Acknowledged entries are deleted, so what is not lent is waiting.
            ready += max(await self._server.call("XLEN", stream) - pending, 0)
            running += pending
        scheduled = await self._server.call("ZCARD", self._keys.schedule(queue))
        return QueueDepth(queue, ready, running, scheduled, max(now - oldest, 0))

    async def _group(self, stream: str) -> dict[bytes, Any]:
        """The server's facts about the consumer group of `stream`; empty if there is none."""
        if await self._server.call("EXISTS", stream):
            for fields in await self._server.call("XINFO", "GROUPS", stream):
                group = dict(zip(fields[::2], fields[1::2], strict=True))
                if group[b"name"] == GROUP.encode():
                    return group
        return {}

    async def _facts(self) -> dict[str, str]:
        text = (await self._server.call("INFO")).decode("utf-8", "replace")
        pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
        return {name: value for name, _, value in pairs}
