"""Schedules at run time: list them, pause and resume them, run, add and remove them.

The store replaces the state of a schedule only if the caller names the state that it replaces. So each change reads the
state, and reads it again if another process was faster. The store notifies the workers about each change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..client.results import Result
from ..core.ids import new_task_id
from ..exceptions import DecodeError
from ..tasks.schedule import Policy, Schedule, ScheduleState, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..client.loops import ClientPerLoop
    from ..core.codec import Codec
    from ..core.message import Envelope
    from ..storage.protocol import Advance, Storage
    from ..tasks.cron import When
    from ..tasks.options import Span
    from ..tasks.outbox import Outbox
    from ..tasks.registry import Registry
    from ..tasks.schedule import Misfire, Overlap
    from ..tasks.task import Call


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """One schedule.

    `when` is the text as it was written, and `tz` names its time zone, ``"local"`` for that of the workers' machines.
    `last` is the instant of its last run, `next` that of its next tick, both in UTC; None if there is none, or if a
    function decides.
    """

    name: str
    when: str
    tz: str = ""
    task: str = ""
    paused: bool = False
    last: datetime | None = None
    next: datetime | None = None


class Schedules:
    """``huey.schedules``: schedules declared with ``@huey.periodic_task``, and schedules added at run time."""

    def __init__(self, clients: ClientPerLoop, codec: Codec, registry: Registry, outbox: Outbox) -> None:
        self._clients = clients
        self._codec = codec
        self._registry = registry
        self._outbox = outbox

    async def list(self) -> Sequence[ScheduleInfo]:
        """All schedules, sorted by name, including those that this application does not know."""
        kept = await (await self._clients.storage()).schedules()
        names = sorted({*self._registry.schedules, *kept})
        return [self._info(name, kept.get(name, b"")) for name in names]

    async def pause(self, name: str) -> None:
        """Enqueue nothing for this schedule until ``resume``.

        Raises:
            ValueError: there is no such schedule.
        """
        await self._change(name, lambda state: self._known(name, state)._replace(paused=True))

    async def resume(self, name: str) -> None:
        """End a pause. The ticks that were missed during the pause are not made up for.

        Raises:
            ValueError: there is no such schedule.
        """

        def resumed(state: ScheduleState | None) -> ScheduleState:
            known = self._known(name, state)
            return known._replace(paused=False, after_ms=self._clients.clock.now_ms()) if known.paused else known

        await self._change(name, resumed)

    async def run(self, name: str) -> Result[Any]:
        """Enqueue its task now, in addition to its ticks, even if the schedule is paused or its task runs.

        Raises:
            ValueError: there is no such schedule, or its task is not known here.
            CancelExecution: a pre-enqueue handler refuses the task.
        """
        storage, task_id = await self._clients.storage(), new_task_id()
        state, seen = await self._seen(storage, name)
        schedule = self._registry.schedule(name, self._known(name, state))
        if schedule is None:
            raise ValueError(f"the task of the schedule {name!r} is not known here")
        call = schedule.run(task_id)
        task, envelope = await self._outbox.prepare(call)
        while True:
            ran = self._known(name, state)._replace(last_ms=self._clients.clock.now_ms(), last_id=task_id)
            if await self._advance(storage, name, seen, ran, [envelope]):
                break
            state, seen = await self._seen(storage, name)
        await self._outbox.announce(task, call)
        await self._outbox.run_created([task_id])
        return Result(task_id, self._outbox.source, created=False)

    async def add(
        self,
        name: str,
        when: When,
        call: Call[Any],
        *,
        misfire: Misfire = "latest",
        window: Span | None = None,
        overlap: Overlap = "skip",
        jitter: Span = 0,
    ) -> None:
        """Store a schedule; every worker that knows the task of `call` serves it.

        `when` is a ``crontab``, a ``cron`` or an ``every``, `call` is made with ``task.s(...)``, and the rest is that
        of ``@huey.periodic_task``. Adding the same schedule again changes nothing, so an application may do it each
        time it starts; adding another one under a known name replaces that one, from now on.

        Raises:
            TypeError, ValueError: an argument is out of range, `when` is a function, or the code declares the name.
            EncodeError: an argument of the call cannot be encoded.
        """
        policy = Policy(misfire=misfire, window=window, overlap=overlap, jitter=jitter)
        described = Schedule(name, when, call, policy).described()
        if name in self._registry.schedules:
            raise ValueError(f"{name!r} is a periodic task that the code declares: add it under another name")
        if self._registry.get(call.task.name) is None:
            raise ValueError(f"{call.task!r} is not a task of this application")

        def added(state: ScheduleState | None) -> ScheduleState:
            now_ms = self._clients.clock.now_ms()
            if state is None:
                return ScheduleState(now_ms, added=described)
            return state if state.added == described else state._replace(after_ms=now_ms, added=described)

        await self._change(name, added)

    async def remove(self, name: str) -> bool:
        """Delete an added schedule, or one that the code no longer declares; False if there is none.

        Raises:
            ValueError: the code declares this schedule.
        """
        if name in self._registry.schedules:
            raise ValueError(f"{name!r} is a periodic task that the code declares: pause it")
        storage = await self._clients.storage()
        while seen := (await storage.schedules()).get(name):
            if await storage.advance(name, seen, b"", []):
                return True
        return False

    async def _seen(self, storage: Storage, name: str) -> tuple[ScheduleState | None, bytes]:
        seen = (await storage.schedules()).get(name, b"")
        return decoded(name, seen, self._codec), seen

    async def _advance(
        self, storage: Storage, name: str, seen: bytes, state: ScheduleState, envelopes: Sequence[Envelope]
    ) -> Advance:
        return await storage.advance(name, seen, state.encoded(name, self._codec), envelopes)

    async def _change(self, name: str, change: Callable[[ScheduleState | None], ScheduleState]) -> None:
        storage = await self._clients.storage()
        while True:
            state, seen = await self._seen(storage, name)
            if await self._advance(storage, name, seen, change(state), []):
                return

    def _known(self, name: str, state: ScheduleState | None) -> ScheduleState:
        """The state of a schedule, which may not have been served yet."""
        if state is None and name not in self._registry.schedules:
            raise ValueError(f"there is no schedule {name!r}: huey.schedules.list() shows which there are")
        return state or ScheduleState(self._clients.clock.now_ms())

    def _info(self, name: str, kept: bytes) -> ScheduleInfo:
        try:
            state = decoded(name, kept, self._codec)
            schedule = self._registry.schedule(name, state)
        except (DecodeError, KeyError, TypeError, ValueError):
            return ScheduleInfo(name, "not understood here")
        now_ms = self._clients.clock.now_ms()
        state = state or ScheduleState(now_ms)
        last = _instant(state.last_ms or None)
        if schedule is None:
            return ScheduleInfo(name, "not known here", paused=state.paused, last=last)
        knows = schedule.asked is None and not state.paused
        next_ms = schedule.when.next_after(max(state.after_ms, now_ms)) if knows else None
        task = schedule.call.task.name
        return ScheduleInfo(name, schedule.text, schedule.tz, task, state.paused, last, _instant(next_ms))


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
