"""Each tick is fired once, by whatever is left of a fleet."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from aqueue import every

from .rig import task_of, until

if TYPE_CHECKING:
    from .rig import Rig


def ticks(rig: Rig) -> set[int]:
    """The ticks whose tasks were started, by second."""
    return {int(task_id.removeprefix("beat@")) // 1000 for task_id in rig.ledger.starts()}


async def test_each_tick_is_fired_once_however_often_workers_are_killed_and_restarted(rig: Rig) -> None:
    random = Random(5)
    fleet = [rig.start_worker() for _ in range(3)]
    await rig.up(*fleet)
    call = task_of(rig.huey, "quick").s()
    await rig.huey.schedules.add("beat", every(seconds=1), call, misfire="all", overlap="parallel")
    for round_ in range(4):
        await another_tick(rig)
        # In the last round nobody is left for a moment, and the first to come makes up for what was missed.
        for position in range(3) if round_ == 3 else [random.randrange(3)]:
            if round_ % 2:
                fleet[position].kill()
            else:
                await rig.up(fleet[position])
                await rig.stop(fleet[position])
            fleet[position] = rig.start_worker()
    await rig.up(*fleet)
    [beat] = await rig.huey.schedules.list()
    assert beat.next is not None
    last = int(beat.next.timestamp())
    await until(lambda: last in ticks(rig), "a tick of the new fleet")
    assert await rig.huey.schedules.remove("beat")
    await until(lambda: drained(rig), "all runs ended")
    await rig.stop(*fleet)
    found = sorted(ticks(rig))
    assert found == list(range(found[0], found[-1] + 1))
    # This also looks for a tick that was fired twice: it would begin again with the fence of a new task.
    await rig.check_drained()


async def another_tick(rig: Rig) -> None:
    seen = ticks(rig)
    await until(lambda: ticks(rig) > seen, "another tick")


async def drained(rig: Rig) -> bool:
    return not sum([await rig.count(where) for where in ("ready", "running", "scheduled")])
