"""Revoking, cancelling and rescheduling, as the application offers it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    ConfigurationError,
    Huey,
    JSONSerializer,
    MemoryHuey,
    ResultNotFound,
    State,
    TaskException,
    current_task,
)
from aqueue.core.codec import decode_message
from aqueue.core.message import Envelope

from ...tour.running import running

if TYPE_CHECKING:
    from aqueue.core.message import Message


def declared(huey: Huey, **options: Any) -> Any:
    @huey.task(name="add", **options)
    async def add(a: int, b: int = 10) -> int:
        return a + b

    return add


async def pushed(huey: Huey, task_id: str) -> tuple[Envelope, Message]:
    [envelope] = await (await huey._parts.clients.open()).storage.envelopes([task_id])
    assert envelope is not None
    return envelope, decode_message(task_id, envelope.payload)


# -- revoking


async def test_a_call_is_named_by_its_result_its_run_or_its_id(huey: Huey) -> None:
    @huey.task()
    async def revoke_me() -> bool:
        await huey.revoke(current_task())
        return await huey.is_revoked(current_task())

    result = await declared(huey).enqueue(1)
    for name in (result, result.id):
        await huey.revoke(name)
        assert await huey.is_revoked(result)
        assert await huey.is_revoked(result.id)
        assert await huey.restore(name)
        assert not await huey.restore(name)
    await huey.revoke_by_id(result.id)
    assert await huey.restore_by_id(result.id)
    async with running(huey):
        assert await (await revoke_me.enqueue())


async def test_an_id_alone_does_not_tell_that_its_task_is_revoked(huey: Huey) -> None:
    add = declared(huey)
    result = await add.enqueue(1)
    await huey.revoke_all(add)
    assert await huey.is_revoked(add)
    assert await result.is_revoked()
    assert await huey.result(result.id).is_revoked()
    assert not await huey.is_revoked(result.id)
    assert not await result.restore()
    assert await huey.restore_all(add)
    assert not await result.is_revoked()


async def test_a_task_that_is_revoked_until_an_instant_runs_after_it(huey: Huey) -> None:
    add = declared(huey)
    await add.revoke(revoke_until=datetime.now() + timedelta(hours=1))
    assert await add.is_revoked()
    await add.revoke(revoke_until=datetime.now() - timedelta(seconds=1))
    assert not await add.is_revoked()
    async with running(huey):
        assert await (await add.enqueue(1)) == 11


async def test_a_revoked_task_calls_no_hooks(huey: Huey) -> None:
    called: list[str] = []
    huey.pre_execute("before")(lambda task: called.append("before"))
    huey.post_execute("after")(lambda task, value, exception: called.append("after"))
    result = await declared(huey, retries=3).enqueue(1)
    await result.revoke()
    async with running(huey):
        with pytest.raises(TaskException) as caught:
            await result
    assert (caught.value.state, caught.value.type, called) == ("cancelled", "Revoked", [])


async def test_revoking_once_stops_one_of_many(huey: Huey) -> None:
    add = declared(huey)
    results = await add.map([1, 2, 3])
    await add.revoke(revoke_once=True)
    assert [await result.is_revoked() for result in results] == [True, True, True]
    async with running(huey):
        ends = [await result.status() async for result in results.as_completed()]
    assert sorted(ends) == [State.CANCELLED, State.DONE, State.DONE]


async def test_a_task_of_an_unknown_name_can_be_revoked(huey: Huey) -> None:
    result = await declared(huey).enqueue(1)
    huey._parts.registry._tasks.clear()
    await result.revoke()
    async with running(huey):
        with pytest.raises(TaskException, match="revoked"):
            await result.get(timeout=5)


@pytest.mark.parametrize("what", [None, 5, b"id", object()])
async def test_what_can_be_no_task_is_refused(huey: Huey, what: Any) -> None:
    for call in (huey.revoke, huey.restore, huey.is_revoked, huey.cancel, huey.reschedule):
        with pytest.raises(TypeError, match="needed, not"):
            await call(what)
    for call in (huey.revoke_all, huey.restore_all):
        with pytest.raises(TypeError, match="a task is needed, not"):
            await call(what)
    with pytest.raises(ValueError, match="id must be"):
        await huey.revoke("no id")
    with pytest.raises(TypeError, match="revoke_until must be a datetime"):
        await huey.revoke("id", 5)  # type: ignore[arg-type]


# -- cancelling


async def test_what_has_ended_or_is_unknown_is_not_cancelled(huey: Huey) -> None:
    assert not await huey.cancel("unknown")
    async with running(huey):
        result = await declared(huey).enqueue(1)
        assert await result == 11
        assert not await result.cancel()
    assert await result == 11


async def test_bytes_that_are_no_message_can_be_cancelled(huey: Huey) -> None:
    await (await huey._parts.clients.open()).storage.push([Envelope("stray", b"\xff")])
    assert await huey.cancel("stray")
    assert await huey.result("stray").status() is State.CANCELLED


async def test_a_cancelled_task_says_so(huey: Huey) -> None:
    result = await declared(huey).enqueue(1)
    assert await result.cancel()
    with pytest.raises(TaskException) as caught:
        await result
    error = caught.value
    assert (error.state, str(error), error.task_id) == ("cancelled", "cancelled before it started", result.id)


# -- rescheduling


async def test_a_rescheduled_call_keeps_its_arguments_and_its_options(huey: Huey) -> None:
    add = declared(huey, expires=60)
    old = await add.options(retries=7, queue="mail", priority=3, timeout=5).enqueue(1, b=2)
    new = await old.reschedule(delay=3600)
    envelope, message = await pushed(huey, new.id)
    assert (envelope.queue, envelope.priority) == ("mail", 3)
    assert (message.task, message.args, message.kwargs) == ("add", (1,), {"b": 2})
    assert message.overrides == {"retries": 7, "queue": "mail", "priority": 3, "timeout": 5}
    assert message.expires_ms > huey._parts.clients.clock.now_ms() + 3_600_000
    assert (await new.status(), await old.status()) == (State.SCHEDULED, State.CANCELLED)


async def test_a_rescheduled_call_takes_what_is_given(huey: Huey) -> None:
    old = await declared(huey).options(priority=3).enqueue(1)
    new = await old.reschedule(eta=datetime.now() + timedelta(hours=1), expires=7200, priority=-5)
    envelope, message = await pushed(huey, new.id)
    assert envelope.priority == -5
    assert message.expires_ms > huey._parts.clients.clock.now_ms() + 3_600_000


async def test_what_cannot_be_rescheduled_stays_as_it_is(huey: Huey) -> None:
    result = await declared(huey).enqueue(1)
    with pytest.raises(ValueError, match="not both"):
        await result.reschedule(eta=datetime.now(), delay=5)
    with pytest.raises(ValueError, match="priority"):
        await result.reschedule(priority=1000)
    assert await result.status() is State.QUEUED
    with pytest.raises(ResultNotFound, match="cannot be rescheduled"):
        await huey.result("unknown").reschedule()
    async with running(huey):
        assert await result == 11
    with pytest.raises(ResultNotFound, match="cannot be rescheduled"):
        await result.reschedule()


async def test_a_call_of_a_task_that_is_not_declared_here_is_not_rescheduled(huey: Huey) -> None:
    result = await declared(huey).enqueue(1)
    huey._parts.registry._tasks.clear()
    with pytest.raises(ConfigurationError, match="'add' is not declared here"):
        await result.reschedule()
    assert await result.status() is State.QUEUED


async def test_an_application_that_signs_can_reschedule_and_cancel() -> None:
    async with MemoryHuey("shop", serializer=JSONSerializer(keys=["0123456789abcdef"])) as huey:
        result = await declared(huey).enqueue(1)
        copy = await huey.reschedule(result, delay=60)
        assert await huey.cancel(copy)
        for ended, why in ((result, f"rescheduled as {copy.id}"), (copy, "cancelled before it started")):
            with pytest.raises(TaskException, match=why):
                await ended.get(timeout=5)
