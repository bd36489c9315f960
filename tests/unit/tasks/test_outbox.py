"""What an application sends: messages, who is asked and told about them, and what that costs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import CancelExecution, EncodeError, Huey, MemoryHuey, Serializer, Task, TaskView
from aqueue.core.codec import decode_message
from aqueue.signals import SIGNAL_ENQUEUED, SIGNAL_SCHEDULED
from aqueue.testing import ManualClock
from aqueue.testing.conformance.harness import pull

from ...tour.running import running

if TYPE_CHECKING:
    from aqueue.core.message import Message


def declare_add(huey: Huey) -> Task[[int, int], int]:
    @huey.task(name="add")
    async def add(a: int, b: int) -> int:
        return a + b

    return add


async def sent(huey: Huey) -> Message:
    """The message of the one task that is ready."""
    storage = (await huey._parts.clients.open()).storage
    [delivery] = await pull(storage, 10, queues=["default", "mails"])
    return decode_message(delivery.id, delivery.payload)


async def test_a_message_says_the_call_and_no_more() -> None:
    huey = MemoryHuey("shop")
    add = declare_add(huey)
    async with huey:
        result = await add.enqueue(1, b=2)
        message = await sent(huey)
        assert (message.id, message.task, message.args, message.kwargs) == (result.id, "add", (1,), {"b": 2})
        assert (message.expires_ms, message.overrides) == (0, None)
        assert message.reply == (await huey._parts.clients.open()).token


async def test_a_message_says_what_the_call_changed() -> None:
    huey = MemoryHuey("shop")
    add = declare_add(huey)
    async with huey:
        await add.options(id="mine", timeout=timedelta(seconds=5), retries=2, priority=3, queue="mails").enqueue(1, 2)
        message = await sent(huey)
    assert message.id == "mine"
    assert message.overrides == {"timeout": 5.0, "retries": 2, "priority": 3, "queue": "mails"}


NOW_MS = 1_000_000_000_000
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


@pytest.mark.parametrize(
    ("options", "expires_ms"),
    [
        ({"expires": 60}, NOW_MS + 60_000),
        ({"expires": 0}, NOW_MS),
        ({"expires": timedelta(minutes=1)}, NOW_MS + 60_000),
        ({"expires": 60, "delay": 10}, NOW_MS + 70_000),
        ({"expires": 60, "eta": NOW + timedelta(seconds=10)}, NOW_MS + 70_000),
        ({"expires": 60, "eta": NOW - timedelta(seconds=10)}, NOW_MS + 50_000),
        ({"expires": NOW + timedelta(seconds=5)}, NOW_MS + 5_000),
        ({"expires": NOW - timedelta(seconds=5)}, NOW_MS - 5_000),
        ({"expires": datetime(1970, 1, 1, tzinfo=UTC)}, 1),
        ({"expires": NOW + timedelta(seconds=5), "delay": 5}, NOW_MS + 5_000),
        ({}, 0),
    ],
    ids=str,
)
async def test_a_lifetime_counts_from_when_the_task_is_due(options: dict[str, Any], expires_ms: int) -> None:
    huey = MemoryHuey("shop")
    huey._parts.clients.clock = ManualClock(NOW_MS)
    call = declare_add(huey).options(**options).s(1, 2)
    envelope = huey._parts.outbox.write(call)[1]
    assert decode_message("id", envelope.payload).expires_ms == expires_ms


async def test_a_naive_end_of_life_is_local_time() -> None:
    huey = MemoryHuey("shop")
    call = declare_add(huey).options(expires=datetime(2026, 7, 1, 12)).s(1, 2)
    expires_ms = decode_message("id", huey._parts.outbox.write(call)[1].payload).expires_ms
    assert expires_ms == round(datetime(2026, 7, 1, 12).timestamp() * 1000)


@pytest.mark.parametrize("when", [{"delay": 60}, {"eta": datetime.now(UTC) + timedelta(days=1)}])
async def test_a_task_that_expires_before_it_is_due_is_refused(when: dict[str, Any]) -> None:
    huey = MemoryHuey("shop")
    add = declare_add(huey)
    async with huey:
        with pytest.raises(ValueError, match=r"expires \(.*\) is before the task is due"):
            await add.options(expires=datetime.now(UTC) + timedelta(seconds=5), **when).enqueue(1, 2)
        assert await huey.queues.depths() == []


async def test_one_call_that_cannot_be_sent_keeps_all_from_being_sent() -> None:
    huey = MemoryHuey("shop")
    add = declare_add(huey)

    def calls() -> Any:
        yield add.s(1, 2)
        raise LookupError

    async with huey:
        with pytest.raises(EncodeError, match=r"args\[1\]"):
            await huey.enqueue_many([add.s(1, 2), add.s(1, object())])  # type: ignore[arg-type]
        with pytest.raises(LookupError):
            await huey.enqueue_many(calls())
        assert await huey.queues.depths() == []


async def test_any_number_of_calls_is_sent() -> None:
    huey = MemoryHuey("shop")
    add = declare_add(huey)
    async with huey:
        results = await huey.enqueue_many(add.s(number, 0) for number in range(3_000))
        assert (len({result.id for result in results}), all(result.created for result in results)) == (3_000, True)
        [depth] = await huey.queues.depths()
        assert (depth.queue, depth.ready) == ("default", 3_000)


async def test_others_have_their_turn_while_many_calls_are_sent() -> None:
    huey = MemoryHuey("shop")
    add = declare_add(huey)
    async with huey:
        sending = asyncio.create_task(huey.enqueue_many(add.s(number, 0) for number in range(20_000)))
        turns = 0
        while not sending.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 20
        assert len(await sending) == 20_000


async def test_one_batch_may_name_a_task_twice() -> None:
    huey = MemoryHuey("shop")
    add = declare_add(huey)
    async with running(huey):
        group = await huey.enqueue_many([add.options(id="same").s(1, 2), add.options(id="same").s(3, 4)])
        assert [result.created for result in group] == [True, False]
        assert await group.get(timeout=5) == [3, 3]


# -- who is asked and told


class Counting(Serializer):
    """Writes values as their index in a list, and counts what is read back."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.read = 0

    def dumps(self, value: Any) -> bytes:
        self.values.append(value)
        return str(len(self.values) - 1).encode()

    def loads(self, data: bytes) -> Any:
        self.read += 1
        return self.values[int(data)]


