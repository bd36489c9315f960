"""Random histories, and the promises that must hold in each of them.

A seeded adversary pushes, pulls, settles, reports, renews, adopts, cancels, pauses and retries in any order and in
mixed batches, on behalf of every consumer that ever held a delivery, repeatedly and late. Leases expire in between.
A ledger records who owns which task, and predicts every answer of the store. So if the store accepts a settlement from
anyone but the owner, the check fails at once, not only when the damage shows.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

from ...core.lifecycle import BURIED, VERDICTS, State
from ...core.message import Envelope
from ...storage.protocol import Record
from .harness import KEEP_MS, Harness, opened, put_back, verdict

if TYPE_CHECKING:
    from ...core.lifecycle import Settlement
    from ...core.message import Delivery, Receipt
    from ...storage.protocol import Intake, Storage

# Short enough that leases expire all the time, long enough that renewals matter.
_LEASES_MS = {"c0": 25, "c1": 25, "c2": 60}
_STEPS = 150
_TASKS = 12
_CONSUMERS = tuple(_LEASES_MS)
_QUEUES = ("a", "b")


async def check_an_adversary_breaks_no_promise(harness: Harness) -> None:
    for seed in range(3):
        await simulate(harness, seed)


async def simulate(harness: Harness, seed: int) -> None:
    """Play the history of `seed` and assert that every promise holds. With a manual clock the history is reproducible.

    No task is lost. Each task gets exactly one verdict, and keeps it with its result. Its fence grows with every
    delivery. The store accepts calls for a delivery only from its current owner. A renewal never changes the owner.
    """
    async with opened(harness.make()) as storage:
        adversary = _Adversary(harness, storage, Random(seed))
        for _ in range(_STEPS):
            await adversary.move()
        await adversary.finish()


class _Ledger:
    """The expected contents of the store, derived from its answers so far."""

    def __init__(self) -> None:
        self.pushed: dict[str, bytes] = {}
        self.queues: dict[str, str] = {}
        self.paused: set[str] = set()
        self.letters: set[str] = set()
        self.owned: dict[str, Receipt] = {}
        self.ended: dict[str, Record] = {}
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.fences: defaultdict[str, int] = defaultdict(int)
        self.retrying: set[str] = set()
        self.to_cancel: set[str] = set()
        self.progress: dict[str, bytes] = {}
        # All deliveries so far, because a past owner may come back at any time.
        self.deliveries: list[Delivery] = []

    def push(self, envelope: Envelope) -> bool:
        """Whether the store must keep `envelope`."""
        if envelope.id in self.pushed:
            return False
        self.pushed[envelope.id] = envelope.payload
        self.queues[envelope.id] = envelope.queue
        return True

    def lend(self, consumer: str, delivery: Delivery) -> None:
        """Record `delivery`, and check that the store was allowed to hand it out."""
        assert delivery.id not in self.ended, "an ended task was delivered again"
        assert self.queues[delivery.id] not in self.paused, "a task of a paused queue was handed out"
        assert delivery.payload == self.pushed[delivery.id]
        assert delivery.failures == self.failures[delivery.id]
        assert delivery.fence > self.fences[delivery.id], "the fence did not grow"
        assert delivery.receipt.consumer == consumer
        assert delivery.may_be_revoked == bool(self.to_cancel)
        self.fences[delivery.id] = delivery.fence
        self.owned[delivery.id] = delivery.receipt
        self.progress.pop(delivery.id, None)
        self.deliveries.append(delivery)

    def holds(self, delivery: Delivery) -> bool:
        return self.owned.get(delivery.id) == delivery.receipt

    def settle(self, settlement: Settlement) -> bool:
        """Whether the store must accept `settlement`."""
        if self.owned.get(settlement.id) != settlement.receipt:
            return False
        del self.owned[settlement.id]
        self.progress.pop(settlement.id, None)
        if settlement.state in VERDICTS:
            self.ended[settlement.id] = Record(settlement.state, settlement.result)
            self.to_cancel.discard(settlement.id)
            (self.letters.add if settlement.dead_ttl_ms else self.letters.discard)(settlement.id)
        else:
            self.failures[settlement.id] = settlement.failures
            (self.retrying.add if settlement.state is State.RETRYING else self.retrying.discard)(settlement.id)
        return True

    def cancel(self, task_id: str, result: bytes) -> bool:
        """Whether cancelling the task must have an effect."""
        if task_id not in self.pushed or task_id in self.ended:
            return False
        if task_id in self.owned:
            self.to_cancel.add(task_id)
        else:
            self.ended[task_id] = Record(State.CANCELLED, result)
            self.to_cancel.discard(task_id)
        return True

    def retry(self, task_id: str) -> bool:
        """Whether a retry must put the task back in line."""
        if task_id not in self.letters:
            return False
        self.letters.discard(task_id)
        del self.ended[task_id]
        self.failures[task_id] = 0
        self.retrying.discard(task_id)
        return True

    def states(self, task_id: str) -> frozenset[State | None]:
        """The states that the record of the task may have."""
        if task_id not in self.pushed:
            return frozenset({None})
        if task_id in self.ended:
            return frozenset({self.ended[task_id].state})
        if task_id in self.owned:
            return frozenset({State.RUNNING})
        return frozenset({State.RETRYING} if task_id in self.retrying else {State.QUEUED, State.SCHEDULED})


class _Adversary:
    """Makes the moves, and compares each answer with the ledger."""

    def __init__(self, harness: Harness, storage: Storage, random: Random) -> None:
        self._harness = harness
        self._storage = storage
        self._random = random
        self._ledger = _Ledger()
        self._results = 0
        self._intakes: dict[tuple[str, tuple[str, ...]], Intake] = {}

    async def move(self) -> None:
        moves = {
            self._push: 3,
            self._pull: 6,
            self._settle: 6,
            self._renew: 4,
            self._report: 2,
            self._adopt: 1,
            self._cancel: 1,
            self._retry: 1,
            self._pause_or_resume: 1,
            self._examine: 1,
            self._promote: 3,
            self._let_leases_run_out: 2,
            self._look: 2,
        }
        [chosen] = self._random.choices(list(moves), list(moves.values()))
        await chosen()

    async def finish(self) -> None:
        """Run all remaining tasks without tricks, and check that each gets its verdict."""
        for queue in sorted(self._ledger.paused):
            assert await self._storage.admin.resume(queue)
        self._ledger.paused.clear()
        await self._push_these([Envelope(f"t{number}", b"payload %d" % number, _QUEUES[0]) for number in range(_TASKS)])
        for _ in range(500):
            await self._storage.promote(100)
            await self._pull()
            await self._reclaim()
            honest = [delivery for delivery in self._ledger.deliveries if self._ledger.holds(delivery)]
            await self._settle_these([verdict(delivery, self._new_result()) for delivery in honest])
            if len(self._ledger.ended) == _TASKS:
                break
            await self._harness.advance(_LEASES_MS["c0"] // 4)
        assert set(self._ledger.ended) == set(self._ledger.pushed), "a task was lost"
        await self._look()
        await self._examine()
        await self._settle_these([verdict(delivery, b"late") for delivery in self._ledger.deliveries])
        await self._look()
        assert await self._intake("c0", _QUEUES).pull(100, 0) == []
        assert await self._storage.promote(100) == (0, None)
        for consumer in _CONSUMERS:
            assert await self._intake(consumer, _QUEUES).adopt([]) == []

    # -- moves

    async def _push(self) -> None:
        numbers = self._random.sample(range(_TASKS), self._random.randrange(1, 6))
        envelopes = [
            Envelope(
                f"t{number}",
                b"payload %d" % number,
                self._random.choice(_QUEUES),
                self._random.choice((-1, 0, 5)),
                self._random.choice((0, 0, 0, 8)),
            )
            for number in numbers
        ]
        await self._push_these([*envelopes, *self._random.sample(envelopes, len(envelopes) // 2)])

    async def _push_these(self, envelopes: list[Envelope]) -> None:
        expected = [self._ledger.push(envelope) for envelope in envelopes]
        assert await self._storage.push(envelopes) == expected

    async def _pull(self) -> None:
        consumer, limit = self._random.choice(_CONSUMERS), self._random.randrange(1, 5)
        deliveries = await self._intake(consumer, self._some_queues()).pull(limit, 0)
        assert len(deliveries) <= limit
        for delivery in deliveries:
            assert delivery.id not in self._ledger.owned, "a task that is lent was pulled"
            self._ledger.lend(consumer, delivery)

    async def _settle(self) -> None:
        deliveries = self._some_deliveries()
        await self._settle_these([self._fate_of(delivery) for delivery in deliveries])

    async def _settle_these(self, settlements: list[Settlement]) -> None:
        expected = [self._ledger.settle(settlement) for settlement in settlements]
        assert await self._storage.settle(settlements) == expected, f"of {settlements}"

    async def _renew(self) -> None:
        consumer = self._random.choice(_CONSUMERS)
        mine = [delivery for delivery in self._ledger.deliveries if delivery.receipt.consumer == consumer]
        some = self._random.sample(mine, self._random.randint(0, len(mine)))
        with closing(self._intake(consumer, _QUEUES).lease_keeper()) as keeper:
            renewal = keeper.renew([delivery.receipt for delivery in some], b"")
        held = [delivery for delivery in some if self._ledger.holds(delivery)]
        assert set(renewal.lost) == {delivery.receipt for delivery in some} - {delivery.receipt for delivery in held}
        assert set(renewal.to_cancel) == {each.receipt for each in held if each.id in self._ledger.to_cancel}

    async def _report(self) -> None:
        for delivery in self._some_deliveries():
            progress = self._new_result()
            held = self._ledger.holds(delivery)
            assert await self._storage.report(delivery.receipt, delivery.id, progress, "") is held
            if held:
                self._ledger.progress[delivery.id] = progress

    async def _adopt(self) -> None:
        consumer = self._random.choice(_CONSUMERS)
        mine = {task_id: owner for task_id, owner in self._ledger.owned.items() if owner.consumer == consumer}
        held = self._random.sample(sorted(mine), self._random.randint(0, len(mine)))
        adopted = await self._intake(consumer, _QUEUES).adopt([mine[task_id] for task_id in held])
        paused = {task_id for task_id in mine if self._ledger.queues[task_id] in self._ledger.paused}
        assert {delivery.id for delivery in adopted} == set(mine) - set(held) - paused
        for delivery in adopted:
            if not self._ledger.holds(delivery):
                self._ledger.lend(consumer, delivery)

    async def _cancel(self) -> None:
        task_id, result = f"t{self._random.randrange(_TASKS)}", self._new_result()
        assert await self._storage.cancel(task_id, result, KEEP_MS, "") is self._ledger.cancel(task_id, result)
        marked = task_id in self._ledger.to_cancel
        assert await self._storage.revoked([(task_id, "")], True) == [marked]

    async def _retry(self) -> None:
        ids = [f"t{number}" for number in self._random.sample(range(_TASKS), 4)]
        expected = [self._ledger.retry(task_id) for task_id in ids]
        assert await self._storage.admin.retry([(task_id, None) for task_id in ids]) == expected

    async def _pause_or_resume(self) -> None:
        queue, admin = self._random.choice(_QUEUES), self._storage.admin
        if queue in self._ledger.paused:
            assert await admin.resume(queue)
        else:
            assert await admin.pause(queue)
        self._ledger.paused ^= {queue}

    async def _examine(self) -> None:
        steps = [step async for step in self._storage.admin.examine()]
        assert [finding for step in steps for finding in step.findings] == []
        assert sum(step.tasks for step in steps) == len(self._ledger.pushed)

    async def _promote(self) -> None:
        limit = self._random.randrange(1, 4)
        assert (await self._storage.promote(limit)).moved <= limit

    async def _let_leases_run_out(self) -> None:
        for _ in range(3):
            await self._reclaim()
            await self._harness.advance(_LEASES_MS["c2"] // 2)
        await self._reclaim()

    async def _reclaim(self) -> None:
        consumer, limit = self._random.choice(_CONSUMERS), self._random.randrange(1, 5)
        deliveries = await self._intake(consumer, self._some_queues()).reclaim(limit)
        assert len(deliveries) <= limit
        for delivery in deliveries:
            assert delivery.id in self._ledger.owned, "a task that nobody owned was taken over"
            self._ledger.lend(consumer, delivery)

    async def _look(self) -> None:
        ids = [f"t{number}" for number in range(_TASKS)]
        for task_id, record in zip(ids, await self._storage.records(ids), strict=True):
            state = record and record.state
            assert state in self._ledger.states(task_id), f"{task_id} is {state}"
            if record is not None and task_id in self._ledger.ended:
                assert record.result == self._ledger.ended[task_id].result
            if record is not None and task_id in self._ledger.progress:
                assert record.progress == self._ledger.progress[task_id]
        depths = await self._storage.depths()
        assert sum(depth.running for depth in depths) == len(self._ledger.owned)
        waiting = len(self._ledger.pushed) - len(self._ledger.ended) - len(self._ledger.owned)
        assert sum(depth.ready + depth.scheduled for depth in depths) == waiting, "a task is in no place, or in two"

    # -- random choices

    def _intake(self, consumer: str, queues: tuple[str, ...]) -> Intake:
        """The intake of `consumer` for `queues`, which stays open until the storage is closed."""
        if (consumer, queues) not in self._intakes:
            self._intakes[consumer, queues] = self._storage.open_intake(consumer, queues, _LEASES_MS[consumer])
        return self._intakes[consumer, queues]

    def _some_queues(self) -> tuple[str, ...]:
        return self._random.choice((("a",), ("b",), ("a", "b"), ("b", "a"), ("a", "b")))

    def _some_deliveries(self) -> list[Delivery]:
        """Some deliveries of current and past owners, each at most once: a storage may reorder a batch."""
        deliveries = self._ledger.deliveries
        recent = deliveries[-6:] * 2
        chosen = self._random.choices([*deliveries, *recent], k=self._random.randrange(1, 5)) if deliveries else []
        return list(dict.fromkeys(chosen))

    def _fate_of(self, delivery: Delivery) -> Settlement:
        if self._random.random() < 0.2:
            state = self._random.choice(sorted(VERDICTS))
            ending = verdict(delivery, self._new_result(), state=state)
            return ending._replace(dead_ttl_ms=KEEP_MS if state in BURIED else 0)
        state = self._random.choice((State.QUEUED, State.RETRYING, State.SCHEDULED))
        failures = delivery.failures + (state is State.RETRYING)
        return put_back(delivery, state, delay_ms=self._random.choice((0, 0, 8)), failures=failures)

    def _new_result(self) -> bytes:
        self._results += 1
        return b"result %d" % self._results


CHECKS = (check_an_adversary_breaks_no_promise,)
