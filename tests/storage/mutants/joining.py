"""Broken rules of workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aqueue.core.lifecycle import State
from aqueue.core.message import Trigger
from aqueue.storage.memory.store import MemoryStorage
from aqueue.storage.memory.workflows import Ready, Refused, WaitingNodes
from aqueue.storage.protocol import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aqueue.core.lifecycle import Settlement
    from aqueue.core.message import Envelope, Node
    from aqueue.storage.memory.tables import Task


class _WithRules(MemoryStorage):
    """A memory storage with other rules."""

    Rules = WaitingNodes

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._nodes = self.Rules()


class HalfAWorkflowIsKept(MemoryStorage):
    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        new = [node.envelope.id not in self._tasks for node in nodes]
        await super().push_workflow([node for node, is_new in zip(nodes, new, strict=True) if is_new])
        return new


class AWorkflowIsPushedAgain(MemoryStorage):
    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        for node in nodes:
            self._tasks.pop(node.envelope.id, None)
        return await super().push_workflow(nodes)


class NobodyWaits(MemoryStorage):
    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        return await super().push_workflow([node._replace(after=()) for node in nodes])


class ARefusedVerdictMovesOn(MemoryStorage):
    def _settle(self, settlement: Settlement) -> bool:
        accepted = super()._settle(settlement)
        if not accepted and settlement.linked:
            for moved in self._nodes.follow(settlement.id, Record(settlement.state, settlement.result)):
                self._move_on(moved, settlement.ttl_ms)
        return accepted


class ARetryMovesOn(MemoryStorage):
    def _put_back(self, task: Task, settlement: Settlement) -> None:
        super()._put_back(task, settlement)
        for moved in self._nodes.follow(task.id, Record(State.DONE)):
            self._move_on(moved, settlement.ttl_ms)


class NothingFollows(MemoryStorage):
    def _follow(self, task: Task, ttl_ms: int) -> None: ...


class NothingFollowsWhenATaskNeverRan(MemoryStorage):
    def _follow(self, task: Task, ttl_ms: int) -> None:
        if task.count:
            super()._follow(task, ttl_ms)


class ADelayCountsFromThePush(MemoryStorage):
    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        now_ms = self._clock.now_ms()
        return await super().push_workflow(
            [
                node._replace(
                    envelope=node.envelope._replace(eta_ms=node.envelope.eta_ms or now_ms + node.envelope.delay_ms)
                )
                for node in nodes
            ]
        )


class ACancelledNodeIsNotTold(MemoryStorage):
    def _move_on(self, moved: Ready | Refused, ttl_ms: int) -> None:
        super()._move_on(moved._replace(node=moved.node._replace(reply="")), ttl_ms)


class ACancelledNodeIsKeptForEver(MemoryStorage):
    def _move_on(self, moved: Ready | Refused, ttl_ms: int) -> None:
        super()._move_on(moved, ttl_ms + 1_000_000_000)


class ACancelledNodeHasNoCause(_WithRules):
    class Rules(WaitingNodes):
        def follow(self, task_id: str, verdict: Record) -> Iterator[Ready | Refused]:
            for moved in super().follow(task_id, verdict):
                yield moved._replace(cause=Record(State.CANCELLED)) if isinstance(moved, Refused) else moved


class TheFirstOfSeveralStarts(_WithRules):
    class Rules(WaitingNodes):
        def add(self, nodes: Sequence[Node]) -> None:
            super().add([node._replace(after=node.after[:1]) for node in nodes])


class InputsStandInTheOrderOfTheirArrival(_WithRules):
    class Rules(WaitingNodes):
        def follow(self, task_id: str, verdict: Record) -> Iterator[Ready | Refused]:
            order = {successor: list(waiting.inputs) for successor, waiting in self._waiting.items()}
            for moved in super().follow(task_id, verdict):
                if isinstance(moved, Ready) and len(moved.inputs) > 1:
                    arrived = order[moved.node.envelope.id]
                    arrived += set(range(len(moved.inputs))) - set(arrived)
                    moved = Ready(moved.node, [moved.inputs[position] for position in arrived])
                yield moved


class OnlyOneSuccessorIsToldOfAResult(_WithRules):
    class Rules(WaitingNodes):
        def add(self, nodes: Sequence[Node]) -> None:
            super().add(nodes)
            for successors in self._successors.values():
                del successors[1:]


class _Retriggered(MemoryStorage):
    """Nodes of one trigger get another."""

    asked: Trigger
    given: Trigger

    async def push_workflow(self, nodes: Sequence[Node]) -> list[bool]:
        changed = [node._replace(trigger=self.given) if node.trigger is self.asked else node for node in nodes]
        return await super().push_workflow(changed)


class AFailureCountsAsDone(_Retriggered):
    asked, given = Trigger.DONE, Trigger.ENDED


class AFailureEndsACollection(_Retriggered):
    asked, given = Trigger.ENDED, Trigger.DONE


class AHandlerAlwaysRuns(_Retriggered):
    asked, given = Trigger.FAILED, Trigger.ENDED


class AHandlerRunsWhenAllIsWell(_Retriggered):
    asked, given = Trigger.FAILED, Trigger.DONE


class OnlyTheNextIsCancelled(_WithRules):
    class Rules(WaitingNodes):
        def follow(self, task_id: str, verdict: Record) -> Iterator[Ready | Refused]:
            for moved in super().follow(task_id, verdict):
                yield moved
                if isinstance(moved, Refused):
                    return


class AnInheritedFailureIsHandledAgain(_WithRules):
    class Rules(WaitingNodes):
        def _take(self, waiting: Any, position: int, state: State, cause: Record) -> Ready | Refused | None:
            return super()._take(waiting, position, cause.state, cause)


class ACancelledNodeHidesItsCause(_WithRules):
    class Rules(WaitingNodes):
        def _take(self, waiting: Any, position: int, state: State, cause: Record) -> Ready | Refused | None:
            return super()._take(waiting, position, state, cause._replace(state=state))


class ALateInputWakesACancelledNode(_WithRules):
    class Rules(WaitingNodes):
        def follow(self, task_id: str, verdict: Record) -> Iterator[Ready | Refused]:
            for moved in super().follow(task_id, verdict):
                yield moved
                if isinstance(moved, Refused) and moved.node.trigger is Trigger.DONE:
                    self.add([moved.node])


class ACancelledNodeGoesOnWaiting(MemoryStorage):
    def _withdraw(self, task: Task) -> None:
        if task.state is not State.WAITING:
            super()._withdraw(task)


class ANodeWaitsOnWhenItHasEnded(_WithRules):
    class Rules(WaitingNodes):
        def remove(self, task_id: str) -> None:
            self._waiting.pop(task_id, None)


class ARevocationOutlivesItsNode(MemoryStorage):
    def _move_on(self, moved: Ready | Refused, ttl_ms: int) -> None:
        task_id = moved.node.envelope.id
        was_revoked = self._revocations.holds(task_id, "", False)
        super()._move_on(moved, ttl_ms)
        if was_revoked:
            self._revocations.put(task_id, 0, once=False)


class ARevocationOfANodeThatWaitsIsForgotten(MemoryStorage):
    async def revoke(self, key: str, until_ms: int, once: bool, keep_ms: int) -> None:
        task = self._tasks.get(key)
        if task is not None and task.state is State.WAITING:
            until_ms = until_ms or self._clock.now_ms() + keep_ms
        await super().revoke(key, until_ms, once, keep_ms)


class NobodySeesWhatWaits(MemoryStorage):
    async def envelopes(self, task_ids: Sequence[str]) -> list[Envelope | None]:
        found = await super().envelopes(task_ids)
        return [None if self._tasks[each.id].state is State.WAITING else each for each in found if each is not None]


class InputsHaveNoLengths(MemoryStorage):
    def _move_on(self, moved: Ready | Refused, ttl_ms: int) -> None:
        if isinstance(moved, Ready):
            moved = Ready(moved.node, [given.replace(b"\n\n", b"\n") for given in moved.inputs])
        super()._move_on(moved, ttl_ms)
