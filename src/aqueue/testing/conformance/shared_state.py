"""Shared state: values, permits that lapse, and exact rate limits."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

from ...storage.protocol import Freed
from ...storage.shared import Grant
from .harness import PATIENCE_SECONDS, Harness, SharedHarness, listening, opened

if TYPE_CHECKING:
    from ...storage.shared import SharedState

# A time to live, or a window, that is longer than any check.
_LONG_MS = 10**12
_SHORT_MS = 200
_LARGEST = 2**63 - 1

_tokens = map("call-{}".format, count())


# -- values


async def check_a_value_is_kept_under_its_key(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        kept = {"a": b"", "b": bytes(range(256)), "a b:{c}\n%": b"null", "ä" * 100: b"x" * 100_000}
        for key, value in kept.items():
            assert await shared.get(key) is None
            assert await shared.put(key, b"first", next(_tokens))
            assert await shared.put(key, value, next(_tokens))
        assert {key: await shared.get(key) for key in kept} == kept


async def check_a_value_goes_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        for key in ("popped", "deleted", "left"):
            await shared.put(key, key.encode(), next(_tokens))
        assert [await shared.pop("popped", next(_tokens)) for _ in range(2)] == [b"popped", None]
        assert [await shared.delete("deleted", next(_tokens)) for _ in range(2)] == [True, False]
        assert [await shared.get(key) for key in ("popped", "deleted", "left")] == [None, None, b"left"]


async def check_only_an_empty_key_takes_a_value(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        puts = [
            storage.shared.put("key", b"%d" % number, next(_tokens), only_if_empty=True, ttl_ms=number % 2 * _LONG_MS)
            for number in range(20)
        ]
        kept = await asyncio.gather(*puts)
        assert kept.count(True) == 1
        assert await storage.shared.get("key") == b"%d" % kept.index(True)
        await storage.shared.delete("key", next(_tokens))
        assert await storage.shared.put("key", b"again", next(_tokens), only_if_empty=True)


async def check_a_value_lapses(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        for key in ("lapsing", "deleted", "kept", "other", "number"):
            await shared.put(key, b"5", next(_tokens), ttl_ms=_SHORT_MS)
        await shared.incr("number", 1, next(_tokens))
        await shared.put("kept", b"6", next(_tokens))
        await shared.put("other", b"7", next(_tokens), ttl_ms=_LONG_MS)
        await harness.advance(_SHORT_MS + 1)
        assert await shared.get("lapsing") is None
        assert not await shared.delete("deleted", next(_tokens))
        assert await shared.incr("number", 1, next(_tokens)) == 1
        assert await shared.put("lapsing", b"new", next(_tokens), only_if_empty=True)
        assert [await shared.get(key) for key in ("kept", "other", "lapsing")] == [b"6", b"7", b"new"]


async def check_a_number_grows(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        assert [await shared.incr("n", amount, next(_tokens)) for amount in (5, 0, -7)] == [5, 5, -2]
        assert await shared.get("n") == b"-2"
        await shared.put("n", b"9007199254740993", next(_tokens))
        assert await shared.incr("n", 2, next(_tokens)) == 9007199254740995
        totals = await asyncio.gather(*(shared.incr("m", 1, next(_tokens)) for _ in range(50)))
        assert set(totals) == set(range(1, 51))


async def check_a_value_that_is_not_a_number_is_not_changed_by_incr(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for value in (b"", b"1.0", b'"1"', b"null", b" 1", b"%d" % _LARGEST, b"%d" % 10**30):
            await storage.shared.put("n", value, next(_tokens))
            assert await storage.shared.incr("n", 1, next(_tokens)) is None
            assert await storage.shared.get("n") == value


async def check_a_repeated_call_changes_nothing(harness: Harness) -> None:
    """A repeated call changes nothing, even if another client changed the value in between."""
    async with opened(harness.make()) as storage:
        shared = storage.shared
        for _ in range(2):
            assert await shared.put("first", b"mine", "t1", only_if_empty=True)
        assert await shared.put("put", b"mine", "t2")
        await shared.put("put", b"other", next(_tokens))
        assert await shared.put("put", b"mine", "t2")
        assert await shared.get("put") == b"other"
        assert await shared.pop("put", "t3") == b"other"
        await shared.put("put", b"new", next(_tokens))
        assert await shared.pop("put", "t3") == b"other"
        assert await shared.delete("put", "t4")
        await shared.put("put", b"newer", next(_tokens))
        assert await shared.delete("put", "t4")
        assert await shared.get("put") == b"newer"
        assert [await shared.incr("n", 2, token) for token in ("t5", "t6", "t5")] == [2, 4, 2]
        assert await shared.get("n") == b"4"
        # A repeated pop of an empty key does not take a value that came later.
        assert await shared.pop("empty", "t7") is None
        await shared.put("empty", b"5", next(_tokens))
        assert await shared.pop("empty", "t7") is None
        assert await shared.get("empty") == b"5"


# -- permits


async def check_a_permit_has_one_holder(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        for permits in (1, 3):
            name = f"for {permits}"
            tokens = [next(_tokens) for _ in range(10)]
            grants = await asyncio.gather(*(shared.acquire(name, token, permits, _LONG_MS) for token in tokens))
            held = [grant.fence > 0 for grant in grants]
            assert held.count(True) == permits
            assert all(0 < grant.wait_ms <= _LONG_MS for grant in grants if not grant.fence)
            assert [await shared.release(name, token) for token in tokens] == held
            assert await _is_granted(shared, name, "next", permits)


async def check_a_holder_keeps_its_permit_when_it_asks_again(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        first = await storage.shared.acquire("lock", "mine", 1, _LONG_MS)
        assert await storage.shared.acquire("lock", "mine", 1, _LONG_MS) == first == Grant(first.fence)
        assert not await _is_granted(storage.shared, "lock", "other")
        assert await storage.shared.release("lock", "mine")
        assert await _is_granted(storage.shared, "lock", "other")


async def check_a_permit_is_released_by_its_holder_alone(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        assert await _is_granted(shared, "lock", "mine")
        assert await _is_granted(shared, "other lock", "yours")
        assert not await shared.release("lock", "yours")
        assert not await _is_granted(shared, "lock", "third")
        assert [await shared.release("lock", "mine") for _ in range(2)] == [True, True], "a repetition"


async def check_a_released_token_cannot_acquire_again(harness: Harness) -> None:
    """Otherwise a late request would take a permit for a caller that has left."""
    async with opened(harness.make()) as storage:
        shared = storage.shared
        assert await _is_granted(shared, "lock", "mine")
        assert await shared.release("lock", "mine")
        assert not await shared.release("lock", "given up")
        for token in ("mine", "given up"):
            refusal = await shared.acquire("lock", token, 1, _LONG_MS)
            assert refusal.fence == 0
            assert refusal.wait_ms > 0
        assert await _is_granted(shared, "lock", "other")


async def check_a_permit_lapses(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        lost = await shared.acquire("lock", "lost", 1, _SHORT_MS)
        while not (grant := await shared.acquire("lock", "next", 1, _LONG_MS)).fence:
            assert 0 < grant.wait_ms <= _SHORT_MS
            await harness.advance(grant.wait_ms)
        assert grant.fence > lost.fence
        assert not await _is_granted(shared, "lock", "lost")
        assert not await shared.release("lock", "lost")
        assert [holder.token for holder in await shared.holders("lock")] == ["next"]


async def check_a_lapsed_permit_is_not_renewed_but_granted_anew(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        lapsed = await storage.shared.acquire("lock", "mine", 1, _SHORT_MS)
        await harness.advance(_SHORT_MS + 1)
        assert await storage.shared.holders() == []
        assert (await storage.shared.acquire("lock", "mine", 1, _SHORT_MS)).fence > lapsed.fence


async def check_a_permit_that_is_renewed_does_not_lapse(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        first = await storage.shared.acquire("lock", "mine", 1, 1000)
        for _ in range(3):
            await harness.advance(400)
            assert await storage.shared.acquire("lock", "mine", 1, 1000) == first
            assert not await _is_granted(storage.shared, "lock", "other")


async def check_fences_only_grow(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        fences = []
        for number in range(20):
            fences.append((await storage.shared.acquire(f"lock {number % 3}", f"t{number}", 10, _LONG_MS)).fence)
            if number % 2:
                await storage.shared.release(f"lock {number % 3}", f"t{number}")
        assert fences[0] > 0
        assert fences == sorted(set(fences))


async def check_holders_are_known(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        assert await shared.holders() == []
        for number, (name, token) in enumerate([("a", "t1"), ("b:c", "t2"), ("a", "t3"), ("d", "t4")], start=1):
            await shared.acquire(name, token, 2, number * _LONG_MS)
        await shared.release("d", "t4")
        everyone = [(name, token) for name, token, _ in await shared.holders()]
        assert everyone == [("a", "t1"), ("b:c", "t2"), ("a", "t3")]
        some = await shared.holders("a", "nobody")
        assert [holder.token for holder in some] == ["t1", "t3"]
        assert all(0 < holder.left_ms <= number * _LONG_MS for number, holder in zip((1, 3), some, strict=True))


async def check_a_release_notifies_the_waiter(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        shared = storage.shared
        for name in ("lock", "a b:c"):
            assert await _is_granted(shared, name, f"mine {name}")
            assert not await _is_granted(shared, name, f"other {name}")
            assert await shared.release(name, f"mine {name}")
            await mailbox.expect(Freed(name))


async def check_a_release_is_announced_after_every_refusal(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        for number in range(3):
            assert await _is_granted(storage.shared, "lock", f"t{number}")
            assert not await _is_granted(storage.shared, "lock", f"waiting {number}")
            assert await storage.shared.release("lock", f"t{number}")
            await mailbox.expect(Freed("lock"))


async def check_a_contended_permit_never_has_two_holders(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        inside: list[int] = []
        fences: list[int] = []

        async def enter(number: int) -> None:
            grant = Grant(0)
            while not grant.fence:
                await asyncio.sleep(0)
                grant = await shared.acquire("lock", f"t{number}", 1, _LONG_MS)
            inside.append(number)
            fences.append(grant.fence)
            await asyncio.sleep(0)
            assert inside == [number]
            inside.remove(number)
            assert await shared.release("lock", f"t{number}")

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(enter(number) for number in range(30)))
        assert fences == sorted(set(fences))


# -- rates


async def check_a_limit_is_exact_under_concurrency(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for name, sliding in (("fixed", False), ("sliding", True)):
            waits = await asyncio.gather(
                *(storage.shared.spend(name, f"t{n}", 7, _LONG_MS, sliding=sliding) for n in range(50))
            )
            assert waits.count(0) == 7
            assert all(0 <= wait <= _LONG_MS for wait in waits)
            assert await storage.shared.usage(name, _LONG_MS, sliding=sliding) == 7


async def check_a_call_is_spent_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        for sliding in (False, True):
            for token in ("t1", "t1", "t2", "t1", "t2"):
                assert await shared.spend("api", token, 2, _LONG_MS, sliding=sliding) == 0
            assert await shared.spend("api", "t3", 2, _LONG_MS, sliding=sliding) > 0
        assert await shared.usage("api", _LONG_MS, sliding=True) == 2


async def check_rates_of_other_names_and_spans_are_apart(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        shared = storage.shared
        for name, per_ms in (("a", _LONG_MS), ("b", _LONG_MS), ("a", _LONG_MS // 2), ("a:1", _LONG_MS)):
            assert await shared.usage(name, per_ms, sliding=True) == 0
            assert await shared.spend(name, next(_tokens), 1, per_ms, sliding=True) == 0
            assert await shared.spend(name, next(_tokens), 1, per_ms, sliding=True) > 0
        await shared.reset("a", _LONG_MS)
        assert await shared.usage("a", _LONG_MS, sliding=True) == 0
        assert await shared.spend("a", next(_tokens), 1, _LONG_MS, sliding=True) == 0
        assert await shared.spend("b", next(_tokens), 1, _LONG_MS, sliding=True) > 0


async def check_a_fixed_window_admits_no_more_than_its_limit(harness: Harness) -> None:
    per_ms, limit = 150, 3
    admitted = await _admitted(harness, limit, per_ms, sliding=False)
    for window in {began // per_ms for began, _ in admitted}:
        inside = [began for began, ended in admitted if began // per_ms == ended // per_ms == window]
        assert len(inside) <= limit


async def check_no_sliding_window_admits_more_than_its_limit(harness: Harness) -> None:
    per_ms, limit = 150, 3
    admitted = await _admitted(harness, limit, per_ms, sliding=True)
    for (began, _), (_, ended) in zip(admitted, admitted[limit:], strict=False):
        assert ended - began >= per_ms


async def _admitted(harness: Harness, limit: int, per_ms: int, *, sliding: bool) -> list[tuple[int, int]]:
    """Spend as often as allowed, and wait as long as each refusal says. Returns the instants around each admission."""
    admitted: list[tuple[int, int]] = []
    refused = 0
    async with opened(harness.make()) as storage:
        while len(admitted) < 4 * limit:
            began = harness.now_ms()
            wait_ms = await storage.shared.spend("api", next(_tokens), limit, per_ms, sliding=sliding)
            if wait_ms == 0:
                admitted.append((began, harness.now_ms()))
                refused = 0
                await harness.advance(20)
                continue
            refused += 1
            assert refused == 1, "a caller that waits as long as the refusal says is admitted"
            begin = began - per_ms if sliding else began - began % per_ms
            assert sum(ended >= begin for _, ended in admitted) >= limit, "only a full window refuses"
            # Wait until the fixed window ends, or until the earliest call leaves the sliding one.
            assert 0 < wait_ms <= (admitted[-limit][1] if sliding else begin) + per_ms - began + 1
            await harness.advance(wait_ms + 1)
    return admitted


async def _is_granted(shared: SharedState, name: str, token: str, permits: int = 1) -> bool:
    return (await shared.acquire(name, token, permits, _LONG_MS)).fence > 0


# -- several processes


async def check_permits_and_limits_hold_between_processes(harness: SharedHarness) -> None:
    async with opened(harness.make()) as one, opened(harness.join(one)) as other:
        assert await one.shared.put("key", b"value", next(_tokens))
        assert not await other.shared.put("key", b"other", next(_tokens), only_if_empty=True)
        assert await other.shared.pop("key", next(_tokens)) == b"value"
        first = await one.shared.acquire("lock", "mine", 1, _LONG_MS)
        assert not await _is_granted(other.shared, "lock", "yours")
        assert await one.shared.release("lock", "mine")
        assert (await other.shared.acquire("lock", "yours too", 1, _LONG_MS)).fence > first.fence
        assert [(holder.name, holder.token) for holder in await one.shared.holders()] == [("lock", "yours too")]
        calls = [
            shared.spend("api", next(_tokens), 5, _LONG_MS, sliding=True) for shared in (one.shared, other.shared) * 5
        ]
        assert (await asyncio.gather(*calls)).count(0) == 5


async def check_a_release_notifies_waiters_in_other_processes(harness: SharedHarness) -> None:
    async with (
        opened(harness.make()) as one,
        opened(harness.join(one)) as other,
        listening(other, "me") as mailbox,
    ):
        for number in range(3):
            assert await _is_granted(one.shared, "lock", f"t{number}")
            assert not await _is_granted(other.shared, "lock", f"waiting {number}")
            assert await one.shared.release("lock", f"t{number}")
            await mailbox.expect(Freed("lock"))


CHECKS = (
    check_a_value_is_kept_under_its_key,
    check_a_value_goes_once,
    check_only_an_empty_key_takes_a_value,
    check_a_value_lapses,
    check_a_number_grows,
    check_a_value_that_is_not_a_number_is_not_changed_by_incr,
    check_a_repeated_call_changes_nothing,
    check_a_permit_has_one_holder,
    check_a_holder_keeps_its_permit_when_it_asks_again,
    check_a_permit_is_released_by_its_holder_alone,
    check_a_released_token_cannot_acquire_again,
    check_a_permit_lapses,
    check_a_lapsed_permit_is_not_renewed_but_granted_anew,
    check_a_permit_that_is_renewed_does_not_lapse,
    check_fences_only_grow,
    check_holders_are_known,
    check_a_release_notifies_the_waiter,
    check_a_release_is_announced_after_every_refusal,
    check_a_contended_permit_never_has_two_holders,
    check_a_limit_is_exact_under_concurrency,
    check_a_call_is_spent_once,
    check_rates_of_other_names_and_spans_are_apart,
    check_a_fixed_window_admits_no_more_than_its_limit,
    check_no_sliding_window_admits_more_than_its_limit,
)

SHARED_CHECKS = (
    check_permits_and_limits_hold_between_processes,
    check_a_release_notifies_waiters_in_other_processes,
)
