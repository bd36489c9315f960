"""Broken rules of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqueue.storage.memory import MemoryStorage
from aqueue.storage.protocol import Due

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqueue.message import Envelope


class WhatWasSeenIsNotCompared(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name, self._schedules.get(name, b""), state, envelopes)


class ABeginningIsAlwaysAccepted(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name, seen or self._schedules.get(name, b""), state, envelopes)


class ARepeatedStepIsRefused(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return self._schedules.get(name, b"") == seen and await super().advance(name, seen, state, envelopes)


class ARepeatedStepFiresAgain(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        if self._schedules.get(name, b"") == state:
            await self.push(envelopes)
        return await super().advance(name, seen, state, envelopes)


class ARefusedStepFires(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        made = await super().advance(name, seen, state, envelopes)
        if not made:
            await self.push(envelopes)
        return made


class ARefusedStepIsCalledMade(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        await super().advance(name, seen, state, envelopes)
        return True


class AStepFiresNothing(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name, seen, state, [])


class AStepFiresTheFirstAlone(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name, seen, state, envelopes[:1])


class AStepFiresAtOnce(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        at_once = [envelope._replace(delay_ms=0, eta_ms=0) for envelope in envelopes]
        return await super().advance(name, seen, state, at_once)


class AStepFiresIntoOneQueue(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name, seen, state, [envelope._replace(queue="default") for envelope in envelopes])


class AStepForgetsItsState(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name, seen, seen if envelopes else state, envelopes)


class AStepReplacesAKnownTask(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        if self._schedules.get(name, b"") == seen:
            for envelope in envelopes:
                self._tasks.pop(envelope.id, None)
        return await super().advance(name, seen, state, envelopes)


class AScheduleIsNotForgotten(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name, seen, state or seen, envelopes)


class SchedulesShareAState(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        return await super().advance(name.lower(), seen, state, envelopes)


class NobodyIsToldOfASchedule(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        listeners, self._listeners = self._listeners, []
        try:
            return await super().advance(name, seen, state, envelopes)
        finally:
            self._listeners = listeners


class EveryStepIsTold(MemoryStorage):
    async def advance(self, name: str, seen: bytes, state: bytes, envelopes: Sequence[Envelope]) -> bool:
        if envelopes:
            self._tell(None, Due(0))
        return await super().advance(name, seen, state, envelopes)
