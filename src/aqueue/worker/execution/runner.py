"""Run one delivery and report what came of it. Knows no store, and does not decide the fate of the task.

The runner gathers facts: what the message says, whether the task is known and revoked, what the clock says, what the
body returned or raised. ``core.lifecycle`` decides what they mean.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from ...core.clock import instant_ms, span_ms
from ...core.failures import describe_exception
from ...core.lifecycle import (
    Blocked,
    Cancelled,
    Expired,
    Interrupted,
    Outcome,
    Raised,
    RetryAsked,
    Returned,
    Revoked,
    SettlementPolicy,
    Unusable,
    refusal,
    unknown,
    unreadable,
)
from ...core.message import JOINED
from ...core.retry import RetryPolicy
from ...exceptions import (
    CancelExecution,
    DecodeError,
    EncodeError,
    HueyException,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
    TaskTimeout,
)
from ...signals import SIGNAL_ENQUEUED, SIGNAL_EXECUTING
from ...tasks.context import TaskRun, current_task, set_current_task
from ...tasks.resources import is_sync_manager
from ...tasks.workflow.inputs import read_ready
from .processes.failure import ChildRaised
from .processes.pool import ProcessPool
from .processes.target import target_of
from .report import RunReport, encode_failure
from .slots import NoSlot
from .thread_pool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...core.clock import Clock
    from ...core.lifecycle import Refusal
    from ...core.message import Delivery
    from ...tasks.options import TaskOptions
    from ...tasks.parts import Parts
    from ...tasks.resources import Resource
    from ...tasks.task import Task
    from ..options import WorkerOptions
    from .processes.target import Target
    from .slots import Slots

logger = logging.getLogger("aqueue.runner")

# For a message that cannot be read, or names a task that is not known here: nothing says what its options are.
_NO_RETRIES = RetryPolicy()
_NO_OPTIONS_TTL_MS = 24 * 3600 * 1000


class Plan(NamedTuple):
    """How to run one task, composed once. `call` starts the body, with nothing around it that the task does not use.

    `call_in_time` is the same for a run with a timeout. `slots` are those of its kind, None for a coroutine function.
    """

    task: Task[..., Any]
    call: Callable[[TaskRun], Awaitable[Any]]
    call_in_time: Callable[[TaskRun], Awaitable[Any]]
    policy: SettlementPolicy
    slots: Slots | None


class Runner:
    """Runs deliveries of the application that `parts` belong to.

    It awaits ``report(delivery, progress, reply)`` when a task reports progress, and ``is_revoked(task_id, name)``
    before it starts a delivery that may be revoked.
    """

    def __init__(
        self,
        parts: Parts,
        options: WorkerOptions,
        clock: Clock,
        *,
        report: Callable[[Delivery, bytes, str], Awaitable[bool]],
        is_revoked: Callable[[str, str], Awaitable[bool]],
    ) -> None:
        self._registry = parts.registry
        self._hooks = parts.hooks
        self._codec = parts.codec
        self._result_ttl_ms = parts.result_ttl_ms
        self._dead_ttl_ms = parts.dead_ttl_ms
        self._max_crashes = options.max_crashes
        self._threads = ThreadPool(options.threads)
        self._processes = ProcessPool(options.most_children)
        self._clock = clock
        self._report = report
        self._is_revoked = is_revoked
        # Linked, because other tasks may wait for one that cannot be read.
        self._policy_without_options = SettlementPolicy(
            _NO_RETRIES, _NO_OPTIONS_TTL_MS, linked=True, dead_ttl_ms=parts.dead_ttl_ms
        )
        self._plans: dict[str, Plan] = {}
        # Called with each delivery whose body was cancelled because its time is up, and the error that it should raise.
        self.on_stop: Callable[[Delivery, Exception], None] = _ignore

    @property
    def slots(self) -> tuple[Slots, Slots]:
        """The slots of the kinds that need one: threads, and child processes."""
        return self._threads.slots, self._processes.slots

    @property
    def lost(self) -> int:
        """How many slots of all kinds are taken by what was left behind and still runs."""
        return sum(slots.lost for slots in self.slots)

    def slots_of(self, name: str) -> Slots | None:
        """The slots of the kind of a task that runs; None for a coroutine function."""
        plan = self._plans.get(name)
        return None if plan is None else plan.slots

    async def close(self) -> None:
        """End the child processes."""
        await self._processes.close()

    async def run(self, delivery: Delivery) -> RunReport:
        """Run `delivery`, or refuse to. Whatever the message, the task or a hook does, this returns."""
        try:
            message, node = read_ready(self._codec, delivery.id, delivery.payload)
        except DecodeError as error:
            return self._refused(unreadable(error), delivery, self._policy_without_options)
        is_revoked = await self._ask_whether_revoked(delivery.id, message.task) if delivery.may_be_revoked else False
        plan = self._plans.get(message.task)
        if plan is None or plan.task is not self._registry.get(message.task):
            plan = self._plan(message.task)
        if plan is None:
            nobody_knows_it = unknown(message.task, is_revoked)
            return self._refused(nobody_knows_it, delivery, self._policy_without_options, message.reply)
        options, policy, problem = plan.task.declared, plan.policy, None
        if message.overrides:
            try:
                options = options.changed(**message.overrides)
                policy = self._policy(options)
            except (TypeError, ValueError) as error:
                problem = error
        if node.linked:
            policy = policy._replace(linked=True)
        run = TaskRun(delivery, message, options, self._report_progress)
        now_ms = self._clock.now_ms() if message.expires_ms else 0
        refused = refusal(delivery, message, is_revoked, problem, self._max_crashes, now_ms)
        if refused is not None:
            return self._refused(refused, delivery, policy, message.reply, run)
        if plan.slots is not None:
            return await self._run_in_slot(plan.slots, plan, policy, run)
        return RunReport(await self._outcome(plan, run), policy, message.reply, run)

    async def _run_in_slot(self, slots: Slots, plan: Plan, policy: SettlementPolicy, run: TaskRun) -> RunReport:
        """Run what needs a slot of its kind, or give it back to the store."""
        try:
            # What workers did not survive stays: the store starts that count again when it gets a delivery back.
            async with slots.hold(may_turn_away=run.delivery.receipt.count == 1):
                return RunReport(await self._outcome(plan, run), policy, run.message.reply, run)
        except NoSlot:
            if self._hooks.signals.receivers:
                await self._say_that_it_has_waited(run)
            return RunReport(Interrupted(), policy, run.message.reply)
        except asyncio.CancelledError as error:
            # Stopped while it waited for its slot.
            return RunReport(self._raised(run, error), policy, run.message.reply, run)

    def report_on(self, delivery: Delivery, error: Exception) -> RunReport:
        """The report on a run that was stopped and does not end: that its body raised `error`."""
        message, node = read_ready(self._codec, delivery.id, delivery.payload)
        options = self._plans[message.task].task.declared.changed(**(message.overrides or {}))
        policy = self._policy(options)._replace(linked=node.linked)
        run = TaskRun(delivery, message, options, self._report_progress)
        run.started = True
        return RunReport(self._raised(run, error), policy, message.reply, run)

    async def _ask_whether_revoked(self, task_id: str, name: str) -> bool | None:
        """Whether the task must not start; None if the store does not say."""
        try:
            return await self._is_revoked(task_id, name)
        except (HueyException, asyncio.CancelledError):
            return None

    def _refused(
        self,
        refused: Refusal,
        delivery: Delivery,
        policy: SettlementPolicy,
        reply: str = "",
        run: TaskRun | None = None,
    ) -> RunReport:
        outcome: Outcome = refused.outcome
        if refused.description is not None and isinstance(outcome, Revoked | Expired | Unusable):
            outcome = outcome._replace(error=encode_failure(self._codec, refused.description, delivery, run))
        return RunReport(outcome, policy, reply, run, refused.why)

    async def _outcome(self, plan: Plan, run: TaskRun) -> Outcome:
        set_current_task(run)
        if self._hooks.pre_execute or self._hooks.signals.receivers:
            try:
                await self._say_that_it_has_waited(run)
                await self._hooks.signals.send(SIGNAL_EXECUTING, run)
                await self._hooks.run_pre_execute(run)
            except CancelExecution as error:
                run.exception = error
                return Cancelled(self._encode(describe_exception(error), run), final=True)
            except BaseException as error:
                return self._raised(run, error)
        try:
            plan.task._check_arguments(*run.message.args, **run.message.kwargs)
        except TypeError as error:
            return self._raised(run, error, final=True)
        run.started = True
        try:
            run.start_clock()
            run.value = await (plan.call(run) if run.options.timeout_s is None else plan.call_in_time(run))
        except ChildRaised as raised:
            return self._ended_by(run, raised.exception, raised.description, raised.kind, raised.final)
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: a body does not end its worker. A cancellation by the worker is not
            # lost here: the dispatcher, which made it, knows of it.
            return self._ended_by(run, error, describe_exception(error), type(error))
        try:
            return Returned(self._codec.encode_value(run.value, "result", run.message.id))
        except EncodeError as error:
            return self._raised(run, error, final=True)

    async def _say_that_it_has_waited(self, run: TaskRun) -> None:
        """Send ``SIGNAL_ENQUEUED`` with the first delivery of a task that waited for others in a workflow."""
        if run.delivery.fence == 1 and run.delivery.payload.startswith(JOINED):
            await self._hooks.signals.send(SIGNAL_ENQUEUED, run)

    def _raised(self, run: TaskRun, error: BaseException, final: bool = False) -> Raised:
        run.exception = error
        return Raised(self._encode(describe_exception(error), run), type(error), final)

    def _ended_by(
        self,
        run: TaskRun,
        error: BaseException,
        description: tuple[str, str, str],
        kind: type[BaseException],
        final: bool = False,
    ) -> Outcome:
        """The outcome of a body that raised `error`. Some exceptions are instructions."""
        run.exception = error
        encoded = self._encode(description, run)
        match error:
            case CancelExecution(retry=retry):
                return Cancelled(encoded, final=retry is False, again=retry is True)
            case RetryTask():
                return _retry_asked(error)
            case TaskLockedException():
                return Blocked(encoded, _wait_ms(error))
            case RateLimitExceeded(retry=retry):
                return Blocked(encoded, _wait_ms(error), is_failure=not retry)
        return Raised(encoded, kind, final)

    def _plan(self, name: str) -> Plan | None:
        task = self._registry.get(name)
        if task is None:
            return None
        call = self._compose(task)
        # A call in a process measures its own time, which begins when the body starts in a child.
        call_in_time = call if task.declared.pool == "process" else functools.partial(self._in_time, call)
        plan = Plan(task, call, call_in_time, self._policy(task.declared), self._slots_for(task))
        self._plans[name] = plan
        return plan

    def _policy(self, options: TaskOptions) -> SettlementPolicy:
        ttl_ms = self._result_ttl_ms if options.result_ttl is None else span_ms(options.result_ttl, "result_ttl")
        return SettlementPolicy(options.policy, ttl_ms, options.results, dead_ttl_ms=self._dead_ttl_ms)

    def _slots_for(self, task: Task[..., Any]) -> Slots | None:
        if task.declared.pool == "process":
            return self._processes.slots
        return None if task.is_coroutine else self._threads.slots

    def _compose(self, task: Task[..., Any]) -> Callable[[TaskRun], Awaitable[Any]]:
        """A function that starts the body of `task`, with only what the task declared around it."""
        if task.declared.pool == "process":
            # Looked up in the run, so that a task that cannot be found there fails.
            target = functools.cache(functools.partial(target_of, task))
            return lambda run: self._in_process(target(), run)
        function, resource = task.func, task._resource
        if task.declared.context:
            function = _given_its_run(function)
        if task.is_coroutine:
            if resource is None:
                return lambda run: function(*run.message.args, **run.message.kwargs)
            return lambda run: resource.await_call(function, run.args, run.kwargs)
        if resource is None:
            return lambda run: self._threads.call(function, run.args, run.kwargs)
        return lambda run: self._in_thread_inside(resource, function, run)

    async def _in_time(self, call: Callable[[TaskRun], Awaitable[Any]], run: TaskRun) -> Any:
        if run.options.timeout_s is None:
            return await call(run)
        try:
            async with asyncio.timeout(None) as scope:
                loop = asyncio.get_running_loop()
                timer = loop.call_later(run.options.timeout_s, self._time_is_up, scope, run)
                try:
                    return await call(run)
                finally:
                    timer.cancel()
        except TimeoutError as error:
            if scope.expired():
                raise _timed_out(run) from error
            raise

    def _time_is_up(self, scope: asyncio.Timeout, run: TaskRun) -> None:
        scope.reschedule(asyncio.get_running_loop().time())
        self.on_stop(run.delivery, _timed_out(run))

    async def _in_process(self, target: Target, run: TaskRun) -> Any:
        async with self._processes.running(target, run.delivery) as child:
            run.start_clock()
            return self._codec.decode_value(await self._in_time(child.finish, run), "result", run.id)

    async def _in_thread_inside(self, resource: Resource, function: Callable[..., Any], run: TaskRun) -> Any:
        def call_or_hand_over() -> tuple[Any, Any]:
            # Made in the thread that uses it, because that may block, and the manager may belong to its thread.
            manager = resource.make()
            if is_sync_manager(manager):
                return None, resource.call_inside(manager, function, run.args, run.kwargs)
            return manager, None

        manager, value = await self._threads.call(call_or_hand_over, (), {})
        if manager is None:
            return value
        return await resource.await_inside(
            manager, lambda *args, **kwargs: self._threads.call(function, args, kwargs), run.args, run.kwargs
        )

    async def _report_progress(self, run: TaskRun, progress: list[Any]) -> bool:
        encoded = self._codec.encode_value(progress, "progress", run.id)
        return await self._report(run.delivery, encoded, run.message.reply)

    def _encode(self, description: tuple[str, str, str], run: TaskRun) -> bytes:
        return encode_failure(self._codec, description, run.delivery, run)


def _given_its_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the current run as its argument ``task``."""
    return lambda *args, **kwargs: function(*args, **kwargs, task=current_task())


def _timed_out(run: TaskRun) -> TaskTimeout:
    return TaskTimeout(f"timeout {run.options.timeout_s}s")


def _ignore(delivery: Delivery, error: Exception) -> None:
    """Nobody watches for bodies that go on."""


def _retry_asked(error: RetryTask) -> RetryAsked:
    try:
        if error.eta is not None:
            return RetryAsked(eta_ms=max(instant_ms(error.eta, "eta"), 1))
        if error.delay is not None:
            return RetryAsked(delay_ms=span_ms(error.delay, "delay"))
    except (TypeError, ValueError) as problem:
        logger.warning("RetryTask: %s; the task's own retry_delay is used instead", problem)
    return RetryAsked()


def _wait_ms(error: TaskLockedException | RateLimitExceeded) -> int:
    try:
        return span_ms(error.delay, "delay")
    except (TypeError, ValueError) as problem:
        logger.warning("%s: %s; the shortest wait is used instead", type(error).__name__, problem)
        return 0
