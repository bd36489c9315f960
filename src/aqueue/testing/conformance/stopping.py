"""Stopping: revocations, and cancelling a task in each place."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Envelope
from ...storage.protocol import CancelAsked, Record, Settled
from .harness import (
    KEEP_MS,
    Harness,
    adopt,
    keeper_of,
    lend,
    listening,
    opened,
    promote,
    pull,
    pull_one,
    put_back,
    renew,
    state_of,
    take_over,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from ...core.message import Delivery, Receipt
    from ...storage.protocol import Storage

_KIND = "all of a kind"
_HOUR_MS = 3_600_000


async def _revoke(storage: Storage, key: str, *, until_ms: int = 0, once: bool = False, keep_ms: int = 0) -> None:
    await storage.revoke(key, until_ms, once, keep_ms)


async def _is_revoked(storage: Storage, task_id: str, kind: str = "") -> bool:
    """Whether the task is revoked, asked without acting on it."""
    [answer] = await storage.revoked([(task_id, kind)], False)
    return answer


async def _may_start(storage: Storage, task_id: str, kind: str = "") -> bool:
    """Whether the task may start, asked by a worker that is about to start it."""
    [revoked] = await storage.revoked([(task_id, kind)], True)
    return not revoked


async def _cancel(storage: Storage, task_id: str, result: bytes = b"", reply: str = "") -> bool:
    return await storage.cancel(task_id, result, KEEP_MS, reply)


def _to_cancel(storage: Storage, receipts: Collection[Receipt]) -> list[Receipt]:
    """Those of `receipts` whose tasks must stop, according to the reply of a renewal."""
    with closing(keeper_of(storage)) as keeper:
        return keeper.renew(receipts, b"").to_cancel


# -- revocations


async def check_what_is_revoked_is_so_until_it_is_restored(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b""), Envelope("other", b"")])
        for key in ("task", _KIND):
            assert not await storage.restore(key)
            await _revoke(storage, key)
            pairs = [("task", _KIND), ("other", ""), ("task", "")]
            assert await storage.revoked(pairs, False) == [True, False, key == "task"]
            assert not await _may_start(storage, "task", _KIND)
            assert await storage.restore(key)
            assert not await storage.restore(key)
            assert await storage.revoked(pairs, True) == [False, False, False]


async def check_an_id_may_be_revoked_before_there_is_such_a_task(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await _revoke(storage, "task", keep_ms=_HOUR_MS)
        delivery = await lend(storage, "task")
        assert delivery.may_be_revoked
        assert not await _may_start(storage, "task", _KIND)


async def check_a_revocation_of_a_group_that_holds_once_stops_one_task(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        first, second = await lend(storage, "first"), await lend(storage, "second")
        await _revoke(storage, _KIND, once=True)
        for _ in range(2):
            assert await storage.revoked([("first", _KIND), ("second", _KIND)], False) == [True, True]
        for _ in range(2):
            # A worker that lost the first answer asks again, and gets the same answer.
            assert await storage.revoked([("first", _KIND), ("second", _KIND)], True) == [True, False]
        await storage.settle([verdict(first, state=State.CANCELLED), verdict(second)])
        assert not (await lend(storage, "third")).may_be_revoked


async def check_a_revocation_holds_before_its_end(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"", delay_ms=_HOUR_MS)])
        now_ms = harness.now_ms()
        for key in ("task", "unknown", _KIND):
            await _revoke(storage, key, until_ms=now_ms - 1, keep_ms=_HOUR_MS)
            assert not await _is_revoked(storage, key)
            await _revoke(storage, key, until_ms=now_ms + _HOUR_MS, keep_ms=1)
            await harness.advance(5)
            assert await _is_revoked(storage, key)
            await _revoke(storage, key, until_ms=harness.now_ms() + 40)
            await harness.advance(60)
            assert not await _is_revoked(storage, key)
            assert not await storage.restore(key)


async def check_a_later_revocation_takes_the_place_of_an_earlier_one(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await _revoke(storage, _KIND, until_ms=harness.now_ms() + 40)
        await _revoke(storage, _KIND, once=True)
        await harness.advance(60)
        assert await _is_revoked(storage, "task", _KIND)
        await _revoke(storage, _KIND)
        await lend(storage, "task")
        await lend(storage, "other")
        assert await storage.revoked([("task", _KIND), ("other", _KIND)], True) == [True, True]
        await _revoke(storage, _KIND, once=True)
        assert await storage.restore(_KIND)
        assert not await _is_revoked(storage, "task", _KIND)


async def check_a_revocation_ends_with_the_verdict_of_its_task(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        await _revoke(storage, "task", keep_ms=1)
        await storage.settle([put_back(delivery, State.RETRYING, delay_ms=20, failures=1)])
        await promote(harness, storage, 1)
        delivery = await pull_one(storage)
        assert delivery.may_be_revoked
        assert await _is_revoked(storage, "task"), "the revocation of a known task does not expire"
        await storage.settle([verdict(delivery)])
        assert not await _is_revoked(storage, "task")
        # Revoking it again has no effect, because nothing would ever remove that revocation.
        await _revoke(storage, "task")
        assert not await _is_revoked(storage, "task")
        assert not (await lend(storage, "next")).may_be_revoked


async def check_a_revocation_of_what_never_comes_is_forgotten(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await _revoke(storage, "nothing", keep_ms=30)
        await _revoke(storage, _KIND, keep_ms=0)
        await harness.advance(60)
        assert not await _is_revoked(storage, "nothing")
        assert await _is_revoked(storage, "nothing", _KIND)


async def check_a_delivery_says_whether_anything_is_revoked(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert not (await lend(storage, "before")).may_be_revoked
        await storage.push([Envelope(f"t{number}", b"", priority=number % 2) for number in range(4)])
        await _revoke(storage, _KIND)
        pulled: list[Delivery] = []
        while len(pulled) < 4:
            pulled += await pull(storage, 2)
        assert [delivery.may_be_revoked for delivery in pulled] == [True] * 4
        adopted = await adopt(storage, [])
        assert [delivery.may_be_revoked for delivery in adopted] == [True] * 5
        await storage.settle([verdict(delivery) for delivery in adopted])
        await lend(storage, "lost")
        assert (await take_over(harness, storage, "two")).may_be_revoked
        await storage.restore(_KIND)
        assert not (await lend(storage, "after")).may_be_revoked


async def check_a_waiting_pull_sees_what_is_revoked_meanwhile(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        waiting = asyncio.create_task(pull(storage, 1, wait_ms=60_000))
        await harness.advance(20)
        await _revoke(storage, _KIND)
        await storage.push([Envelope("task", b"")])
        [delivery] = await waiting
        assert delivery.may_be_revoked


# -- cancelling


async def check_a_task_that_is_not_lent_is_cancelled_at_once(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        listening(storage, "me") as mine,
        listening(storage, "you") as yours,
    ):
        retried, delayed = await lend(storage, "retried"), await lend(storage, "delayed")
        later = put_back(delayed, State.RETRYING, delay_ms=_HOUR_MS, failures=1)
        await storage.push([Envelope("queued", b"", "mail", 3), Envelope("scheduled", b"", delay_ms=_HOUR_MS)])
        assert await storage.settle([put_back(retried, State.RETRYING, failures=1), later]) == [True, True]
        for task_id in ("queued", "scheduled", "retried", "delayed"):
            await storage.records([task_id], "you")
            await _revoke(storage, task_id)
            assert await _cancel(storage, task_id, b"why", "me")
            assert await storage.records([task_id]) == [Record(State.CANCELLED, b"why")]
            for mailbox in (mine, yours):
                while not isinstance(event := await mailbox.next(), Settled):
                    pass
                assert event == Settled(task_id, State.CANCELLED, b"why")
            assert not await _cancel(storage, task_id, b"again", "me")
            assert not await _is_revoked(storage, task_id)
        assert await pull(storage, queues=["default", "mail"]) == []
        assert await storage.promote(10) == (0, None)
        assert not [depth for depth in await storage.depths() if depth.ready or depth.scheduled or depth.running]
        assert await storage.push([Envelope("queued", b"")]) == [False]


async def check_nothing_is_cancelled_that_has_ended_or_is_unknown(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.settle([verdict(await lend(storage, "task"), b"result")])
        assert not await _cancel(storage, "task")
        assert not await _cancel(storage, "unknown")
        assert await storage.records(["task", "unknown"]) == [Record(State.DONE, b"result"), None]


async def check_its_owner_is_asked_to_stop_a_task_that_is_lent(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "anyone") as mailbox:
        delivery, other = await lend(storage, "task"), await lend(storage, "other")
        receipts = [delivery.receipt, other.receipt]
        assert _to_cancel(storage, receipts) == []
        for _ in range(2):
            assert await _cancel(storage, "task", b"why", "anyone")
            await mailbox.expect(CancelAsked("task"))
            assert await state_of(storage, "task") is State.RUNNING
            assert _to_cancel(storage, receipts) == [delivery.receipt]
        assert not await _is_revoked(storage, "task")
        assert not await _may_start(storage, "task")
        assert await storage.settle([verdict(delivery, b"stopped", state=State.CANCELLED)]) == [True]
        assert await storage.records(["task"]) == [Record(State.CANCELLED, b"stopped")]
        assert _to_cancel(storage, receipts) == []
        assert not (await lend(storage, "next")).may_be_revoked


async def check_a_verdict_wins_over_a_request_to_stop(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        assert await _cancel(storage, "task")
        assert await storage.settle([verdict(delivery, b"result")]) == [True]
        assert await storage.records(["task"]) == [Record(State.DONE, b"result")]
        assert not await _cancel(storage, "task")


async def check_a_task_that_was_asked_to_stop_comes_back_at_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for put in ({"delay_ms": _HOUR_MS}, {"eta_ms": harness.now_ms() + _HOUR_MS}, {}):
            task_id = f"task-{len(put)}-{''.join(put)}"
            delivery = await lend(storage, task_id)
            assert await _cancel(storage, task_id)
            assert await storage.settle([put_back(delivery, State.RETRYING, **put)]) == [True]
            delivery = await pull_one(storage)
            assert delivery.may_be_revoked
            assert not await _may_start(storage, task_id)
            # Back in line, it can be cancelled like any other task.
            await storage.settle([put_back(delivery)])
            assert await _cancel(storage, task_id)
            assert await state_of(storage, task_id) is State.CANCELLED
            assert await _may_start(storage, task_id)


async def check_a_request_to_stop_outlasts_its_owner(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        lost = await lend(storage, "task")
        assert await _cancel(storage, "task")
        taken = await take_over(harness, storage, "two")
        assert taken.may_be_revoked
        assert not await _may_start(storage, "task")
        assert await storage.settle([verdict(lost, b"of one")]) == [False]
        assert renew(storage, [lost.receipt]) == [lost.receipt]
        assert await storage.settle([verdict(taken, b"of two", state=State.CANCELLED)]) == [True]
        assert await storage.records(["task"]) == [Record(State.CANCELLED, b"of two")]


async def check_a_cancel_and_a_pull_at_once_end_well(harness: Harness) -> None:
    """Either the cancel comes first and the task is never lent, or the task is lent and its owner is asked to stop."""
    async with opened(harness.make()) as storage:
        ids = [f"t{number}" for number in range(40)]
        await storage.push([Envelope(task_id, b"", delay_ms=number % 2) for number, task_id in enumerate(ids)])
        await harness.advance(5)

        async def pull_some() -> list[Delivery]:
            return [delivery for _ in range(5) for delivery in await pull(storage, 5)]

        cancels = asyncio.gather(*(_cancel(storage, task_id) for task_id in ids))
        promotions = asyncio.gather(*(storage.promote(5) for _ in range(4)))
        lent, cancelled, _ = await asyncio.gather(pull_some(), cancels, promotions)
        assert cancelled == [True] * len(ids)
        assert set(_to_cancel(storage, [delivery.receipt for delivery in lent])) == {each.receipt for each in lent}
        states = dict(zip(ids, await storage.records(ids), strict=True))
        for task_id, record in states.items():
            is_lent = task_id in {delivery.id for delivery in lent}
            assert record is not None
            assert record.state is (State.RUNNING if is_lent else State.CANCELLED)
        await storage.promote(100)
        assert await pull(storage) == []


async def check_a_cancel_and_a_settlement_at_once_end_well(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(f"t{number}", b"") for number in range(20)])
        deliveries = await pull(storage, 100)
        fates = [verdict(each) if number % 2 else put_back(each) for number, each in enumerate(deliveries)]
        settled, cancelled = await asyncio.gather(
            asyncio.gather(*(storage.settle([fate]) for fate in fates)),
            asyncio.gather(*(_cancel(storage, each.id) for each in deliveries)),
        )
        assert settled == [[True]] * 20
        for number, delivery in enumerate(deliveries):
            state = await state_of(storage, delivery.id)
            if number % 2:
                assert state is State.DONE
            else:
                assert cancelled[number]
                assert state in {State.CANCELLED, State.QUEUED}
        left = await pull(storage, 100)
        assert await storage.revoked([(each.id, "") for each in left], True) == [True] * len(left)
        await storage.settle([verdict(each, state=State.CANCELLED) for each in left])
        assert not (await lend(storage, "next")).may_be_revoked


# -- replacing a task


async def check_what_was_pushed_can_be_read_until_the_verdict(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        queued = Envelope("queued", bytes(range(256)), "mail", -7)
        scheduled = Envelope("scheduled", b"payload", delay_ms=_HOUR_MS)
        lent = await lend(storage, "lent")
        retried = await lend(storage, "retried")
        await storage.push([queued, scheduled])
        await storage.settle([put_back(retried, State.RETRYING, failures=2)])
        ids = ["scheduled", "unknown", "lent", "queued", "retried"]
        assert await storage.envelopes(ids) == [
            scheduled._replace(delay_ms=0),
            None,
            Envelope("lent", lent.payload),
            queued,
            Envelope("retried", retried.payload),
        ]
        await storage.settle([verdict(lent)])
        await _cancel(storage, "queued")
        assert await storage.envelopes(["lent", "queued"]) == [None, None]


async def check_a_task_is_replaced_in_one_step(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        lent = await lend(storage, "lent")
        await storage.push([Envelope("queued", b""), Envelope("scheduled", b"", delay_ms=_HOUR_MS)])
        for task_id in ("lent", "queued", "scheduled"):
            instead = Envelope(f"not-{task_id}", b"payload", "mail", 5)
            assert await storage.cancel(task_id, b"", KEEP_MS, "", instead)
            # A store may put even a task that is due at once into the schedule first.
            await storage.promote(10)
            [delivery] = await pull(storage, queues=["mail"])
            assert (delivery.id, delivery.payload, delivery.fence) == (instead.id, b"payload", 1)
            assert await state_of(storage, task_id) in {State.CANCELLED, State.RUNNING}
        assert await storage.settle([verdict(lent, b"result")]) == [True]
        for task_id in ("lent", "queued", "unknown"):
            assert not await storage.cancel(task_id, b"", KEEP_MS, "", Envelope(f"late-{task_id}", b""))
            assert await state_of(storage, f"late-{task_id}") is None
        await storage.push([Envelope("again", b"")])
        assert await storage.cancel("again", b"", KEEP_MS, "", Envelope("later", b"", delay_ms=20))
        assert await state_of(storage, "later") is State.SCHEDULED
        await promote(harness, storage, 1)
        assert (await pull_one(storage)).id == "later"


async def check_what_is_lent_can_be_left_alone(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "lent")
        await storage.push([Envelope("ready", b""), Envelope("later", b"", delay_ms=_HOUR_MS)])
        for task_id in ("ready", "later"):
            assert await storage.cancel(task_id, b"", KEEP_MS, "", if_lent=False)
            assert await state_of(storage, task_id) is State.CANCELLED
        copy = Envelope("copy", b"")
        assert not await storage.cancel("lent", b"", KEEP_MS, "", copy, if_lent=False)
        assert await state_of(storage, "copy") is None
        assert _to_cancel(storage, [delivery.receipt]) == []
        assert await storage.settle([verdict(delivery)]) == [True]


CHECKS = (
    check_what_is_lent_can_be_left_alone,
    check_what_is_revoked_is_so_until_it_is_restored,
    check_an_id_may_be_revoked_before_there_is_such_a_task,
    check_a_revocation_of_a_group_that_holds_once_stops_one_task,
    check_a_revocation_holds_before_its_end,
    check_a_later_revocation_takes_the_place_of_an_earlier_one,
    check_a_revocation_ends_with_the_verdict_of_its_task,
    check_a_revocation_of_what_never_comes_is_forgotten,
    check_a_delivery_says_whether_anything_is_revoked,
    check_a_waiting_pull_sees_what_is_revoked_meanwhile,
    check_a_task_that_is_not_lent_is_cancelled_at_once,
    check_nothing_is_cancelled_that_has_ended_or_is_unknown,
    check_its_owner_is_asked_to_stop_a_task_that_is_lent,
    check_a_verdict_wins_over_a_request_to_stop,
    check_a_task_that_was_asked_to_stop_comes_back_at_once,
    check_a_request_to_stop_outlasts_its_owner,
    check_a_cancel_and_a_pull_at_once_end_well,
    check_a_cancel_and_a_settlement_at_once_end_well,
    check_what_was_pushed_can_be_read_until_the_verdict,
    check_a_task_is_replaced_in_one_step,
)
