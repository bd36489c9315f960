"""Scheduling: tasks that are due at an instant or after a delay, and the call that makes them ready."""

from __future__ import annotations

from ...core.lifecycle import State
from ...core.message import Envelope
from .harness import Harness, lend, opened, promote, pull, pull_one, put_back, state_of, verdict

_HOUR_MS = 3_600_000
_TEN_YEARS_MS = 10 * 365 * 24 * _HOUR_MS


async def check_a_delayed_task_waits(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.push([Envelope("task", b"", delay_ms=_HOUR_MS)]) == [True]
        promotion = await storage.promote(10)
        assert promotion.moved == 0
        assert promotion.next_ms is not None
        assert _HOUR_MS - 60_000 < promotion.next_ms <= _HOUR_MS
        assert await pull(storage) == []
        assert await state_of(storage, "task") is State.SCHEDULED


async def check_a_task_waits_for_its_instant(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.push([Envelope("task", b"", eta_ms=harness.now_ms() + _HOUR_MS)]) == [True]
        promotion = await storage.promote(10)
        assert promotion.moved == 0
        assert promotion.next_ms is not None
        assert _HOUR_MS - 60_000 < promotion.next_ms <= _HOUR_MS
        assert await pull(storage) == []


async def check_a_due_task_becomes_ready(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("delayed", b"d", "mail", 3, delay_ms=50)])
        await storage.push([Envelope("timed", b"t", "mail", 2, eta_ms=harness.now_ms() + 50)])
        promotion = await promote(harness, storage, 2)
        assert promotion.next_ms is None
        assert [await state_of(storage, task_id) for task_id in ("delayed", "timed")] == [State.QUEUED] * 2
        deliveries = await pull(storage, queues=["mail"])
        assert [(delivery.id, delivery.payload, delivery.fence) for delivery in deliveries] == [
            ("delayed", b"d", 1),
            ("timed", b"t", 1),
        ]
        assert await storage.settle([verdict(delivery) for delivery in deliveries]) == [True, True]


async def check_an_instant_that_has_passed_means_now(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("task", b"", eta_ms=harness.now_ms() - _HOUR_MS)])
        await storage.promote(10)
        delivery = await pull_one(storage)
        await storage.settle([put_back(delivery, eta_ms=1)])
        await storage.promote(10)
        assert (await pull_one(storage)).id == "task"


async def check_promotion_takes_the_earliest_first_up_to_its_limit(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delays_ms = {"c": 70, "a": 30, "d": 90, "b": 50}
        await storage.push([Envelope(task_id, b"", delay_ms=delay_ms) for task_id, delay_ms in delays_ms.items()])
        await harness.advance(100)
        promotion = await storage.promote(3)
        assert (promotion.moved, promotion.next_ms) == (3, 0)
        assert [delivery.id for delivery in await pull(storage)] == ["a", "b", "c"]
        assert await storage.promote(3) == (1, None)
        assert await storage.promote(3) == (0, None)
        assert [delivery.id for delivery in await pull(storage)] == ["d"]


async def check_promotion_tells_when_the_next_task_is_due(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.promote(10) == (0, None)
        for task_id, queue, delay_ms in [
            ("later", "b", 2 * _HOUR_MS),
            ("soon", "c", _HOUR_MS),
            ("last", "a", 3 * _HOUR_MS),
        ]:
            await storage.push([Envelope(task_id, b"", queue, delay_ms=delay_ms)])
        moved, next_ms = await storage.promote(10)
        assert moved == 0
        assert next_ms is not None
        assert _HOUR_MS - 60_000 < next_ms <= _HOUR_MS


async def check_the_far_future_is_far(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("delayed", b"", delay_ms=_TEN_YEARS_MS)])
        promotion = await storage.promote(10)
        assert promotion.moved == 0
        assert promotion.next_ms is not None
        assert _TEN_YEARS_MS - 60_000 < promotion.next_ms <= _TEN_YEARS_MS
        await storage.push([Envelope("timed", b"", eta_ms=harness.now_ms() + _TEN_YEARS_MS)])
        assert (await storage.promote(10)).moved == 0
        assert await pull(storage) == []


# -- retries


async def check_a_delayed_retry_waits_and_comes_back(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        delivery = await lend(storage, "task")
        for failures in (1, 2):
            later = put_back(delivery, State.RETRYING, delay_ms=50, failures=failures)
            assert await storage.settle([later]) == [True]
            assert await pull(storage) == []
            assert await state_of(storage, "task") is State.RETRYING
            await promote(harness, storage, 1)
            assert await state_of(storage, "task") is State.RETRYING
            delivery = await pull_one(storage)
            assert await state_of(storage, "task") is State.RUNNING
            assert (delivery.payload, delivery.failures, delivery.fence) == (b"payload of task", failures, failures + 1)
        assert await storage.settle([verdict(delivery)]) == [True]
        assert await storage.promote(10) == (0, None)


async def check_a_task_is_put_back_for_an_instant(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        far = put_back(await lend(storage, "far"), State.SCHEDULED, eta_ms=harness.now_ms() + _HOUR_MS)
        near = put_back(await lend(storage, "near"), State.SCHEDULED, eta_ms=harness.now_ms() + 50)
        assert await storage.settle([far, near]) == [True, True]
        assert [await state_of(storage, task_id) for task_id in ("far", "near")] == [State.SCHEDULED] * 2
        await promote(harness, storage, 1)
        assert (await pull_one(storage)).id == "near"
        assert await state_of(storage, "far") is State.SCHEDULED


CHECKS = (
    check_a_delayed_task_waits,
    check_a_task_waits_for_its_instant,
    check_a_due_task_becomes_ready,
    check_an_instant_that_has_passed_means_now,
    check_promotion_takes_the_earliest_first_up_to_its_limit,
    check_promotion_tells_when_the_next_task_is_due,
    check_the_far_future_is_far,
    check_a_delayed_retry_waits_and_comes_back,
    check_a_task_is_put_back_for_an_instant,
)
