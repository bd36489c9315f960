"""Broken rules of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.storage.memory.events import Listeners
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.protocol import Advance, ScheduleChanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqueue.core.message import Envelope


class WhatWasSeenIsNotCompared(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name, self._schedules.get(name, b""), state, envelopes)


class ABeginningIsAlwaysAccepted(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name, seen or self._schedules.get(name, b""), state, envelopes)


class ARepeatedStepIsRefused(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        if self._schedules.get(name, b"") != seen:
            return Advance.REFUSED
        return await super().advance(name, seen, state, envelopes)


class ARepeatedStepFiresAgain(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        if self._schedules.get(name, b"") == state:
            await self.push(envelopes)
        return await super().advance(name, seen, state, envelopes)


class ARefusedStepFires(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        made = await super().advance(name, seen, state, envelopes)
        if not made:
            await self.push(envelopes)
        return made


class ARefusedStepIsCalledMade(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        await super().advance(name, seen, state, envelopes)
        return Advance.MADE


class ARepeatedStepIsCalledMade(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return Advance.MADE if await super().advance(name, seen, state, envelopes) else Advance.REFUSED


class AStepFiresNothing(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name, seen, state, [])


class AStepFiresTheFirstAlone(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name, seen, state, envelopes[:1])


class AStepFiresAtOnce(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        at_once = [envelope._replace(delay_ms=0, eta_ms=0) for envelope in envelopes]
        return await super().advance(name, seen, state, at_once)


class AStepFiresIntoOneQueue(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name, seen, state, [envelope._replace(queue="default") for envelope in envelopes])


class AStepForgetsItsState(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name, seen, seen if envelopes else state, envelopes)


class AStepReplacesAKnownTask(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        if self._schedules.get(name, b"") == seen:
            for envelope in envelopes:
                self._tasks.pop(envelope.id, None)
        return await super().advance(name, seen, state, envelopes)


class AScheduleIsNotForgotten(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name, seen, state or seen, envelopes)


class SchedulesShareAState(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        return await super().advance(name.lower(), seen, state, envelopes)


class NobodyIsToldOfASchedule(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        listeners, self._listeners = self._listeners, Listeners()
        try:
            return await super().advance(name, seen, state, envelopes)
        finally:
            self._listeners = listeners


class EveryStepIsTold(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        if envelopes:
            self._tell(None, ScheduleChanged(name))
        return await super().advance(name, seen, state, envelopes)


class NobodyIsToldOfAForgottenSchedule(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> Advance:
        listeners = self._listeners
        self._listeners = listeners if state else Listeners()
        try:
            return await super().advance(name, seen, state, envelopes)
        finally:
            self._listeners = listeners
