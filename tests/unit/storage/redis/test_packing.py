"""Batches go to the server lane by lane, and each answer finds its way back to the item that it is about."""

from __future__ import annotations

from aqueue.core.ids import new_token
from aqueue.core.message import Envelope
from aqueue.storage.redis.packing import BATCH, pushes
from aqueue.storage.redis.store import RedisStorage

_HOUR_MS = 3_600_000


async def test_each_envelope_of_a_mixed_batch_gets_its_own_answer(redis_url: str) -> None:
    storage = RedisStorage(redis_url, f"test-{new_token()}")
    await storage.open()
    known = [Envelope("known", b""), Envelope("due", b"", "mail", 3, _HOUR_MS)]
    assert await storage.push(known) == [True, True]
    later = Envelope("later", b"", delay_ms=_HOUR_MS)
    batch = [later, known[1], Envelope("new", b""), known[0], later, Envelope("other", b"", "mail", 3)]
    assert await storage.push(batch) == [True, False, True, False, False, True]
    await storage.close()


def test_one_lane_is_one_call_whatever_is_due_when() -> None:
    items = [Envelope(str(number), b"p", "q", 1, number % 3, (number % 2) * _HOUR_MS) for number in range(12)]
    [(positions, arguments)] = pushes(items)
    assert sorted(positions) == list(range(12))
    ready = [position for position in positions if not (position % 3 or position % 2)]
    assert positions[: len(ready)] == ready
    assert arguments[:4] == ["q:1", len(ready), items[0].id, b"p"]
    assert len(arguments) == 2 + 2 * len(ready) + 3 * (12 - len(ready))


def test_a_call_is_bounded_in_tasks() -> None:
    many = [Envelope(str(number), b"") for number in range(BATCH + 1)]
    assert [len(positions) for positions, _ in pushes(many)] == [BATCH, 1]
