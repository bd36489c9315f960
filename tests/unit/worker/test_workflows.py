"""Random workflows, run by workers that die between any two calls of the store: all of it comes to its end, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import (
    SKIPPED,
    CancelExecution,
    Error,
    MemoryHuey,
    RedisHuey,
    SqliteHuey,
    State,
    TaskException,
    TaskRun,
    chord,
    group,
)
from aqueue.core.clock import SystemClock
from aqueue.core.ids import new_token
from aqueue.core.lifecycle import TRIGGERING
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.redis.store import RedisStorage
from aqueue.storage.sqlite.store import SqliteStorage
from aqueue.tasks.workflow.graph import plan_of
from aqueue.tasks.workflow.inputs import Passing
from aqueue.testing import ManualClock
from aqueue.worker.options import WorkerOptions

from ...crash.outside import leftovers
from .mortal import KEEP_MS, Fate, Mishap, MortalStorage, live_and_die

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aqueue import Huey
    from aqueue.core.clock import Clock
    from aqueue.storage.protocol import Storage
    from aqueue.tasks.workflow.graph import Plan, PlannedNode

LEASE_SECONDS = 60.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
OPTIONS = WorkerOptions(lease=LEASE_SECONDS, concurrency=4, max_crashes=1000)


class Play:
    """One random workflow, with a fate for each of its tasks.

    Some of them are `revoked`, and some `cancelled` before anything runs; the `unlucky` ones are cancelled meanwhile.
    """

    def __init__(self, huey: Huey, random: Random) -> None:
        self._random = random
        self._fates: dict[str, State] = {}
        self.arguments: dict[str, tuple[Any, ...]] = {}

        @huey.task(name="act", context=True, retries=2)
        async def act(*args: Any, task: TaskRun) -> str:
            return self._act(task)

        self._task = act
        self.plan: Plan[Any] = plan_of(group([self._some(3) for _ in range(random.randint(1, 4))]))
        ids = [node.id for node in self.plan.nodes]
        self.revoked, self.cancelled, self.unlucky = (self._some_of(ids) for _ in range(3))
        for node in self.plan.nodes:
            self._fates[node.id] = self._fate_of(node)

    def _some_of(self, ids: list[str]) -> list[str]:
        return [task_id for task_id in ids if self._random.random() < 0.04]

    def _fate_of(self, node: PlannedNode) -> State:
        if node.id in self.revoked or node.id in self.cancelled:
            return State.CANCELLED
        if node.call.options.expires is not None:
            return State.EXPIRED
        return self._random.choice((State.DONE, State.DONE, State.DONE, State.DONE, State.FAILED, State.CANCELLED))

    def _act(self, task: TaskRun) -> str:
        self.arguments[task.id] = task.args
        fate = self._fates[task.id]
        if fate is State.FAILED or (fate is State.DONE and task.attempt == 1 and task.id[-1] in "02468"):
            raise ValueError(task.id)
        if fate is State.CANCELLED:
            raise CancelExecution(retry=False)
        return task.id

    def _some(self, depth: int) -> Any:
        """A random part of a workflow."""
        kind = self._random.choice(("call", "pipeline", "chord", "after")) if depth else "call"
        if kind == "pipeline":
            part = self._some(0)
            for _ in range(self._random.randint(1, 3)):
                part = part.then(self._options(), "own")
        elif kind == "chord":
            members = [self._some(depth - 1) for _ in range(self._random.randint(0, 4))]
            policy = self._random.choice(("collect", "ignore", "fail_fast"))
            part = chord(members, self._options(), on_failure=policy)  # type: ignore[arg-type]
        elif kind == "after":
            shared = self._some(depth - 1)
            sides = [self._options().after(shared).s() for _ in range(2)]
            part = self._options().after(*sides, shared, on_failure=self._random.choice(("fail_fast", "collect"))).s()  # type: ignore[arg-type]
        else:
            part = self._options().s("own")
        return part.error(self._options(), "handler") if self._random.random() < 0.3 else part

    def _options(self) -> Any:
        when = self._random.choice(({}, {}, {}, {"delay": 0.01}, {"delay": 0.01}, {"expires": LONG_AGO}))
        return self._task.options(priority=self._random.choice((0, 0, 5)), **when)

    # -- what must have come of it

    def check(self, ends: dict[str, State], verdicts: Counter[str]) -> None:
        """Each task has ended as it had to, after those before it, with what these gave it, and by one verdict."""
        for node in sorted(self.plan.nodes, key=self._depth):
            assert ends[node.id] in self._expected(node, ends), node.join
            if node.id in self.arguments:
                assert self.arguments[node.id] == (*node.call.args, *self._inputs(node, ends)), node.join
        assert not self.arguments.keys() & {*self.revoked, *self.cancelled}
        assert set(verdicts.values()) <= {1}
        ended_by_workers = {task_id for task_id, end in ends.items() if end is not State.CANCELLED}
        assert ended_by_workers | (self.arguments.keys() - {*self.unlucky}) <= verdicts.keys()

    def _expected(self, node: PlannedNode, ends: dict[str, State]) -> set[State]:
        starts = all(ends[before.id] in TRIGGERING[node.join.trigger] for before in node.join.before)
        expected = {self._fates[node.id] if starts else State.CANCELLED}
        return expected | {State.CANCELLED} if node.id in self.unlucky else expected

    def _depth(self, node: PlannedNode) -> int:
        return 1 + max(map(self._depth, node.join.before), default=0)

    def _inputs(self, node: PlannedNode, ends: dict[str, State]) -> tuple[Any, ...]:
        inputs = [self._input(before, ends[before.id]) for before in node.join.before]
        if node.join.drops:
            inputs = [each for each in inputs if isinstance(each, str)]
        if node.join.passing is Passing.ERROR:
            return tuple(Anything(TaskException) for _ in inputs)
        return (inputs,) if node.join.passing is Passing.LIST else tuple(inputs)

    def _input(self, node: PlannedNode, end: State) -> Any:
        if end is State.CANCELLED and node.id not in self.arguments:
            # It did not run: what counts is how the one ended for whose sake.
            return Anything(Error, type(SKIPPED))
        return {State.DONE: node.id, State.FAILED: Anything(Error)}.get(end, SKIPPED)


class Anything:
    """Equal to whatever is of one of `kinds`."""

    def __init__(self, *kinds: type) -> None:
        self._kinds = kinds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self._kinds)

    __hash__ = None  # type: ignore[assignment]


class Ready:
    """A workflow that was planned already."""

    def __init__(self, plan: Plan[Any]) -> None:
        self._planned = plan

    def _plan(self) -> Plan[Any]:
        return self._planned


class Stage:
    """Where a play is given: an application, a line to its store for each worker, and the time there."""

    def __init__(self, huey: Huey, make: Callable[[], Storage], clock: Clock, options: WorkerOptions = OPTIONS) -> None:
        self.huey = huey
        self._make = make
        self._clock = clock
        self._options = options
        self._chance = Random()
        self._unlucky: list[str] = []

    async def give(self, seed: int) -> None:
        """Enqueue a random workflow, and let workers live and die until every handle of it resolves."""
        random = self._chance = Random(seed)
        play, verdicts = Play(self.huey, random), Counter[str]()
        self._unlucky = [*play.unlucky]
        async with self.huey:
            await self.huey._parts.outbox.send_workflow(Ready(play.plan))
            for task_id in play.revoked:
                await self.huey.revoke(task_id)
            for task_id in play.cancelled:
                await self.huey.cancel(task_id)
            results = [self.huey.result(node.id).get() for node in play.plan.nodes]
            handles = asyncio.gather(*results, return_exceptions=True)
            for lives_left in range(4, -1, -1):
                await self._live(self._fates(random) if lives_left else [], verdicts, handles)
            ends = await handles
            states = {node.id: await self.huey.result(node.id).status() for node in play.plan.nodes}
        assert [end for end in ends if not isinstance(end, (str, TaskException))] == []
        play.check(states, verdicts)

    def _fates(self, random: Random) -> list[Fate]:
        return [Fate(random.randint(1, 15), random.choice(list(Mishap))) for _ in range(random.randint(1, 2))]

    async def _live(self, fates: list[Fate], verdicts: Counter[str], handles: asyncio.Future[Any]) -> None:
        storage = self._make()
        await storage.open()
        mortal = MortalStorage(storage, fates, verdicts)
        work = asyncio.create_task(live_and_die(self.huey, mortal, self._clock, self._options))
        async with asyncio.timeout(60):
            while not work.done() and not handles.done():
                await self._let_time_pass()
        if work.done():
            work.result()
        work.cancel()
        await asyncio.wait([work])
        await mortal.last_words()
        if not isinstance(storage, MemoryStorage):
            await storage.close()

    async def _let_time_pass(self) -> None:
        if self._unlucky and self._chance.random() < 0.05:
            await self.huey.cancel(self._unlucky.pop())
        # A store that is not in this process needs time of the world outside.
        for _ in range(20):
            await asyncio.sleep(0 if isinstance(self.huey, MemoryHuey) else 0.0005)
        if isinstance(self._clock, ManualClock):
            self._clock.advance(LEASE_SECONDS / 10)


@pytest.mark.parametrize("seed", range(150))
async def test_a_workflow_in_memory_outlives_its_workers(seed: int) -> None:
    huey, clock = MemoryHuey("shop"), ManualClock()
    storage = huey._first_storage = MemoryStorage("shop", clock)
    await Stage(huey, lambda: storage, clock).give(seed)
    assert (len(storage._nodes), storage._lent, dict(storage._ready), storage._scheduled) == (0, {}, {}, [])
    clock.advance(KEEP_MS / 1000)
    await storage.records([])
    assert storage._tasks == {}
    assert not storage._revocations


@pytest.mark.parametrize("seed", range(10))
async def test_a_workflow_in_a_file_outlives_its_workers(seed: int, tmp_path: Path) -> None:
    file, clock = tmp_path / "shop.db", ManualClock()
    huey = SqliteHuey("shop", filename=file)

    def make() -> SqliteStorage:
        return SqliteStorage(f"sqlite:///{file}", "shop", clock)

    huey._first_storage = make()
    await Stage(huey, make, clock).give(seed)
    assert leftovers(huey._url, "shop") == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_workflow_on_a_server_outlives_its_workers(
    seed: int, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.worker.options.SHORTEST_LEASE_SECONDS", 0.1)
    options = WorkerOptions(lease=0.4, concurrency=4, max_crashes=1000)
    huey = RedisHuey(f"test-{new_token()}", redis_url)

    def make() -> RedisStorage:
        return RedisStorage(redis_url, huey.name)

    await Stage(huey, make, SystemClock(), options).give(seed)
    assert leftovers(redis_url, huey.name) == []
