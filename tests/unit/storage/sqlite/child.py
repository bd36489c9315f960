"""What the tests let other processes do, as ``python child.py COMMAND FILE``. Each fact is a line of its output."""

from __future__ import annotations

import asyncio
import os
import resource
import sys

from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.exceptions import QueueFull
from aqueue.storage.sqlite import thread
from aqueue.storage.sqlite.store import SqliteStorage
from aqueue.testing.conformance.harness import pull


def _storage(path: str) -> SqliteStorage:
    return SqliteStorage(f"sqlite:///{path}", "test")


def _say(*facts: object) -> None:
    print(*facts, flush=True)


async def work(path: str) -> None:
    """Push a share of the tasks, then run what there is until nothing is left; say what was run."""
    storage = _storage(path)
    await storage.open()
    me = str(os.getpid())
    for number in range(100):
        await storage.push([Envelope(f"{me}-{number}", b"", priority=number % 3)])
    while deliveries := await pull(storage, 7, consumer=me, wait_ms=500):
        for delivery in deliveries:
            _say(delivery.id)
        accepted = await storage.settle(
            [Settlement(delivery.receipt, delivery.id, State.DONE, b"", 60_000) for delivery in deliveries]
        )
        if not all(accepted):
            _say("refused")
    await storage.close()


async def hold(path: str) -> None:
    """Take a task and hang, in the midst of more pushes."""
    storage = _storage(path)
    await storage.open()
    [delivery] = await pull(storage, 1, consumer="victim", wait_ms=5000)
    _say("holding", delivery.id)
    number = 0
    while True:
        batch = [Envelope(f"pushed-{number}-{index}", b"x" * 2000) for index in range(20)]
        await storage.push(batch)
        _say("pushed", number)
        number += 1


async def answer(path: str) -> None:
    """Run tasks as they come, woken by nothing but what others send."""
    thread.FILE_LOOK_SECONDS = 3600
    storage = _storage(path)
    await storage.open()
    _say("ready")
    while True:
        for delivery in await pull(storage, 1, consumer="answerer", wait_ms=60_000):
            await storage.settle([Settlement(delivery.receipt, delivery.id, State.DONE, b"r", 60_000, "client")])


async def forget(path: str) -> None:
    """End without closing anything."""
    storage = _storage(path)
    await storage.open()
    _say(await storage.push([Envelope("kept", b"")]))
    waiting = asyncio.create_task(pull(storage, 1, queues=["nothing"], wait_ms=60_000))
    await asyncio.sleep(0)
    sys.modules["__main__"].leftovers = (storage, waiting)  # type: ignore[attr-defined]


async def fork(path: str) -> None:
    """Use one storage on both sides of a fork, and close it on both."""
    storage = _storage(path)
    await storage.open()
    await storage.push([Envelope("before", b"")])
    waiting = asyncio.create_task(pull(storage, 1, consumer="parent", queues=["later"], wait_ms=60_000))
    await asyncio.sleep(0)
    await storage.records(["before"])
    pid = os.fork()
    if pid == 0:
        asyncio.run(_in_child(storage))
        os._exit(0)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    _say("child ended with", status)
    await storage.push([Envelope("later", b"", "later")])
    _say("parent got", [delivery.id for delivery in await waiting])
    _say("parent knows", [record is not None for record in await storage.records(["before", "child"])])
    await storage.close()


async def _in_child(storage: SqliteStorage) -> None:
    _say("child pushed", await storage.push([Envelope("child", b"")]))
    _say("child got", [delivery.id for delivery in await pull(storage, 9, consumer="child")])
    await storage.close()


async def fill(path: str) -> None:
    """Push until no file may grow any more, then see what still works."""
    storage = _storage(path)
    await storage.open()
    await storage.push([Envelope("first", b"")])
    [delivery] = await pull(storage, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    kept = 0
    try:
        while True:
            kept += sum(await storage.push([Envelope(f"t{kept}", b"x" * 5000)]))
    except QueueFull:
        _say("full")
    _say(
        "known", len([record for record in await storage.records([f"t{n}" for n in range(kept + 1)]) if record]) - kept
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    _say("settled", await storage.settle([Settlement(delivery.receipt, "first", State.DONE, b"r", 60_000)]))
    _say("pushed", await storage.push([Envelope("again", b"")]))
    await storage.close()


if __name__ == "__main__":
    commands = {"work": work, "hold": hold, "answer": answer, "forget": forget, "fork": fork, "fill": fill}
    asyncio.run(commands[sys.argv[1]](sys.argv[2]))
