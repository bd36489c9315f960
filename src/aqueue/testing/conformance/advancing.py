"""Schedules: a state is replaced only by a caller that knows the current one, in one step with the tasks it fires."""

from __future__ import annotations

import asyncio
import string

from ...core.lifecycle import State
from ...core.message import Envelope
from ...storage.protocol import Advance, Due, ScheduleChanged
from .harness import (
    LONG_WAIT_MS,
    Harness,
    background,
    listening,
    opened,
    outcome,
    promote,
    pull,
    pull_one,
    state_of,
    verdict,
    wait_until_unknown,
)

_HOUR_MS = 3_600_000


async def check_a_schedule_keeps_its_state(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        assert await storage.schedules() == {}
        assert await storage.advance("hourly", b"", b"one", [])
        assert await storage.advance("daily", b"", bytes(range(256)) * 400, [])
        assert await storage.schedules() == {"hourly": b"one", "daily": bytes(range(256)) * 400}
        assert await storage.advance("hourly", b"one", b"two", [])
        assert await storage.advance("daily", bytes(range(256)) * 400, b"", [])
        assert await storage.schedules() == {"hourly": b"two"}
        await storage.close()
        await storage.open()
        assert await storage.schedules() == {"hourly": b"two"}


async def check_a_schedule_may_have_any_name(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        letters = string.ascii_letters + string.digits
        names = [letters + "_.:<>-", ".", "-1", "0", "a" * 200, "A" * 200, "null", "naïve 東京"]
        for name in names:
            assert await storage.advance(name, b"", name.encode(), [])
        assert await storage.schedules() == {name: name.encode() for name in names}


async def check_a_state_that_was_not_seen_is_left_alone(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        fired = [Envelope("ready", b""), Envelope("later", b"", delay_ms=_HOUR_MS)]
        assert not await storage.advance("hourly", b"zero", b"one", fired)
        assert await storage.schedules() == {}
        assert await storage.advance("hourly", b"", b"one", [])
        for seen in (b"", b"zero", b"on", b"one\x00"):
            assert not await storage.advance("hourly", seen, b"two", fired)
            assert not await storage.advance("hourly", seen, b"", fired)
        assert await storage.schedules() == {"hourly": b"one"}
        assert await storage.records(["ready", "later"]) == [None, None]
        assert await pull(storage) == []


async def check_a_step_keeps_its_tasks(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        envelopes = [
            Envelope("ready", b"r"),
            Envelope("urgent", b"u", "mail", 9),
            Envelope("delayed", b"d", delay_ms=50),
            Envelope("timed", b"t", "mail", 3, eta_ms=harness.now_ms() + 50),
            Envelope("past", b"p", "past", eta_ms=harness.now_ms() - _HOUR_MS),
        ]
        assert await storage.advance("hourly", b"", b"one", envelopes)
        states = [await state_of(storage, task_id) for task_id in ("ready", "urgent", "delayed", "timed")]
        assert states == [State.QUEUED, State.QUEUED, State.SCHEDULED, State.SCHEDULED]
        found = await pull(storage, queues=["mail", "default"])
        assert [(item.id, item.payload, item.fence) for item in found] == [("urgent", b"u", 1), ("ready", b"r", 1)]
        await promote(harness, storage, 2)
        assert (await pull_one(storage, queues=["past"])).payload == b"p"
        found = await pull(storage, queues=["mail", "default"])
        assert [(item.id, item.payload) for item in found] == [("timed", b"t"), ("delayed", b"d")]
        assert await storage.settle([verdict(item, b"result") for item in found]) == [True, True]
        assert await state_of(storage, "timed") is State.DONE


async def check_a_step_may_be_repeated(harness: Harness) -> None:
    """A tick fires once, even if the step is repeated after its task has ended and expired."""
    async with opened(harness.make()) as storage:
        steps = [await storage.advance("hourly", b"", b"one", [Envelope("tick", b"")]) for _ in range(2)]
        assert steps == [Advance.MADE, Advance.KNOWN]
        delivery = await pull_one(storage)
        assert await storage.settle([verdict(delivery, ttl_ms=50)]) == [True]
        await wait_until_unknown(harness, storage, "tick")
        assert await storage.advance("hourly", b"", b"one", [Envelope("tick", b"")]) is Advance.KNOWN
        assert await state_of(storage, "tick") is None
        assert await pull(storage) == []
        steps = [await storage.advance("hourly", b"one", b"", []) for _ in range(2)]
        assert steps == [Advance.MADE, Advance.KNOWN]
        assert await storage.schedules() == {}
        assert await storage.advance("hourly", b"", b"one", [Envelope("tick", b"again")])
        assert (await pull_one(storage)).payload == b"again"


async def check_a_step_keeps_no_task_that_is_known(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        await storage.push([Envelope("ready", b"first"), Envelope("later", b"first", delay_ms=_HOUR_MS)])
        copies = [Envelope("ready", b"second"), Envelope("later", b"second")]
        twins = [Envelope("new", b"n"), Envelope("new", b"m")]
        assert await storage.advance("hourly", b"", b"one", [*copies, *twins])
        assert [(item.id, item.payload) for item in await pull(storage)] == [("ready", b"first"), ("new", b"n")]
        assert await state_of(storage, "later") is State.SCHEDULED


async def check_a_step_fires_many_tasks(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        ids = [f"t{number}" for number in range(500)]
        assert await storage.advance("hourly", b"", b"one", [Envelope(task_id, b"p") for task_id in ids])
        assert [delivery.id for delivery in await pull(storage, 500)] == ids


async def check_only_one_of_many_steps_from_a_state_is_made(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        seen = b""
        for number in range(20):
            steps = [
                storage.advance("hourly", seen, b"%d.%d" % (number, who), [Envelope(f"t{number}.{who}", b"")])
                for who in range(5)
            ]
            made = await asyncio.gather(*steps)
            assert made.count(Advance.MADE) == 1
            seen = b"%d.%d" % (number, made.index(Advance.MADE))
            assert await storage.schedules() == {"hourly": seen}
            assert (await pull_one(storage)).id == f"t{seen.decode()}"


async def check_a_step_wakes_waiting_pulls(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "client"):
        seen = b""
        for number, priority in enumerate([0, 7, 7]):
            async with background(pull(storage, 5, wait_ms=LONG_WAIT_MS)) as task:
                await harness.advance(20)
                state = b"%d" % number
                assert await storage.advance("hourly", seen, state, [Envelope(f"t{number}", b"", priority=priority)])
                assert [delivery.id for delivery in await outcome(task)] == [f"t{number}"]
                seen = state


async def check_a_step_that_fires_nothing_is_announced(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        listening(storage, "me") as mine,
        listening(storage, "you") as yours,
    ):
        assert await storage.advance("hourly", b"", b"one", [])
        for mailbox in (mine, yours):
            await mailbox.expect(ScheduleChanged("hourly"))
        assert await storage.advance("hourly", b"one", b"two", [Envelope("ready", b"")])
        assert not await storage.advance("hourly", b"one", b"three", [])
        assert await storage.advance("hourly", b"two", b"three", [Envelope("later", b"", delay_ms=_HOUR_MS)])
        for mailbox in (mine, yours):
            event = await mailbox.next()
            assert isinstance(event, Due)
            assert _HOUR_MS - 60_000 < event.in_ms <= _HOUR_MS
        assert await storage.advance("hourly", b"three", b"four", [])
        for mailbox in (mine, yours):
            await mailbox.expect(ScheduleChanged("hourly"))
        assert await storage.advance("daily", b"", b"one", [])
        assert await storage.advance("hourly", b"four", b"", [])
        for mailbox in (mine, yours):
            await mailbox.expect(ScheduleChanged("daily"), ScheduleChanged("hourly"))
        assert await storage.advance("daily", b"one", b"", [])
        for mailbox in (mine, yours):
            await mailbox.expect(ScheduleChanged("daily"))


async def check_the_store_says_what_time_it_is(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        before = harness.now_ms()
        assert before - 60_000 < await storage.now_ms() < harness.now_ms() + 60_000


CHECKS = (
    check_a_schedule_keeps_its_state,
    check_a_schedule_may_have_any_name,
    check_a_state_that_was_not_seen_is_left_alone,
    check_a_step_keeps_its_tasks,
    check_a_step_may_be_repeated,
    check_a_step_keeps_no_task_that_is_known,
    check_a_step_fires_many_tasks,
    check_only_one_of_many_steps_from_a_state_is_made,
    check_a_step_wakes_waiting_pulls,
    check_a_step_that_fires_nothing_is_announced,
    check_the_store_says_what_time_it_is,
)
