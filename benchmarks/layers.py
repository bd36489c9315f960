"""`python -m benchmarks.layers`: where the microseconds of one no-op task go, layer by layer, without a store.

Each layer runs alone, many times, in this process; the fastest of several rounds counts. The layers do not include the
event loop between them, the sockets and the server; the drain of `python -m benchmarks` includes everything.
"""

from __future__ import annotations

import asyncio
import sys
import time
from random import Random
from typing import TYPE_CHECKING, Any

import hiredis

from aqueue import MemoryHuey
from aqueue.client.group_commit import GroupCommit
from aqueue.core.clock import SystemClock
from aqueue.core.codec import decode_message, encode_value
from aqueue.core.lifecycle import Returned, SettlementPolicy, decide
from aqueue.core.retry import RetryPolicy
from aqueue.storage.redis.connections.reader import fresh
from aqueue.storage.redis.store import RedisStorage
from aqueue.tasks.task import Call
from aqueue.worker.execution.dispatcher import Dispatcher
from aqueue.worker.execution.runner import Runner
from aqueue.worker.execution.settler import Settler
from aqueue.worker.options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aqueue.core.lifecycle import Settlement
    from aqueue.core.message import Delivery, Receipt
    from aqueue.worker.execution.held import HeldDelivery

BATCH = 500
ROUNDS = 30
ENTRY = "1795236542305-{}"

huey = MemoryHuey("layers")


@huey.task
async def add(a: int, b: int) -> int:
    """The task of the benchmarks."""
    return a + b


class Wire:
    """Stands in for the server: packs what would be sent, and answers with what the scripts answer."""

    async def run(self, script: Any, *arguments: Any) -> list[int]:
        by_digest, _ = script.commands("{aq:layers}:", *arguments)
        hiredis.pack_command(by_digest)
        return [1] * BATCH

    async def run_noting_repeats(self, script: Any, *arguments: Any) -> tuple[list[int], bool]:
        return await self.run(script, *arguments), False


class Layers:
    """The objects of one task at each stage of its way, in a batch."""

    def __init__(self) -> None:
        self.calls = [Call(add, (number, 2), {}, add.declared) for number in range(BATCH)]
        self.envelopes = [huey._parts.outbox.write(call, "0123abcd")[1] for call in self.calls]
        self.reply = b"*%d\r\n" % BATCH + b"".join(
            b"*2\r\n%b*4\r\n%b%b%b%b" % tuple(map(_bulk, (ENTRY.format(number), "i", each.id, "p", each.payload)))
            for number, each in enumerate(self.envelopes)
        )
        self.deliveries = self.received()
        self.values = [encode_value(number) for number in range(BATCH)]
        self.random = Random()
        self.policy = SettlementPolicy(RetryPolicy(), 3_600_000)
        self.settlements = self.decided()
        self.storage = RedisStorage("redis://localhost:6379/0", "layers")
        self.storage._server = Wire()  # type: ignore[assignment]  # the part that talks to a server
        self.parts = huey._parts
        self.options = WorkerOptions(concurrency=BATCH, threads=1, children=1)
        self.runner = Runner(self.parts, self.options, SystemClock(), report=_unheard, is_revoked=_never)

    def received(self) -> list[Delivery]:
        """The deliveries in a reply of the server."""
        reader = hiredis.Reader()
        reader.feed(self.reply)
        return fresh("worker", "default:0", reader.gets())

    def decided(self) -> list[Settlement]:
        """What follows from the outcomes."""
        return [
            decide(delivery, Returned(value), self.policy, "0123abcd", self.random)
            for delivery, value in zip(self.deliveries, self.values, strict=True)
        ]

    async def dispatch(self) -> None:
        """A batch through the dispatcher, up to its settlements."""
        held: dict[Receipt, HeldDelivery] = {}
        settler = Settler(self.storage, SystemClock(), held)
        dispatcher = Dispatcher(self.runner.run, _load, settler, self.parts, self.options, held)
        dispatcher.start(self.deliveries)
        while dispatcher.is_busy:
            await dispatcher.next_move()


async def _unheard(delivery: Delivery, progress: bytes, reply: str) -> bool:
    return True


async def _load(delivery: Delivery) -> bytes:
    return delivery.payload


async def _never(task_id: str, task: str) -> bool:
    return False


def _bulk(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


async def _gathered() -> None:
    """A thousand callers of one group commit, less what their asyncio tasks cost anyway."""
    commits: GroupCommit[int, int] = GroupCommit(_answer)
    running = asyncio.create_task(commits.run())

    async def call(item: int) -> int:
        return await commits.submit(item)

    await asyncio.gather(*(call(item) for item in range(BATCH)))
    running.cancel()


async def _answer(items: list[int]) -> list[int]:
    return items


async def _bare_gather() -> None:
    async def call() -> None:
        await asyncio.sleep(0)

    await asyncio.gather(*(call() for _ in range(BATCH)))


async def measure() -> None:
    """Print the microseconds of each layer."""
    layers = Layers()

    async def cost(run: Callable[[], Awaitable[Any] | Any]) -> float:
        least = float("inf")
        for _ in range(ROUNDS):
            start = time.perf_counter_ns()
            outcome = run()
            if asyncio.iscoroutine(outcome):
                await outcome
            least = min(least, time.perf_counter_ns() - start)
        return least / BATCH / 1e3

    async def run_all() -> None:
        for delivery in layers.deliveries:
            await layers.runner.run(delivery)

    calls = await cost(
        lambda: [(add._check_arguments(1, 2), Call(add, (1, 2), {}, add.declared)) for _ in range(BATCH)]
    )
    envelopes = await cost(lambda: [huey._parts.outbox.write(call, "0123abcd")[1] for call in layers.calls])
    gather, commit = await cost(_bare_gather), await cost(_gathered)
    push = await cost(lambda: layers.storage.push(layers.envelopes))
    received = await cost(layers.received)
    decoded = await cost(lambda: [decode_message(each.id, each.payload) for each in layers.deliveries])
    encoded = await cost(lambda: [encode_value(7) for _ in range(BATCH)])
    ran, dispatched = await cost(run_all), await cost(layers.dispatch)
    decided = await cost(layers.decided)
    settled = await cost(lambda: layers.storage.settle(layers.settlements))
    _show(
        "enqueue, 500 calls at once",
        {
            "task: check the arguments, make the Call": calls,
            "app, codec: id, Message, JSON, Envelope": envelopes,
            "asyncio: one task and one turn a caller": gather,
            "group_commit: into a batch and back": commit - gather,
            "storage/redis: group, arguments, pack": push,
        },
    )
    _show(
        "run, batches of 500",
        {
            "hiredis, storage/redis: reply to Deliveries": received,
            "codec: decode the message": decoded,
            "runner: plan, arguments, body, outcome": ran - decoded - encoded,
            "codec: encode what it returned": encoded,
            "lifecycle: decide": decided,
            "dispatcher: slot, asyncio task, hand over": dispatched - ran - decided,
            "storage/redis: group, arguments, pack": settled,
        },
    )


def _show(title: str, layers: dict[str, float]) -> None:
    print(title)
    for layer, microseconds in layers.items():
        print(f"  {layer:<46} {microseconds:5.2f} us")
    print(f"  {'together':<46} {sum(layers.values()):5.2f} us\n")


def main() -> None:
    """Measure and print."""
    print(f"Python {sys.version.split()[0]}\n")
    asyncio.run(measure())


if __name__ == "__main__":
    main()
