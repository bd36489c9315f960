"""What one can do about a task that was enqueued and shall not run, or not now: revoke, cancel, reschedule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from aqueue import State, TaskException

from .running import running

if TYPE_CHECKING:
    from aqueue import Huey


async def test_a_task_can_be_revoked_and_restored(huey: Huey) -> None:
    """A worker that meets a revoked task gives it the verdict ``cancelled`` and does not run it."""

    @huey.task()
    async def send(to: str) -> str:
        return to

    async with huey:
        kept, revoked, restored = await send.map(["ann", "bob", "cid"])
        await revoked.revoke()
        await restored.revoke()
        assert await revoked.is_revoked()
        assert await restored.restore()
        async with running(huey):
            assert (await kept, await restored) == ("ann", "cid")
            with pytest.raises(TaskException, match="revoked"):
                await revoked
            assert await revoked.status() is State.CANCELLED


async def test_all_calls_of_a_task_can_be_revoked(huey: Huey) -> None:
    """``task.revoke()`` stops every call, ``revoke_once=True`` the next one, ``revoke_until=...`` those before then."""

    @huey.task()
    async def send(to: str) -> str:
        return to

    async with running(huey):
        await send.revoke()
        assert await send.is_revoked()
        with pytest.raises(TaskException, match="revoked"):
            await (await send.enqueue("ann"))
        await send.revoke(revoke_once=True)
        with pytest.raises(TaskException, match="revoked"):
            await (await send.enqueue("bob"))
        assert await (await send.enqueue("cid")) == "cid"
        assert not await send.is_revoked()


async def test_a_waiting_task_can_be_cancelled(huey: Huey) -> None:
    """``cancel`` does not wait for a worker: whoever waits for the result hears of it at once."""

    @huey.task()
    async def send(to: str) -> str:
        return to

    async with huey:
        result = await send.options(delay=3600).enqueue("ann")
        waiting = asyncio.create_task(result.get())
        assert await result.cancel()
        with pytest.raises(TaskException, match="cancelled"):
            await waiting
        assert not await result.cancel()


async def test_a_running_task_can_be_cancelled(huey: Huey) -> None:
    """Its coroutine is cancelled, wherever it runs, and may clean up as on any cancellation."""
    started, cleaned_up = asyncio.Event(), asyncio.Event()

    @huey.task()
    async def copy() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned_up.set()

    async with running(huey):
        result = await copy.enqueue()
        await started.wait()
        assert await huey.cancel(result.id)
        with pytest.raises(TaskException) as caught:
            await result
        assert caught.value.state == "cancelled"
        assert cleaned_up.is_set()


async def test_a_task_can_be_rescheduled(huey: Huey) -> None:
    """The call is cancelled, and the same call is enqueued under a new id."""

    @huey.task()
    async def send(to: str) -> str:
        return to

    async with running(huey):
        later = await send.options(delay=3600).enqueue("ann")
        now = await later.reschedule()
        assert await now == "ann"
        assert now.id != later.id
        assert await later.status() is State.CANCELLED


async def test_who_stops_waiting_can_take_the_task_back(huey: Huey) -> None:
    """``get(revoke_on_timeout=True)`` revokes what nobody waits for any longer."""

    @huey.task()
    async def send(to: str) -> str:
        return to

    async with huey:
        result = await send.enqueue("ann")
        with pytest.raises(TimeoutError):
            await result.get(timeout=0.01, revoke_on_timeout=True)
        assert await result.is_revoked()
