"""One event loop's line to the store: pushed results, lost messages, and nothing left behind."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import QueueUnavailable, ResultNotFound, ResultTimeout
from aqueue.client.client import Client
from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.protocol import Connected, Due, Progressed, Record, Settled
from aqueue.testing.conformance.harness import pull

from ..facts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from aqueue.storage.protocol import Event


class LossyStorage(MemoryStorage):
    """A memory storage whose messages can get lost, and which can be out of reach."""

    def __init__(self) -> None:
        super().__init__("shop")
        self.loses_messages = False
        self.tells_results = True
        self.is_down = False
        self.looks: list[list[str]] = []
        self.pushes: list[int] = []
        self.listeners: list[Callable[[Event], None]] = []
        self.looked = asyncio.Condition()

    async def listen(self, client: str, handle: Callable[[Event], None]) -> None:
        def pass_on(event: Event) -> None:
            if isinstance(event, Settled) and not self.tells_results:
                event = event._replace(result=None)
            if not self.loses_messages:
                handle(event)

        self.listeners.append(handle)
        await super().listen(client, pass_on)

    async def push(self, envelopes: Sequence[Envelope]) -> list[bool]:
        self.pushes.append(len(envelopes))
        await asyncio.sleep(0)
        return await super().push(envelopes)

    async def records(self, task_ids: Sequence[str], watcher: str = "") -> list[Record | None]:
        self.looks.append(list(task_ids))
        async with self.looked:
            self.looked.notify_all()
        if self.is_down:
            raise QueueUnavailable("down")
        return await super().records(task_ids, watcher)

    async def wait_for_looks(self, count: int) -> None:
        async with self.looked:
            await self.looked.wait_for(lambda: len(self.looks) >= count)


@pytest.fixture
def storage() -> LossyStorage:
    return LossyStorage()


@asynccontextmanager
async def open_client(storage: LossyStorage) -> AsyncIterator[Client]:
    client = Client(storage)
    await client.open()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(storage: LossyStorage) -> AsyncIterator[Client]:
    async with open_client(storage) as client:
        yield client
        assert (client._waiters, client._followers) == ({}, {}), "something was left behind"


async def finish(client: Client, *task_ids: str, state: State = State.DONE, result: bytes = b"5") -> None:
    """Take these tasks, which are all that is ready, and give them a verdict."""
    deliveries = await pull(client.storage, 10_000)
    assert {delivery.id for delivery in deliveries} == set(task_ids)
    await client.storage.settle(
        [Settlement(delivery.receipt, delivery.id, state, result, 60_000, client.token) for delivery in deliveries]
    )


async def waiting(client: Client, *task_ids: str, count: int = 1) -> list[asyncio.Task[list[Record]]]:
    """`count` more waiters for these tasks, once each of them waits."""
    before = sum(map(len, client._waiters.values()))
    waits = [asyncio.create_task(client.wait_all(list(task_ids), None, False)) for _ in range(count)]
    await until(
        lambda: sum(map(len, client._waiters.values())) - before >= count * len(task_ids) and not client._looks._items
    )
    return waits


# -- waiting


async def test_a_verdict_is_pushed_to_its_waiter(client: Client) -> None:
    await client.push(Envelope("a", b""))
    [wait] = await waiting(client, "a")
    await finish(client, "a")
    [record] = await wait
    assert (record.state, record.result) == (State.DONE, b"5")


async def test_a_verdict_that_is_there_already_is_found_by_the_first_look(
    client: Client, storage: LossyStorage
) -> None:
    await client.push(Envelope("a", b""))
    await finish(client, "a")
    storage.loses_messages = False
    [record] = await client.wait_all(["a"], None, False)
    assert record.state is State.DONE


async def test_what_was_enqueued_while_we_listened_is_awaited_without_a_look(
    client: Client, storage: LossyStorage
) -> None:
    client.start_listening()
    await until(client._listening.is_set)
    await client.push(Envelope("a", b""))
    wait = asyncio.create_task(client.wait_all(["a"], None, False))
    await until(lambda: "a" in client._waiters)
    await finish(client, "a")
    [record] = await wait
    assert (record.state, record.result, storage.looks) == (State.DONE, b"5", [])


async def test_a_verdict_that_was_told_before_anyone_waited_is_kept_for_who_comes(
    client: Client, storage: LossyStorage
) -> None:
    client.start_listening()
    await until(client._listening.is_set)
    await client.push(Envelope("a", b""))
    await finish(client, "a")
    await until(lambda: client._recent._verdicts["a"])
    [record] = await client.wait_all(["a"], None, False)
    assert (record.state, storage.looks) == (State.DONE, [])
    [record] = await client.wait_all(["a"], None, False)
    assert (record.state, storage.looks) == (State.DONE, [["a"]]), "kept once"


async def test_a_verdict_that_was_told_without_its_result_is_looked_at(client: Client, storage: LossyStorage) -> None:
    storage.tells_results = False
    client.start_listening()
    await until(client._listening.is_set)
    await client.push(Envelope("a", b""))
    await finish(client, "a")
    await until(lambda: "a" not in client._recent)
    [record] = await client.wait_all(["a"], None, False)
    assert (record.result, storage.looks) == (b"5", [["a"]])


async def test_what_may_have_been_missed_is_looked_at(client: Client, storage: LossyStorage) -> None:
    client.start_listening()
    await until(client._listening.is_set)
    storage.loses_messages = True
    await client.push(Envelope("a", b""))
    await finish(client, "a")
    client._handle(Connected())
    [record] = await client.wait_all(["a"], None, False)
    assert (record.state, storage.looks) == (State.DONE, [["a"]])


async def test_no_more_than_the_last_thousand_tasks_are_remembered(client: Client, storage: LossyStorage) -> None:
    client.start_listening()
    await until(client._listening.is_set)
    ids = [f"t{number}" for number in range(1_001)]
    await asyncio.gather(*(client.push(Envelope(task_id, b"")) for task_id in ids))
    assert len(client._recent._verdicts) == 1_000
    wait = asyncio.create_task(client.wait_all(ids, None, False))
    await until(lambda: storage.looks)
    assert storage.looks == [["t0"]]
    await finish(client, *ids)
    assert len(await wait) == 1_001


async def test_every_waiter_of_one_task_is_served(client: Client, storage: LossyStorage) -> None:
    await client.push(Envelope("a", b""))
    waits = await waiting(client, "a", count=1_000)
    looks = len(storage.looks)
    await finish(client, "a")
    assert [record.result for wait in waits for record in await wait] == [b"5"] * 1_000
    assert len(storage.looks) == looks, "nobody looked again"


async def test_one_waiter_can_wait_for_many_tasks(client: Client, storage: LossyStorage) -> None:
    ids = [f"t{number}" for number in range(2_000)]
    await client.push_all([Envelope(task_id, b"") for task_id in ids])
    [wait] = await waiting(client, *ids)
    await finish(client, *ids)
    assert [record.state for record in await wait] == [State.DONE] * 2_000
    assert len(storage.looks) == 1


async def test_an_unknown_task_is_an_error_at_once(client: Client) -> None:
    with pytest.raises(ResultNotFound, match="task 'nobody' is unknown to the store: never enqueued there"):
        await client.wait_all(["nobody"], None, False)
    await client.push(Envelope("a", b""))
    with pytest.raises(ResultNotFound, match="'nobody'"):
        await client.wait_all(["nobody", "a"], None, False)


async def test_a_wait_ends_after_its_timeout_and_leaves_nothing(client: Client) -> None:
    await client.push_all([Envelope("a", b""), Envelope("b", b"")])
    for _ in range(3):
        with pytest.raises(ResultTimeout, match=r"^result a did not arrive within 0.001 s$"):
            await client.wait_all(["a"], 0.001, False)
    with pytest.raises(ResultTimeout, match=r"^all of 2 results did not arrive within 0.001 s$"):
        await client.wait_all(["a", "b"], 0.001, False)
    assert client._waiters == {}


async def test_a_waiter_that_gives_up_does_not_disturb_another(client: Client) -> None:
    await client.push(Envelope("a", b""))
    [patient] = await waiting(client, "a")
    with pytest.raises(ResultTimeout):
        await client.wait_all(["a"], 0.001, False)
    [gone] = await waiting(client, "a")
    gone.cancel()
    await asyncio.wait([gone])
    await finish(client, "a")
    assert (await patient)[0].state is State.DONE


async def test_a_timeout_of_0_looks_once(client: Client) -> None:
    await client.push(Envelope("a", b""))
    with pytest.raises(ResultTimeout, match="result a is not there yet: the task is queued"):
        await client.wait_all(["a"], 0, False)
    await finish(client, "a")
    assert [record.state for record in await client.wait_all(["a"], 0, False)] == [State.DONE]
    with pytest.raises(ResultNotFound):
        await client.wait_all(["nobody"], 0, False)


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, math.inf])
async def test_a_timeout_that_is_none_is_refused(client: Client, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be between 0 seconds and 10 years"):
        await client.wait_all(["a"], timeout, False)


async def test_a_task_of_someone_else_is_told_too(storage: LossyStorage) -> None:
    async with open_client(storage) as mine, open_client(storage) as other:
        await mine.push_all([Envelope("a", b""), Envelope("b", b"")])
        one = asyncio.create_task(other.wait_all(["a"], None, True))
        both = asyncio.create_task(other.wait_all(["a", "b"], None, True))
        following = asyncio.create_task(follow(other, "b", foreign=True))
        await until(lambda: len(other._waiters.get("b", ())) == 2 and not other._watches._items)
        looks = len(storage.looks)
        await finish(mine, "a", "b")
        assert [record.state for record in [*await one, *await both]] == [State.DONE] * 3
        assert await following == []
        assert len(storage.looks) <= looks + 1, "nobody had to look but the follower, at the end"


async def test_a_client_that_only_knows_the_id_is_pushed_the_verdict_too(
    storage: LossyStorage, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.client.client.SECOND_LOOK_SECONDS", 3600)
    other = Client(storage)
    await client.push(Envelope("a", b""))
    running = asyncio.create_task(other._run())
    waits = [asyncio.create_task(other.wait_all(["a"], None, True)) for _ in range(2)]
    await until(lambda: len(other._waiters.get("a", ())) == 2 and not other._watches._items)
    await finish(client, "a")
    assert [record.result for [record] in await asyncio.gather(*waits)] == [b"5", b"5"]
    running.cancel()
    await asyncio.wait([running])


# -- messages that get lost


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The safety net is drawn in after milliseconds, not seconds."""
    monkeypatch.setattr("aqueue.client.client.SECOND_LOOK_SECONDS", 0.001)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no safety net."""
    monkeypatch.setattr("aqueue.client.client.SECOND_LOOK_SECONDS", 3600)


@pytest.mark.usefixtures("soon")
async def test_a_verdict_whose_message_was_lost_is_found_by_a_second_look(storage: LossyStorage) -> None:
    async with open_client(storage) as client:
        await client.push(Envelope("a", b""))
        [wait] = await waiting(client, "a")
        storage.loses_messages = True
        await finish(client, "a")
        assert (await wait)[0].state is State.DONE


@pytest.mark.usefixtures("never")
async def test_a_new_connection_is_a_reason_to_look(client: Client, storage: LossyStorage) -> None:
    await client.push(Envelope("a", b""))
    [wait] = await waiting(client, "a")
    storage.loses_messages = True
    await finish(client, "a")
    for tell in storage.listeners:
        tell(Connected())
    assert (await wait)[0].state is State.DONE


@pytest.mark.usefixtures("never")
async def test_a_result_that_is_too_large_to_be_told_is_looked_up(client: Client, storage: LossyStorage) -> None:
    storage.tells_results = False
    await client.push(Envelope("a", b""))
    [wait] = await waiting(client, "a")
    await finish(client, "a", result=b"x" * 1_000_000)
    assert (await wait)[0].result == b"x" * 1_000_000


@pytest.mark.usefixtures("soon")
async def test_an_outage_between_two_looks_is_outlived(storage: LossyStorage) -> None:
    async with open_client(storage) as client:
        await client.push(Envelope("a", b""))
        [wait] = await waiting(client, "a")
        storage.loses_messages = storage.is_down = True
        await finish(client, "a")
        await storage.wait_for_looks(len(storage.looks) + 3)
        assert not wait.done()
        storage.is_down = False
        assert (await wait)[0].state is State.DONE


@pytest.mark.usefixtures("soon")
async def test_every_waiter_has_its_turn_of_being_looked_at(
    storage: LossyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.client.client._MOST_LOOKED_AT", 2)
    ids = [f"t{number}" for number in range(7)]
    waits = []
    async with open_client(storage) as client:
        for task_id in ids:
            await client.push(Envelope(task_id, b""))
            waits += await waiting(client, task_id)
        storage.loses_messages = True
        deliveries = await pull(client.storage, 7)
        await client.storage.settle([Settlement(deliveries[-1].receipt, "t6", State.DONE, b"", 60_000, client.token)])
        assert (await waits[-1])[0].state is State.DONE, "the last one, while all before it go on waiting"
    await asyncio.gather(*waits, return_exceptions=True)
    assert {len(look) for look in storage.looks} <= {1, 2}


async def test_what_is_told_of_others_is_passed_over(client: Client, storage: LossyStorage) -> None:
    await client.push(Envelope("a", b""))
    [wait] = await waiting(client, "a")
    for tell in storage.listeners:
        tell(Settled("stranger", State.DONE, b"1"))
        tell(Settled("stranger", State.DONE, None))
        tell(Progressed("stranger", b"1"))
        tell(Due(5))
    await finish(client, "a")
    assert (await wait)[0].result == b"5"


async def test_every_subscriber_of_a_kind_of_event_hears_it(client: Client) -> None:
    heard: list[tuple[str, Event]] = []
    for name in ("one", "two"):
        client.subscribe(Due, lambda due, name=name: heard.append((name, due)))
        client.subscribe(Connected, lambda connected, name=name: heard.append((name, connected)))
    client.start_listening()
    await until(lambda: len(heard) == 2)
    assert heard == [("one", Connected()), ("two", Connected())]
    heard.clear()
    await client.push(Envelope("later", b"", delay_ms=60_000))
    await until(lambda: len(heard) == 2)
    [(_, due), (_, again)] = heard
    assert due is again
    assert isinstance(due, Due)
    assert 59_000 < due.in_ms <= 60_000


async def test_a_client_that_only_enqueues_does_not_listen(client: Client, storage: LossyStorage) -> None:
    await client.push(Envelope("a", b""))
    await client.look("a")
    assert storage.listeners == []
    await waiting(client, "a")
    assert len(storage.listeners) == 1
    await finish(client, "a")
    await until(lambda: not client._waiters)


# -- enqueueing and looking


async def test_concurrent_calls_share_round_trips(client: Client, storage: LossyStorage) -> None:
    created = await asyncio.gather(*(client.push(Envelope(f"t{number}", b"")) for number in range(400)))
    assert created == [True] * 400
    assert storage.pushes == [1, 399] or storage.pushes == [400]
    await asyncio.gather(*(client.look(f"t{number}") for number in range(400)))
    assert len(storage.looks) <= 2


async def test_a_known_id_is_not_created_again(client: Client) -> None:
    assert await client.push(Envelope("a", b"")) is True
    assert await client.push(Envelope("a", b"")) is False
    assert await client.push_all([Envelope("a", b""), Envelope("b", b"")]) == [False, True]


# -- following


async def follow(client: Client, task_id: str, foreign: bool = False) -> list[bytes]:
    return [progress async for progress in client.follow(task_id, foreign)]


async def test_a_follower_sees_each_report_until_the_verdict(client: Client) -> None:
    await client.push(Envelope("a", b""))
    [delivery] = await pull(client.storage, 1)
    seen: list[bytes] = []
    seen_one = asyncio.Event()

    async def collect() -> None:
        async for progress in client.follow("a", False):
            seen.append(progress)
            seen_one.set()

    following = asyncio.create_task(collect())
    await until(lambda: client._followers and not client._looks._items)
    for progress in (b"1", b"2", b"3"):
        seen_one.clear()
        await client.report(delivery, progress, client.token)
        await seen_one.wait()
    await client.storage.settle([Settlement(delivery.receipt, "a", State.DONE, b"", 60_000, client.token)])
    await following
    assert seen == [b"1", b"2", b"3"]


async def test_who_comes_late_sees_the_last_report(client: Client) -> None:
    await client.push(Envelope("a", b""))
    [delivery] = await pull(client.storage, 1)
    await client.report(delivery, b"1", client.token)
    await client.report(delivery, b"2", client.token)
    await client.storage.settle([Settlement(delivery.receipt, "a", State.FAILED, b"", 60_000, client.token)])
    assert await follow(client, "a") == [b"2"]


async def test_following_a_task_that_nobody_knows_is_an_error(client: Client) -> None:
    with pytest.raises(ResultNotFound):
        await follow(client, "nobody")


async def test_a_follower_may_stop_early(client: Client) -> None:
    await client.push(Envelope("a", b""))
    [delivery] = await pull(client.storage, 1)
    await client.report(delivery, b"1", client.token)
    reports = client.follow("a", False)
    assert await anext(reports) == b"1"
    await reports.aclose()  # type: ignore[attr-defined]
    assert client._followers == {}


# -- the end


async def test_closing_ends_every_wait_with_an_error(storage: LossyStorage) -> None:
    async with open_client(storage) as client:
        await client.push(Envelope("a", b""))
        waits: list[asyncio.Task[Any]] = [*await waiting(client, "a", count=3)]
        following = asyncio.create_task(follow(client, "a"))
        await until(lambda: client._followers)
    ends = await asyncio.gather(*waits, following, return_exceptions=True)
    assert [type(end) for end in ends] == [QueueUnavailable] * 4


async def test_closing_ends_every_call_under_way_with_an_error(storage: LossyStorage) -> None:
    async with open_client(storage) as client:
        calls: list[asyncio.Task[Any]] = [
            *(asyncio.ensure_future(client.push(Envelope(f"t{number}", b""))) for number in range(3)),
            *(asyncio.create_task(client.look(f"t{number}")) for number in range(3)),
        ]
        for call in calls:
            call.add_done_callback(lambda call: call.cancelled())
        await asyncio.sleep(0)
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(end) for end in ends} <= {QueueUnavailable, bool, Record, type(None)}
    with pytest.raises(QueueUnavailable):
        await client.push(Envelope("late", b""))


async def test_closing_twice_is_closing_once(storage: LossyStorage) -> None:
    async with open_client(storage) as client:
        await client.close()


async def test_a_client_that_was_hardly_opened_is_closed_too() -> None:
    closed = []

    class Closing(MemoryStorage):
        async def close(self) -> None:
            closed.append(True)
            await super().close()

    client = Client(Closing("shop"))
    await client.open()
    await client.close()
    assert closed == [True]


def test_a_client_that_is_forgotten_ends_with_its_loop() -> None:
    closed = []

    class Closing(MemoryStorage):
        async def close(self) -> None:
            closed.append(True)
            await super().close()

    async def forget() -> None:
        client = Client(Closing("shop"))
        await client.open()
        await client.push(Envelope("a", b""))

    asyncio.run(forget())
    assert closed == [True]
