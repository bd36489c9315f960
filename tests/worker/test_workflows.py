"""Random workflows, run by workers that die between any two calls of the store: all of it comes to its end, once."""

from __future__ import annotations

import asyncio
from collections import Counter
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
from aqueue.clock import SystemClock
from aqueue.ids import new_token
from aqueue.lifecycle import TRIGGERING
from aqueue.storage.memory import MemoryStorage
from aqueue.storage.redis.store import RedisStorage
from aqueue.storage.sqlite.store import SqliteStorage
from aqueue.testing import ManualClock
from aqueue.worker.options import WorkerOptions
from aqueue.workflow.graph import plan_of
from aqueue.workflow.inputs import Passing

from ..crash.leftovers import leftovers
from .mortal import KEEP_MS, Fate, Mishap, MortalStorage, live_and_die

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aqueue import Huey
    from aqueue.clock import Clock
    from aqueue.storage.protocol import Storage
    from aqueue.workflow.graph import Plan, PlannedNode

LEASE_SECONDS = 60.0
OPTIONS = WorkerOptions(lease=LEASE_SECONDS, concurrency=4, max_crashes=1000)


class Play:
    """One random workflow, with a fate for each of its tasks."""

    def __init__(self, huey: Huey, random: Random) -> None:
        self._random = random
        self._fates: dict[str, State] = {}
        self._runs: Counter[str] = Counter()
        self.arguments: dict[str, tuple[Any, ...]] = {}

        @huey.task(name="act", context=True, retries=2)
        async def act(*args: Any, task: TaskRun) -> str:
            return self._act(task)

        self._task = act
        self.plan: Plan[Any] = plan_of(group([self._some(3) for _ in range(random.randint(1, 4))]))
        for node in self.plan.nodes:
            self._fates[node.id] = random.choice((State.DONE, State.DONE, State.DONE, State.FAILED, State.CANCELLED))

    def _act(self, task: TaskRun) -> str:
        self.arguments[task.id] = task.args
        self._runs[task.id] += 1
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
        return self._task.options(
            delay=self._random.choice((None, None, 0.01)), priority=self._random.choice((0, 0, 5))
        )

    # -- what must have come of it

    def expected(self) -> dict[str, State]:
        """How each task must have ended."""
        ends: dict[str, State] = {}
        for node in sorted(self.plan.nodes, key=self._depth):
            states = {ends[before.id] for before in node.join.before}
            starts = states <= TRIGGERING[node.join.trigger]
            ends[node.id] = self._fates[node.id] if starts else State.CANCELLED
        return ends

    def _depth(self, node: PlannedNode) -> int:
        return 1 + max(map(self._depth, node.join.before), default=0)

    def check_arguments(self) -> None:
        """Whatever ran got what it had to get from those before it."""
        for node in self.plan.nodes:
            if node.id in self.arguments:
                assert self.arguments[node.id] == (*node.call.args, *self._inputs(node)), node.join

    def _inputs(self, node: PlannedNode) -> tuple[Any, ...]:
        inputs = [self._input(before) for before in node.join.before]
        if node.join.drops:
            inputs = [each for each in inputs if isinstance(each, str)]
        if node.join.passing is Passing.ERROR:
            return tuple(Anything(TaskException) for _ in inputs)
        return (inputs,) if node.join.passing is Passing.LIST else tuple(inputs)

    def _input(self, node: PlannedNode) -> Any:
        if node.id in self.arguments:
            return {State.DONE: node.id, State.FAILED: Anything(Error), State.CANCELLED: SKIPPED}[self._fates[node.id]]
        # It did not run: what counts is how the one ended for whose sake.
        return Anything(Error, type(SKIPPED))


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
        self._plan = plan

    def plan(self) -> Plan[Any]:
        return self._plan


class Stage:
    """Where a play is given: an application, a line to its store for each worker, and the time there."""

    def __init__(self, huey: Huey, make: Callable[[], Storage], clock: Clock, options: WorkerOptions = OPTIONS) -> None:
        self.huey = huey
        self._make = make
        self._clock = clock
        self._options = options

    async def give(self, seed: int) -> None:
        """Enqueue a random workflow, and let workers live and die until every handle of it resolves."""
        random = Random(seed)
        play, verdicts = Play(self.huey, random), Counter[str]()
        async with self.huey:
            await self.huey.enqueue_workflow(Ready(play.plan))
            results = [self.huey.result(node.id).get() for node in play.plan.nodes]
            handles = asyncio.gather(*results, return_exceptions=True)
            for lives_left in range(4, -1, -1):
                await self._live(self._fates(random) if lives_left else [], verdicts, handles)
            ends = await handles
            states = {node.id: await self.huey.result(node.id).status() for node in play.plan.nodes}
        assert [end for end in ends if not isinstance(end, (str, TaskException))] == []
        assert states == play.expected()
        assert verdicts == Counter(play.arguments.keys())
        play.check_arguments()

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
        work.cancel()
        await asyncio.wait([work])
        if not isinstance(storage, MemoryStorage):
            await storage.close()

    async def _let_time_pass(self) -> None:
        # A store that is not in this process needs time of the world outside.
        for _ in range(20):
            await asyncio.sleep(0 if isinstance(self.huey, MemoryHuey) else 0.0005)
        if isinstance(self._clock, ManualClock):
            self._clock.advance(LEASE_SECONDS / 10)


@pytest.mark.parametrize("seed", range(150))
async def test_a_workflow_in_memory_outlives_its_workers(seed: int) -> None:
    huey, clock = MemoryHuey("shop"), ManualClock()
    storage = huey._first_storage = MemoryStorage("shop", OPTIONS.lease_ms, clock)
    await Stage(huey, lambda: storage, clock).give(seed)
    assert (len(storage._joins), storage._lent, dict(storage._ready), storage._scheduled) == (0, {}, {}, [])
    clock.advance(KEEP_MS / 1000)
    await storage.records([])
    assert storage._tasks == {}


@pytest.mark.parametrize("seed", range(10))
async def test_a_workflow_in_a_file_outlives_its_workers(seed: int, tmp_path: Path) -> None:
    file, clock = tmp_path / "shop.db", ManualClock()
    huey = SqliteHuey("shop", filename=file)

    def make() -> SqliteStorage:
        return SqliteStorage(f"sqlite:///{file}", "shop", OPTIONS.lease_ms, clock)

    huey._first_storage = make()
    await Stage(huey, make, clock).give(seed)
    assert leftovers(huey.url, "shop") == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_workflow_on_a_server_outlives_its_workers(
    seed: int, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aqueue.worker.options.SHORTEST_LEASE_SECONDS", 0.1)
    options = WorkerOptions(lease=0.4, concurrency=4, max_crashes=1000)
    huey = RedisHuey(f"test-{new_token()}", redis_url)

    def make() -> RedisStorage:
        return RedisStorage(redis_url, huey.name, options.lease_ms)

    await Stage(huey, make, SystemClock(), options).give(seed)
    assert leftovers(redis_url, huey.name) == []
