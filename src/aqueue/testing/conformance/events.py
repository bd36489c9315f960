"""What a listening client hears: verdicts and progress of its tasks, and the due time of a task that is due first."""

from __future__ import annotations

from ...core.lifecycle import VERDICTS, State
from ...core.message import Envelope
from ...storage.protocol import Due, Progressed, Record, Settled
from .harness import (
    Harness,
    Mailbox,
    lend,
    listening,
    opened,
    pull,
    pull_one,
    put_back,
    take_over,
    verdict,
)

_HOUR_MS = 3_600_000


async def check_a_client_is_told_of_each_verdict(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        for state in sorted(VERDICTS):
            result = bytes(range(256)) + state.encode()
            await storage.settle([verdict(await lend(storage, state), result, state=state, reply="me")])
            await mailbox.expect(Settled(state, state, result))


async def check_only_the_named_client_is_told(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        listening(storage, "me") as mine,
        listening(storage, "you") as yours,
    ):
        deliveries = [await lend(storage, f"t{number}") for number in range(5)]
        replies = ["me", "", "you", "me", "nobody"]
        settlements = [verdict(item, b"r", reply=reply) for item, reply in zip(deliveries, replies, strict=True)]
        assert await storage.settle(settlements) == [True] * 5
        running = await lend(storage, "running")
        assert await storage.report(running.receipt, "running", b"1/2", "you")
        await mine.expect(Settled("t0", State.DONE, b"r"), Settled("t3", State.DONE, b"r"))
        await yours.expect(Settled("t2", State.DONE, b"r"), Progressed("running", b"1/2"))
        await storage.settle([verdict(running, b"last", reply="me")])
        await mine.expect(Settled("running", State.DONE, b"last"))


async def check_a_verdict_is_told_once(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        lost = await lend(storage, "task", consumer="one")
        taken = await take_over(harness, storage, "two")
        late, timely = verdict(lost, b"late", reply="me"), verdict(taken, b"timely", reply="me")
        assert await storage.settle([late, timely, late, timely]) == [False, True, False, False]
        assert await storage.settle([timely]) == [False]
        await storage.settle([verdict(await lend(storage, "next"), b"", reply="me")])
        await mailbox.expect(Settled("task", State.DONE, b"timely"), Settled("next", State.DONE, b""))


async def check_a_client_that_watches_is_told_too(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        listening(storage, "me") as mine,
        listening(storage, "you") as yours,
    ):
        await storage.push([Envelope("task", b""), Envelope("other", b"")])
        for _ in range(2):
            queued, unknown = await storage.records(["task", "nobody"], "you")
            assert (queued and queued.state, unknown) == (State.QUEUED, None)
        task, other = await pull(storage)
        assert await storage.report(task.receipt, "task", b"1/2", "me")
        await storage.settle([verdict(task, b"r", reply="me"), verdict(other, b"o", reply="me")])
        await mine.expect(
            Progressed("task", b"1/2"), Settled("task", State.DONE, b"r"), Settled("other", State.DONE, b"o")
        )
        await yours.expect(Progressed("task", b"1/2"), Settled("task", State.DONE, b"r"))
        assert await storage.records(["task"], "you") == [Record(State.DONE, b"r", b"1/2")]


async def check_a_watcher_of_a_retried_task_is_told_its_verdict(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "you") as mailbox:
        delivery = await lend(storage, "task")
        await storage.records(["task"], "you")
        await storage.settle([put_back(delivery, State.RETRYING, failures=1)])
        await storage.settle([verdict(await pull_one(storage), b"done", reply="you")])
        await mailbox.expect(Settled("task", State.DONE, b"done"))


async def check_a_put_back_is_not_told(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        delivery = await lend(storage, "task")
        await storage.settle([put_back(delivery, State.RETRYING, failures=1)._replace(reply="me")])
        await storage.settle([verdict(await pull_one(storage), b"done", reply="me")])
        await mailbox.expect(Settled("task", State.DONE, b"done"))


async def check_a_large_result_is_told_or_can_be_looked_up(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        result = bytes(range(256)) * 8192
        small, large = await lend(storage, "small"), await lend(storage, "large")
        await storage.settle([verdict(large, result, reply="me"), verdict(small, b"r", reply="me")])
        event = await mailbox.next()
        assert isinstance(event, Settled)
        assert (event.id, event.state) == ("large", State.DONE)
        assert event.result in (None, result)
        assert await storage.records(["large"]) == [Record(State.DONE, result)]
        await mailbox.expect(Settled("small", State.DONE, b"r"))


async def check_progress_is_kept_and_told(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        delivery = await lend(storage, "task")
        for progress in (b"", b"1/2", bytes(range(256))):
            assert await storage.report(delivery.receipt, "task", progress, "me")
            assert await storage.records(["task"]) == [Record(State.RUNNING, b"", progress)]
            await mailbox.expect(Progressed("task", progress))


async def check_progress_of_a_former_owner_is_not_told(harness: Harness) -> None:
    async with opened(harness.make()) as storage, listening(storage, "me") as mailbox:
        lost = await lend(storage, "task")
        taken = await take_over(harness, storage, "two")
        assert not await storage.report(lost.receipt, "task", b"late", "me")
        assert await storage.report(taken.receipt, "task", b"timely", "me")
        await mailbox.expect(Progressed("task", b"timely"))


async def check_a_task_that_is_due_first_is_announced(harness: Harness) -> None:
    async with (
        opened(harness.make()) as storage,
        listening(storage, "me") as mine,
        listening(storage, "you") as yours,
    ):
        delivery = await lend(storage, "running")
        await storage.push([Envelope("t6", b"", delay_ms=6 * _HOUR_MS)])
        await storage.push([Envelope("t9", b"", delay_ms=9 * _HOUR_MS)])
        await storage.push([Envelope("t4", b"", "other", 5, eta_ms=harness.now_ms() + 4 * _HOUR_MS)])
        await storage.push([Envelope("t5", b"", delay_ms=5 * _HOUR_MS)])
        await storage.settle([put_back(delivery, State.RETRYING, delay_ms=2 * _HOUR_MS)])
        await storage.push([Envelope("t1", b"", "third", delay_ms=_HOUR_MS)])
        for mailbox in (mine, yours):
            for hours in (6, 4, 2, 1):
                await _expect_due(mailbox, hours)


async def _expect_due(mailbox: Mailbox, hours: int) -> None:
    """Wait for the announcement of a task that is due in `hours` hours. Superfluous ones may come before it."""
    while True:
        event = await mailbox.next()
        assert isinstance(event, Due)
        if event.in_ms <= hours * _HOUR_MS:
            break
    assert event.in_ms > hours * _HOUR_MS - 60_000


async def check_a_client_can_listen_again(harness: Harness) -> None:
    async with opened(harness.make()) as storage:
        for number in range(3):
            async with listening(storage, "me") as mailbox:
                await storage.settle([verdict(await lend(storage, f"t{number}"), b"r", reply="me")])
                await mailbox.expect(Settled(f"t{number}", State.DONE, b"r"))
            # No client listens to this verdict, and the storage does not keep it for a later one.
            await storage.settle([verdict(await lend(storage, f"unheard-{number}"), b"r", reply="me")])


CHECKS = (
    check_a_client_is_told_of_each_verdict,
    check_only_the_named_client_is_told,
    check_a_verdict_is_told_once,
    check_a_client_that_watches_is_told_too,
    check_a_watcher_of_a_retried_task_is_told_its_verdict,
    check_a_put_back_is_not_told,
    check_a_large_result_is_told_or_can_be_looked_up,
    check_progress_is_kept_and_told,
    check_progress_of_a_former_owner_is_not_told,
    check_a_task_that_is_due_first_is_announced,
    check_a_client_can_listen_again,
)
