"""Dead letters, as the application offers them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aqueue import Huey, JSONSerializer, MemoryHuey, ResultNotFound, State, TaskException
from aqueue.core.message import Envelope
from aqueue.signals import SIGNAL_ENQUEUED

from ...tour.running import running


def declared(huey: Huey, **options: Any) -> Any:
    @huey.task(name="pay", **options)
    async def pay(order: int, by: str = "card") -> str:
        if order not in huey._parts.registry.get("pay").accepted:
            raise ValueError(f"order {order}")
        return f"{order} by {by}"

    pay.accepted = set()
    return pay


async def failed(huey: Huey, call: Any) -> Any:
    """The handle of a call that has run and failed."""
    async with running(huey):
        result = await call.enqueue()
        with pytest.raises(TaskException):
            await result.get(timeout=10)
    return result


async def test_a_dead_letter_tells_all_there_is_to_know(huey: Huey) -> None:
    pay = declared(huey, retries=1, queue="mail")
    before = datetime.now(UTC)
    result = await failed(huey, pay.options(priority=5).s(1, by="cash"))
    [letter] = await huey.dead.list()
    for what in (result, result.id, letter):
        assert await huey.dead.get(what) == letter
    assert (letter.id, letter.state, letter.name) == (result.id, State.FAILED, "pay")
    assert (letter.args, letter.kwargs, letter.queue, letter.priority) == ((1,), {"by": "cash"}, "mail", 5)
    assert letter.attempt == 2
    assert timedelta(milliseconds=-1) <= letter.died - before < timedelta(minutes=1)
    assert (letter.metadata["type"], letter.metadata["error"]) == ("ValueError", "ValueError('order 1')")
    assert "raise ValueError" in letter.metadata["traceback"]
    assert letter.problem == ""


async def test_letters_are_those_of_a_queue_and_no_more_than_asked_for(huey: Huey) -> None:
    pay = declared(huey)
    first = await failed(huey, pay.s(1))
    second = await failed(huey, pay.s(2))
    assert [letter.id for letter in await huey.dead.list()] == [second.id, first.id]
    assert [letter.id for letter in await huey.dead.list(1)] == [second.id]
    assert await huey.dead.list(queue="mail") == []
    assert await huey.dead.get("unknown") is None


async def test_what_is_done_or_cancelled_leaves_no_letter(huey: Huey) -> None:
    pay = declared(huey)
    pay.accepted.add(1)
    async with running(huey):
        await (await pay.enqueue(1)).get(timeout=10)
        await (await pay.options(delay=60).enqueue(2)).cancel()
        with pytest.raises(TaskException):
            await (await pay.options(expires=datetime(2020, 1, 1)).enqueue(3)).get(timeout=10)
    assert await huey.dead.list() == []


async def test_a_retried_task_has_its_id_and_a_new_verdict(huey: Huey) -> None:
    pay = declared(huey)
    result = await failed(huey, pay.s(1))
    pay.accepted.add(1)
    again = await huey.dead.retry(result)
    assert (again.id, again.created) == (result.id, False)
    assert await again.status() is State.QUEUED
    assert await huey.dead.list() == []
    async with running(huey):
        assert await again.get(timeout=10) == "1 by card"
    # The old handle keeps what it was told.
    with pytest.raises(TaskException):
        await result


async def test_a_retried_task_has_all_its_retries(huey: Huey) -> None:
    runs = []

    @huey.task(retries=2, context=True)
    async def fail(task: Any) -> None:
        runs.append((task.attempt, task.fence))
        raise ValueError

    result = await failed(huey, fail.s())
    await huey.dead.retry(result.id)
    async with running(huey):
        with pytest.raises(TaskException):
            await huey.result(result.id).get(timeout=10)
    assert [attempt for attempt, _ in runs] == [1, 2, 3, 1, 2, 3]
    fences = [fence for _, fence in runs]
    assert fences == sorted(set(fences))


async def test_a_letter_is_good_for_one_retry(huey: Huey) -> None:
    result = await failed(huey, declared(huey).s(1))
    await huey.dead.retry(result)
    for what in (result, result.id, "unknown"):
        with pytest.raises(ResultNotFound, match="cannot be retried: there is no dead letter of it"):
            await huey.dead.retry(what)


async def test_an_expiry_does_not_keep_a_task_from_its_retry(huey: Huey) -> None:
    pay = declared(huey)
    result = await failed(huey, pay.options(expires=0.2).s(1))
    pay.accepted.add(1)
    storage: Any = (await huey._parts.clients.open()).storage
    [kept] = await storage.admin.dead_letters([result.id])
    message = huey._parts.codec.decode_message(result.id, kept.payload)
    message.expires_ms = 1
    storage.admin._dead_letters[result.id] = storage.admin._dead_letters[result.id]._replace(
        kept=kept._replace(payload=huey._parts.codec.encode_message(message))
    )
    again = await huey.dead.retry(result)
    async with running(huey):
        assert await again.get(timeout=10) == "1 by card"


async def test_a_retried_task_of_a_workflow_runs_alone(huey: Huey) -> None:
    pay = declared(huey)
    results = await pay.s(1).then(pay.s(2)).enqueue()
    async with running(huey):
        with pytest.raises(TaskException):
            await results.get(timeout=10)
    [letter] = await huey.dead.list()
    assert (letter.args, letter.metadata["error"]) == ((1,), "ValueError('order 1')")
    pay.accepted.add(1)
    again = await huey.dead.retry(letter)
    async with running(huey):
        assert await again.get(timeout=10) == "1 by card"
    assert [info.state for info in await huey.all_results() if info.id != letter.id] == [State.CANCELLED]


async def test_a_node_is_retried_with_what_it_got_and_without_its_expiry(huey: Huey) -> None:
    pay = declared(huey)
    pay.accepted |= {1, 2}
    joined = []

    @huey.task(name="join")
    async def join(text: str, order: int = 0) -> str:
        joined.append(text)
        if len(joined) == 1:
            raise ValueError
        return text

    results = await pay.s(1).then(join.options(expires=3600)).enqueue()
    async with running(huey):
        with pytest.raises(TaskException):
            await results[1].get(timeout=10)
    letter = await huey.dead.get(results[1])
    assert letter is not None
    assert letter.args == ("1 by card",)
    again = await huey.dead.retry(letter)
    [task] = await huey.pending()
    assert task.args == ("1 by card",)
    async with running(huey):
        assert await again.get(timeout=10) == "1 by card"
    assert joined == ["1 by card", "1 by card"]


async def test_a_dropped_letter_is_gone_and_its_result_is_not(huey: Huey) -> None:
    result = await failed(huey, declared(huey).s(1))
    assert await huey.dead.drop(result)
    assert not await huey.dead.drop(result.id)
    assert await huey.dead.list() == []
    assert await huey.result(result.id).status() is State.FAILED


async def test_letters_are_kept_for_as_long_as_the_application_says() -> None:
    for ttl, kept in ((0, 0), (60, 1)):
        async with MemoryHuey("shop", dead_letter_ttl=ttl) as huey:
            await failed(huey, declared(huey).s(1))
            assert len(await huey.dead.list()) == kept
    with pytest.raises(ValueError, match="dead_letter_ttl must be between 0 seconds and 10 years"):
        MemoryHuey("shop", dead_letter_ttl=-1)


async def test_a_letter_has_the_error_where_no_results_are_kept() -> None:
    async with MemoryHuey("shop", results=False) as huey:
        await failed(huey, declared(huey).s(1))
        [letter] = await huey.dead.list()
        assert letter.metadata["error"] == "ValueError('order 1')"


async def test_what_is_no_message_leaves_a_letter_too(huey: Huey) -> None:
    storage = (await huey._parts.clients.open()).storage
    await storage.push([Envelope("odd", b"no message")])
    async with running(huey):
        with pytest.raises(TaskException):
            await huey.result("odd").get(timeout=10)
    [letter] = await huey.dead.list()
    assert (letter.id, letter.state, letter.name, letter.args) == ("odd", State.DEAD, "", ())
    assert letter.problem
    assert letter.metadata["type"] == "DecodeError"
    again = await huey.dead.retry("odd")
    async with running(huey):
        with pytest.raises(TaskException):
            await again.get(timeout=10)


async def test_a_letter_is_read_with_the_keys_of_the_application() -> None:
    async with MemoryHuey("shop", serializer=JSONSerializer(keys=["0123456789abcdef"])) as huey:
        pay = declared(huey)
        result = await failed(huey, pay.options(expires=60).s(1))
        [letter] = await huey.dead.list()
        assert (letter.args, letter.metadata["type"], letter.problem) == ((1,), "ValueError", "")
        pay.accepted.add(1)
        again = await huey.dead.retry(result)
        async with running(huey):
            assert await again.get(timeout=10) == "1 by card"


async def test_a_retry_is_announced_where_the_task_is_declared(huey: Huey) -> None:
    told = []
    result = await failed(huey, declared(huey).s(1))

    @huey.signal(SIGNAL_ENQUEUED)
    def tell(signal: str, task: Any) -> None:
        told.append((task.id, task.name, task.args))

    await huey.dead.retry(result)
    assert told == [(result.id, "pay", (1,))]


async def test_in_immediate_mode_a_retry_runs_at_once() -> None:
    async with MemoryHuey("shop", immediate=True) as huey:
        pay = declared(huey)
        result = await pay.enqueue(1)
        assert await result.status() is State.FAILED
        pay.accepted.add(1)
        again = await huey.dead.retry(result.id)
        assert await again.get(timeout=0) == "1 by card"


@pytest.mark.parametrize("what", [None, 5, b"id"])
async def test_a_letter_is_named_by_its_task(huey: Huey, what: Any) -> None:
    for call in (huey.dead.get, huey.dead.retry, huey.dead.drop):
        with pytest.raises(TypeError, match="a dead letter, a result or the id of a task is needed, not"):
            await call(what)
    with pytest.raises(ValueError, match="id must be"):
        await huey.dead.retry("a b")
