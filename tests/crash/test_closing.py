"""An application that is closed while callers wait for an answer."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import Huey, MemoryHuey, QueueUnavailable
from aqueue.core.ids import new_token

if TYPE_CHECKING:
    from aqueue.client.results import Result

    from ..servers import Server

ENDS_SECONDS = 5


async def await_value(result: Result[Any]) -> None:
    await result.get()


async def await_progress(result: Result[Any]) -> None:
    async for _ in result.progress():
        pass


@pytest.mark.parametrize("wait", [await_value, await_progress])
@pytest.mark.parametrize("whose", ["own", "foreign"])
async def test_a_wait_that_began_during_an_outage_ends_when_the_application_is_closed(
    redis_server: Server, wait: Any, whose: str
) -> None:
    huey = Huey(f"crash-{new_token()}", redis_server.url)

    @huey.task
    async def never() -> None: ...

    result = await never.enqueue()
    redis_server.kill()
    waiting = asyncio.ensure_future(wait(result if whose == "own" else huey.result(result.id)))
    # Long enough for an attempt to connect, and short of our patience with it.
    await asyncio.wait([waiting], timeout=0.5)
    await huey.close()
    with pytest.raises(QueueUnavailable):
        await asyncio.wait_for(waiting, ENDS_SECONDS)


def test_closing_ends_the_calls_of_other_threads() -> None:
    huey = MemoryHuey(f"crash-{new_token()}")
    began = threading.Event()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    async def wait_for_ever() -> None:
        began.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            huey.sync.run(wait_for_ever())
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    # A daemon: where it is stranded, the tests still end.
    threading.Thread(target=call, daemon=True).start()
    assert began.wait(ENDS_SECONDS)
    huey.sync.close()
    assert isinstance(ended.get(timeout=ENDS_SECONDS), QueueUnavailable)
