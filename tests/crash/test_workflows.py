"""Workflows whose workers are killed, whose replies are lost, and whose server is full."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import redis

from aqueue import QueueFull, TaskException, chord, group

from ..servers import SERVERS, start_server
from .proxy import FaultProxy
from .rig import Rig, task_of, until

if TYPE_CHECKING:
    from pathlib import Path

    from aqueue import ChordResult, Huey

MEMBERS = 20


def some_chord(huey: Huey, number: int) -> Any:
    """Pipelines, a chord and plain calls in a chord, whose callback returns what it got, and a stage behind it."""
    quick, flaky = task_of(huey, "quick"), task_of(huey, "flaky")
    members = [quick.s([number, n]).then(quick) for n in range(MEMBERS)]
    return chord([*members, chord([quick.s(1), quick.s(2)], quick), flaky.s(3)], quick).then(quick)


async def check(number: int, result: ChordResult[Any]) -> None:
    *values, inner, error = await result.pipeline_results[1].get(timeout=60)
    assert values == [[number, n] for n in range(MEMBERS)]
    assert inner == [1, 2]
    assert error.metadata["type"] == "ValueError"


async def test_workflows_outlive_workers_that_are_killed_at_any_moment(rig: Rig) -> None:
    random = Random(5)
    workers = [rig.start_worker(concurrency=20) for _ in range(3)]
    await rig.up(*workers)
    results = [await some_chord(rig.huey, number).enqueue() for number in range(10)]
    # There are 460 starts at least, however far the workers are when this looks.
    for worker, wanted in zip(workers, (random.randrange(20, 200), random.randrange(200, 400)), strict=False):
        await until(lambda wanted=wanted: len(rig.ledger.entries("start")) >= wanted, "tasks started")  # type: ignore[misc]
        worker.kill()
    for number, result in enumerate(results):
        await check(number, result)
    await rig.stop(workers[2])
    await rig.check_drained()


@pytest.mark.parametrize("fault", ["cut", "mute"])
async def test_a_verdict_whose_reply_is_lost_moves_its_workflow_on_once(
    redis_url: str, tmp_path: Path, fault: str
) -> None:
    rig, proxy = Rig(redis_url, tmp_path), FaultProxy(redis_url)
    await proxy.open()
    try:
        worker = rig.start_worker(url=proxy.url, concurrency=50)
        hold, quick = task_of(rig.huey, "hold"), task_of(rig.huey, "quick")
        # The server knows every script by then: the reply that is lost is not one that says that it does not.
        await (await quick.s(1).then(quick).enqueue()).get(timeout=30)
        results = await group([hold.s(rig.gate()).then(quick).then(quick) for _ in range(10)]).enqueue()
        waits = await chord([hold.s(rig.gate()) for _ in range(10)], quick).enqueue()
        await rig.started(waits.results)
        getattr(proxy, fault)("commands")
        rig.open(rig.gate())
        await until(lambda: proxy.faults >= 1, "replies lost")
        proxy.heal()
        assert await results.get(timeout=30) == [1] * 10
        assert await waits.get(timeout=30) == [1] * 10
        assert set(rig.ledger.starts().values()) == {1}
        await rig.stop(worker)
        await rig.check_drained()
    finally:
        await rig.close()
        await proxy.close()


async def test_a_full_server_finishes_the_workflows_that_it_has(tmp_path: Path) -> None:
    server = start_server(SERVERS[0])
    rig = Rig(server.url, tmp_path)
    try:
        worker = rig.start_worker(concurrency=20)
        hold, quick, flaky = (task_of(rig.huey, name) for name in ("hold", "quick", "flaky"))
        held = [hold.s(rig.gate()).then(quick.options(delay=0.1)).error(quick) for _ in range(10)]
        result = await chord([*held, flaky.s(2)], quick).enqueue()
        failed = await hold.s(rig.gate()).then(flaky, 3).then(quick).enqueue()
        await rig.started([failed[0]])
        with redis.Redis.from_url(server.url) as operator:
            operator.config_set("maxmemory-policy", "noeviction")
            operator.config_set("maxmemory", 1)
            before = operator.dbsize()
            with pytest.raises(QueueFull):
                await chord([quick.s()], quick).enqueue()
            with pytest.raises(QueueFull):
                await quick.options(delay=1).s().then(quick).enqueue()
            assert operator.dbsize() == before
        rig.open(rig.gate())
        assert await result.get(timeout=30) == [1] * 10 + [3]
        with pytest.raises(TaskException):
            await failed[2].get(timeout=30)
        await rig.stop(worker)
        await rig.check_drained()
    finally:
        await rig.close()
        server.remove()
