"""Leases: how long a delivery is lent, how its owner keeps it, and who takes it over when the owner vanishes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from ...core.lifecycle import State
from ...core.message import Envelope
from .harness import (
    LEASE_MS,
    PATIENCE_SECONDS,
    Harness,
    adopt,
    keeper_of,
    lend,
    opened,
    pull,
    reclaim,
    renew,
    state_of,
    take_over,
    taking,
    verdict,
)

if TYPE_CHECKING:
    from ...core.message import Delivery
    from ...storage.protocol import Storage

# A lease that never expires during a check.
_LONG_LEASE_MS = 600_000

# -- expiry


async def check_a_running_lease_is_not_taken(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        # After the first take-over no grace protects later leases.
        await lend(storage, "witness")
        await storage.settle([verdict(await take_over(harness, storage, "two"))])
        delivery = await lend(storage, "task")
        assert await reclaim(storage, "two", 10) == []
        assert await storage.settle([verdict(delivery)]) == [True]


async def check_a_renewed_lease_is_not_taken(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        kept, left = await lend(storage, "kept"), await lend(storage, "left")
        assert await _reclaim_while_renewing(harness, storage, kept) == {left.id}
        # Renewing a lease does not make a new delivery.
        assert await storage.settle([verdict(kept)]) == [True]


async def _reclaim_while_renewing(harness: Harness, storage: Storage, kept: Delivery) -> set[str]:
    """Reclaim for "two" during three leases, and until it gets something, while the owner of `kept` renews its lease.

    If the machine stalls for a lease between a renewal and the next reclaim, the grace protects the owner.
    """
    taken: set[str] = set()
    for step in range(200):
        await harness.advance(LEASE_MS // 4)
        assert renew(storage, [kept.receipt]) == []
        taken |= {delivery.id for delivery in await reclaim(storage, "two", 10)}
        if taken and step >= 12:
            break
    return taken


async def check_owners_get_a_lease_to_renew_when_reclaiming_begins(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        alive = await lend(storage, "alive")
        await lend(storage, "vanished")
        await harness.advance(2 * LEASE_MS)
        assert await reclaim(storage, "two", 10) == []
        assert await _reclaim_while_renewing(harness, storage, alive) == {"vanished"}


async def check_owners_get_a_lease_to_renew_after_a_pause(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await lend(storage, "witness")
        await take_over(harness, storage, "two")
        alive = await lend(storage, "alive")
        # No consumer reclaims or renews, as if every machine were suspended.
        await harness.advance(2 * LEASE_MS)
        assert await reclaim(storage, "two", 10) == []
        assert await _reclaim_while_renewing(harness, storage, alive) == {"witness"}


async def check_reclaim_keeps_to_its_limit_and_queues(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(f"{queue}{n}", b"", queue, n) for queue in "ab" for n in range(5)])
        assert len(await pull(storage, queues=["a", "b"])) == 10
        taken: set[str] = set()
        for _ in range(200):
            some = await reclaim(storage, "two", 2, queues=["a"])
            assert len(some) <= 2
            taken |= {delivery.id for delivery in some}
            if len(taken) >= 5:
                break
            await harness.advance(LEASE_MS // 8)
        assert taken == {f"a{n}" for n in range(5)}


async def check_a_taken_over_lease_runs_anew(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        fences = [(await lend(storage, "task")).fence]
        for consumer in ("two", "three", "two"):
            fences.append((await take_over(harness, storage, consumer)).fence)
            # The lease of `consumer` has just begun.
            assert await reclaim(storage, "four", 10) == []
        assert fences == [1, 2, 3, 4]


# -- leases of several lengths


async def check_each_lease_is_judged_by_its_own_length(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        taking(storage, "patient", lease_ms=_LONG_LEASE_MS) as patient,
        taking(storage, "quick", lease_ms=LEASE_MS) as quick,
    ):
        await storage.push([Envelope("pulled", b""), Envelope("adopted", b""), Envelope("renewed", b"")])
        pulled, _, renewed = await patient.pull(3, 0)
        assert len(await patient.adopt([pulled.receipt, renewed.receipt])) == 1
        with closing(patient.lease_keeper()) as keeper:
            assert keeper.renew([renewed.receipt], b"").lost == []
        # A consumer that reclaims often and one that reclaims rarely take turns.
        for number, looking in enumerate((quick, patient, quick)):
            await lend(storage, f"vanished{number}", consumer="gone")
            taken: list[Delivery] = []
            for step in range(200):
                await harness.advance(LEASE_MS // 4)
                taken += await looking.reclaim(10)
                if taken and step >= 12:
                    break
            assert {delivery.id for delivery in taken} == {f"vanished{number}"}
            await storage.settle([verdict(delivery) for delivery in taken])


async def check_a_taken_over_lease_is_as_long_as_that_of_its_new_owner(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        taking(storage, "patient", lease_ms=_LONG_LEASE_MS) as patient,
    ):
        await lend(storage, "task")
        while not await patient.reclaim(1):
            await harness.advance(LEASE_MS // 4)
        for _ in range(12):
            await harness.advance(LEASE_MS // 4)
            assert await reclaim(storage, "two", 10) == []


async def check_after_a_pause_each_owner_gets_a_lease_of_its_own_length(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        taking(storage, "patient", lease_ms=6 * LEASE_MS) as patient,
    ):
        await reclaim(storage, "two", 10)
        await storage.push([Envelope("task", b"")])
        [delivery] = await patient.pull(1, 0)
        await harness.advance(7 * LEASE_MS)
        for _ in range(3):
            assert await reclaim(storage, "two", 10) == []
            await harness.advance(LEASE_MS // 2)
        with closing(patient.lease_keeper()) as keeper:
            assert keeper.renew([delivery.receipt], b"").lost == []


# -- renewal


async def check_renew_names_what_is_lost_and_keeps_the_rest(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        lost = await lend(storage, "lost")
        taken = await take_over(harness, storage, "two")
        ended = await lend(storage, "ended")
        await storage.settle([verdict(ended)])
        kept = await lend(storage, "kept")
        receipts = [ended.receipt, kept.receipt, lost.receipt]
        for _ in range(3):
            assert set(renew(storage, receipts)) == {ended.receipt, lost.receipt}
        assert renew(storage, [taken.receipt], consumer="two") == []
        assert await storage.settle([verdict(taken), verdict(kept)]) == [True, True]
        assert await state_of(storage, "ended") is State.DONE
        assert set(renew(storage, receipts)) == set(receipts)


async def check_leases_are_renewed_while_the_event_loop_is_blocked(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        keeper = keeper_of(storage)
        with ThreadPoolExecutor(max_workers=1) as thread:
            # This thread runs the event loop, and blocks here until the other one is done.
            for _ in range(3):
                renewal = thread.submit(keeper.renew, [delivery.receipt], b"busy").result(PATIENCE_SECONDS)
                assert renewal.lost == []
            thread.submit(keeper.close).result(PATIENCE_SECONDS)
        [worker] = await storage.workers()
        assert (worker.consumer, worker.description) == ("one", b"busy")


async def check_suspects_are_taken_over_a_few_at_a_time(harness: Harness) -> None:
    async def taken(consumer: str, most_suspects: int, count: int) -> set[str]:
        ids: set[str] = set()
        for _ in range(200):
            ids |= {item.id for item in await reclaim(storage, consumer, 10, 2, most_suspects)}
            if len(ids) >= count:
                break
            await harness.advance(LEASE_MS // 4)
        return ids

    async with opened(harness.make()) as storage:
        await lend(storage, "a", consumer="one")
        await lend(storage, "b", consumer="one")
        assert await taken("two", 0, 2) == {"a", "b"}
        await lend(storage, "c", consumer="two")
        assert await taken("three", 0, 1) == {"c"}
        first = await reclaim(storage, "four", 10, 2, 1)
        second = await reclaim(storage, "five", 10, 2, 1)
        assert [(item.receipt.count, item.fence) for item in first + second] == [(3, 3)] * 2
        assert {item.id for item in first + second} == {"a", "b"}


# -- adopting deliveries that never reached their owner


async def check_a_consumer_adopts_what_it_is_lent_but_does_not_hold(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope(f"t{number}", b"%d" % number, priority=number) for number in range(4)])
        missed, held, also_missed, _ = await pull(storage, consumer="me")
        expected = {(missed.id, missed.payload), (also_missed.id, also_missed.payload), ("t0", b"0")}
        for _ in range(2):
            adopted = await adopt(storage, [held.receipt], consumer="me")
            assert {(delivery.id, delivery.payload) for delivery in adopted} == expected
            assert {delivery.receipt.consumer for delivery in adopted} == {"me"}
        assert await adopt(storage, [held.receipt, *(delivery.receipt for delivery in adopted)], consumer="me") == []
        assert await storage.settle([verdict(delivery) for delivery in (held, *adopted)]) == [True] * 4
        assert await adopt(storage, [], consumer="me") == []


async def check_what_is_adopted_is_leased_anew(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        # After the first take-over no grace protects later leases.
        await lend(storage, "witness")
        await storage.settle([verdict(await take_over(harness, storage, "two"))])
        delivery = await lend(storage, "task", consumer="me")
        for _ in range(8):
            await harness.advance(LEASE_MS // 4)
            assert await adopt(storage, [], consumer="me") == [delivery]
            assert await reclaim(storage, "two", 10) == []


async def check_a_consumer_adopts_from_nobody_else(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("mine", b"", "a"), Envelope("theirs", b"", "b"), Envelope("ready", b"", "c")])
        assert len(await pull(storage, consumer="me", queues=["a"])) == 1
        assert len(await pull(storage, consumer="they", queues=["b"])) == 1
        assert [delivery.id for delivery in await adopt(storage, [], consumer="me", queues=["a", "b", "c"])] == ["mine"]
        assert await adopt(storage, [], consumer="me", queues=["b", "c"]) == []
        assert await adopt(storage, [], consumer="nobody", queues=["a", "b", "c"]) == []


CHECKS = (
    check_a_running_lease_is_not_taken,
    check_a_renewed_lease_is_not_taken,
    check_owners_get_a_lease_to_renew_when_reclaiming_begins,
    check_owners_get_a_lease_to_renew_after_a_pause,
    check_reclaim_keeps_to_its_limit_and_queues,
    check_a_taken_over_lease_runs_anew,
    check_each_lease_is_judged_by_its_own_length,
    check_a_taken_over_lease_is_as_long_as_that_of_its_new_owner,
    check_after_a_pause_each_owner_gets_a_lease_of_its_own_length,
    check_suspects_are_taken_over_a_few_at_a_time,
    check_renew_names_what_is_lost_and_keeps_the_rest,
    check_leases_are_renewed_while_the_event_loop_is_blocked,
    check_a_consumer_adopts_what_it_is_lent_but_does_not_hold,
    check_what_is_adopted_is_leased_anew,
    check_a_consumer_adopts_from_nobody_else,
)