@pytest.fixture
def serializer() -> Counting:
    return Counting()


@pytest.fixture
def huey(serializer: Counting) -> Huey:
    return MemoryHuey("shop", serializer=serializer)


async def test_nothing_is_decoded_for_handlers_and_receivers(huey: Huey, serializer: Counting) -> None:
    add, asked, told = declare_add(huey), list[TaskView](), list[TaskView]()
    huey.pre_enqueue("ask")(asked.append)
    huey.signal()(lambda signal, task: told.append(task))
    async with huey:
        for number in range(10):
            await add.enqueue(number, 2)
        await add.map([(10, 2), (11, 2)])
        await add.s(12, 2).then(add, 2).enqueue()
    # A stage that waits for another is asked about with the rest, and told about when it gets in line.
    assert [task.args for task in asked] == [*((number, 2) for number in range(13)), (2,)]
    assert [id(task) for task in told] == [id(task) for task in asked[:13]]
    assert serializer.read == 0


async def test_what_is_told_says_what_the_message_says(huey: Huey) -> None:
    add, told = declare_add(huey), list[tuple[str, TaskView]]()
    huey.signal()(lambda signal, task: told.append((signal, task)))
    huey._parts.clients.clock = ManualClock(NOW_MS)
    async with huey:
        result = await add.options(queue="mails", priority=5, expires=60, delay=10).enqueue(1, b=2)
    assert [signal for signal, _ in told] == [SIGNAL_ENQUEUED, SIGNAL_SCHEDULED]
    task = told[0][1]
    assert told[1][1] is task
    assert (task.id, task.name, task.args, task.kwargs) == (result.id, "add", (1,), {"b": 2})
    assert (task.queue, task.priority, task.expires) == ("mails", 5, NOW + timedelta(seconds=70))


async def test_one_call_that_a_handler_refuses_keeps_all_from_being_sent(huey: Huey) -> None:
    add, told = declare_add(huey), list[TaskView]()
    huey.signal()(lambda signal, task: told.append(task))

    @huey.pre_enqueue()
    def refuse(task: TaskView) -> None:
        if task.args == (3, 4):
            raise CancelExecution("not this one")

    async with huey:
        with pytest.raises(CancelExecution):
            await add.map([(1, 2), (3, 4)])
        with pytest.raises(CancelExecution):
            await add.s(1, 2).then(add.s(3, 4)).enqueue()
        assert await huey.queues.depths() == []
    assert told == []


async def test_a_known_id_is_told_about_once(huey: Huey) -> None:
    add, told = declare_add(huey), list[str]()
    huey.signal()(lambda signal, task: told.append(task.id))
    async with huey:
        for _ in range(2):
            await add.options(id="mine").enqueue(1, 2)
            await huey.enqueue_many([add.options(id="mine").s(1, 2)])
    assert told == ["mine"]
