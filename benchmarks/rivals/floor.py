"""The floor: what a queue with our bookkeeping costs when it has no features at all.

A hand-written loop over one stream: hiredis on a socket, one Lua call per batch.  It keeps what aqueue keeps (a record
per task, a fence check before every verdict, the result, the reply to the waiting client) and nothing else: no
retries, no schedule, no priorities, no recovery, no limits, no hooks, no heartbeat, no signals, no errors.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import hiredis
import orjson
import uvloop

from benchmarks.rivals.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

STREAM, GROUP, CONSUMER = "{floor}:stream", "workers", "one"
RECORD, CHANNEL = "{floor}:task:", "{floor}:reply:"
BATCH = 500
RESULT_TTL = 3_600_000

PUSH = """
-- KEYS stream; ARGV record prefix, then (id, message) for each task.  An id that is known is not pushed again.
local added = 0
for i = 2, #ARGV, 2 do
  local record = ARGV[1] .. ARGV[i]
  if redis.call('EXISTS', record) == 0 then
    local entry = redis.call('XADD', KEYS[1], '*', 'm', ARGV[i + 1])
    redis.call('HSET', record, 's', 'queued', 'e', entry)
    added = added + 1
  end
end
return added
"""

SETTLE = """
-- KEYS stream; ARGV record prefix, channel prefix, group, consumer, result ttl (0: keep none),
-- then (entry, deliveries, id, client, result) for each task.  Only the delivery that owns an entry may settle it.
local done, replies = {}, {}
local ttl = tonumber(ARGV[5])
for i = 6, #ARGV, 5 do
  local owner = redis.call('XPENDING', KEYS[1], ARGV[3], ARGV[i], ARGV[i], 1)[1]
  if owner and owner[2] == ARGV[4] and owner[4] == tonumber(ARGV[i + 1]) then
    done[#done + 1] = ARGV[i]
    local record, client = ARGV[1] .. ARGV[i + 2], ARGV[i + 3]
    if ttl > 0 then
      redis.call('HSET', record, 's', 'done', 'r', ARGV[i + 4])
      redis.call('PEXPIRE', record, ttl)
      local lines = replies[client] or {}
      lines[#lines + 1] = ARGV[i + 2] .. ' ' .. ARGV[i + 4]
      replies[client] = lines
    else
      redis.call('DEL', record)
    end
  end
end
if #done > 0 then
  redis.call('XACK', KEYS[1], ARGV[3], unpack(done))
  redis.call('XDEL', KEYS[1], unpack(done))
end
for client, lines in pairs(replies) do
  redis.call('PUBLISH', ARGV[2] .. client, table.concat(lines, '\\n'))
end
return #done
"""


class Wire(asyncio.Protocol):
    """One connection: commands leave at once, replies come back in order, messages without a caller are pushed."""

    def __init__(self, on_push: Callable[[Any], None] = lambda _: None) -> None:
        self.reader = hiredis.Reader()
        self.callers: deque[asyncio.Future[Any]] = deque()
        self.on_push = on_push

    @classmethod
    async def connect(cls, url: str, on_push: Callable[[Any], None] = lambda _: None) -> Wire:
        """Open a connection to the server of the URL."""
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: cls(on_push), "127.0.0.1", urlsplit(url).port or 6379)
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (reply := self.reader.gets()) is not False:
            if self.callers:
                self.callers.popleft().set_result(reply)
            else:
                self.on_push(reply)

    def call(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """Send a command; the future is its reply."""
        self.callers.append(caller := asyncio.get_running_loop().create_future())
        self.transport.write(hiredis.pack_command(command))
        return caller


class Batches:
    """Group commit: the first item leaves at once, those that come while it is under way form the next batch."""

    def __init__(self, wire: Wire, script: str, *head: str | bytes | int) -> None:
        self.wire, self.script, self.head = wire, script, head
        self.items: list[tuple[Any, ...]] = []
        self.arrivals: list[asyncio.Future[None] | None] = []
        self.in_flight = False

    def put(self, item: tuple[Any, ...], arrival: asyncio.Future[None] | None = None) -> None:
        """Add an item; it is sent in this turn of the loop, or when the batch before it has come back."""
        self.items.append(item)
        self.arrivals.append(arrival)
        if not self.in_flight:
            self.in_flight = True
            asyncio.get_running_loop().call_soon(self._send)

    async def put_and_wait(self, item: tuple[Any, ...]) -> None:
        """Add an item and wait until it, and all before it, have arrived."""
        arrival = asyncio.get_running_loop().create_future()
        self.put(item, arrival)
        await arrival

    def _send(self) -> None:
        items, self.items = self.items[:BATCH], self.items[BATCH:]
        arrivals, self.arrivals = self.arrivals[:BATCH], self.arrivals[BATCH:]
        words = [word for item in items for word in item]
        self.wire.call("EVALSHA", self.script, 1, STREAM, *self.head, *words).add_done_callback(
            partial(self._arrived, arrivals)
        )

    def _arrived(self, arrivals: list[asyncio.Future[None] | None], reply: asyncio.Future[Any]) -> None:
        if isinstance(reply.result(), Exception):
            raise reply.result()
        for arrival in arrivals:
            if arrival is not None:
                arrival.set_result(None)
        if self.items:
            self._send()
        else:
            self.in_flight = False


class Contestant(Adapter):
    """200 tasks at a time, at most 500 in a batch."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        wire = await Wire.connect(self.job.url)
        await wire.call("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")
        self.push = Batches(wire, await wire.call("SCRIPT", "LOAD", PUSH), RECORD)
        self.name = os.urandom(6).hex()
        self.waiting: dict[bytes, asyncio.Future[bytes]] = {}
        await (await Wire.connect(self.job.url, self._replied)).call("SUBSCRIBE", CHANNEL + self.name)
        yield

    def _replied(self, push: list[bytes]) -> None:
        for line in push[2].split(b"\n"):
            identity, _, result = line.partition(b" ")
            if waiting := self.waiting.pop(identity, None):
                waiting.set_result(result)

    def _message(self, args: tuple[Any, ...]) -> tuple[str, bytes]:
        identity = os.urandom(12).hex()
        if self.job.awaited:
            self.waiting[identity.encode()] = asyncio.get_running_loop().create_future()
        return identity, orjson.dumps({"i": identity, "t": "task", "a": args, "k": {}, "c": self.name})

    async def enqueue(self, *args: Any) -> Any:
        identity, message = self._message(args)
        waiting = self.waiting.get(identity.encode())
        await self.push.put_and_wait((identity, message))
        return waiting

    async def enqueue_many(self, calls: list[tuple[Any, ...]]) -> None:
        messages = [self._message(args) for args in calls]
        for message in messages[:-1]:
            self.push.put(message)
        await self.push.put_and_wait(messages[-1])

    async def wait(self, handle: asyncio.Future[bytes]) -> Any:
        return orjson.loads(await asyncio.wait_for(handle, 10))

    def work(self) -> None:
        uvloop.run(self._work())

    async def _work(self) -> None:
        commands = await Wire.connect(self.job.url)
        reader = await Wire.connect(self.job.url)
        await commands.call("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")
        ttl = RESULT_TTL if self.job.results else 0
        script = await commands.call("SCRIPT", "LOAD", SETTLE)
        consumer = f"{CONSUMER}-{os.getpid()}"
        settle = Batches(commands, script, RECORD, CHANNEL, GROUP, consumer, ttl)
        slots = self.job.concurrency or 200
        free, freed, body = slots, asyncio.Event(), self.body
        running: set[asyncio.Task[None]] = set()

        async def run(entry: bytes, raw: bytes) -> None:
            nonlocal free
            message = orjson.loads(raw)
            result = orjson.dumps(await body(*message["a"], **message["k"]))
            settle.put((entry, 1, message["i"], message["c"], result))
            free += 1
            freed.set()

        loop = asyncio.get_running_loop()
        eager: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
        while True:
            while free <= slots // 4:
                freed.clear()
                await freed.wait()
            reply = await reader.call(
                "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", free, "BLOCK", 0, "STREAMS", STREAM, ">"
            )
            for entry, (_, raw) in reply[0][1]:
                free -= 1
                task = asyncio.Task(run(entry, raw), loop=loop, **eager)
                if not task.done():
                    running.add(task)
                    task.add_done_callback(running.discard)

    def settled(self) -> list[tuple[list[str], int]]:
        return [(["XLEN", STREAM], 0)]
