"""Run one delivery and say what came of it. Knows no store, and does not decide the fate of the task."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import CapacityLimiter, to_thread

from ...core.clock import instant_ms, span_ms
from ...core.failures import describe_exception
from ...core.lifecycle import (
    Cancelled,
    Expired,
    Interrupted,
    Outcome,
    Raised,
    Refused,
    RetryAsked,
    Returned,
    Revoked,
    Terms,
    Unknown,
    Unreadable,
    Unusable,
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
    SerializerMismatch,
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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...core.clock import Clock
    from ...core.codec import Codec
    from ...core.message import Delivery, Message
    from ...tasks.hooks import Hooks
    from ...tasks.options import TaskOptions
    from ...tasks.registry import Registry
    from ...tasks.resources import Resource
    from ...tasks.task import Task
    from .processes.target import Target

logger = logging.getLogger("aqueue.runner")

# For what could not be read as a call of a known task: there is nobody to retry for.
_NO_POLICY = RetryPolicy()
_UNREAD_TTL_MS = 24 * 3600 * 1000


class Ran(NamedTuple):
    """What came of one delivery, with what the decision about it needs. `run` is None where no known task was named.

    `why` says in one line what was wrong, where it was not an exception of the run.
    """

    outcome: Outcome
    terms: Terms
    reply: str = ""
    run: TaskRun | None = None
    why: str = ""


class Plan(NamedTuple):
    """How to run one task, composed once: `call` starts the body with nothing around it that the task does not use.

    `call_in_time` is the same for a run with a timeout.
    """

    task: Task[..., Any]
    call: Callable[[TaskRun], Awaitable[Any]]
    call_in_time: Callable[[TaskRun], Awaitable[Any]]
    terms: Terms


class Runner:
    """Runs deliveries. `report` is called with what a task tells of its progress.

    `is_revoked` is asked, by id and name of a task whose delivery is marked, whether it must not start.
    """

    def __init__(
        self,
        registry: Registry,
        hooks: Hooks,
        clock: Clock,
        codec: Codec,
        *,
        threads: int,
        children: int,
        result_ttl_ms: int,
        max_crashes: int,
        dead_ttl_ms: int = 0,
        report: Callable[[Delivery, bytes, str], Awaitable[bool]],
        is_revoked: Callable[[str, str], Awaitable[bool]],
    ) -> None:
        self._registry = registry
        self._hooks = hooks
        self._clock = clock
        self._codec = codec
        self._threads = CapacityLimiter(threads)
        self._processes = ProcessPool(children)
        self._result_ttl_ms = result_ttl_ms
        self._max_crashes = max_crashes
        self._report = report
        self._is_revoked = is_revoked
        # Others may wait for what cannot be read.
        self._no_terms = Terms(_NO_POLICY, _UNREAD_TTL_MS, linked=True, dead_ttl_ms=dead_ttl_ms)
        self._plans: dict[str, Plan] = {}

    async def close(self) -> None:
        """End the child processes."""
        await self._processes.close()

    async def run(self, delivery: Delivery) -> Ran:
        """Run `delivery`. Whatever the message, the task or a hook does, this returns."""
        try:
            message, node = read_ready(self._codec, delivery.id, delivery.payload)
        except SerializerMismatch as error:
            return Ran(Unreadable(), self._no_terms, why=str(error))
        except DecodeError as error:
            return Ran(Unusable(self._describe(error, delivery)), self._no_terms, why=str(error))
        plan = self._plans.get(message.task)
        if plan is None or plan.task is not self._registry.get(message.task):
            plan = self._plan(message.task)
        terms = self._no_terms if plan is None else plan.terms
        if node.linked:
            terms = terms._replace(linked=True)
        if delivery.may_be_revoked and (stopped := await self._stopped(delivery, message, plan, terms)) is not None:
            return stopped
        if plan is None:
            return Ran(Unknown(message.task), terms, message.reply)
        options = plan.task.declared
        if message.overrides:
            try:
                options = options.changed(**message.overrides)
                terms = self._terms(options, node.linked)
            except (TypeError, ValueError) as error:
                return Ran(Unusable(self._describe(error, delivery)), terms, message.reply, why=str(error))
        run = TaskRun(delivery, message, options, self._tell_progress)
        if delivery.receipt.count > self._max_crashes:
            why = f"{delivery.receipt.count - 1} workers ended while running it"
            return Ran(Unusable(self._plainly(run, "WorkerLost", why)), terms, message.reply, run, why)
        if message.expires_ms and message.expires_ms < self._clock.now_ms():
            why = "not started in time"
            return Ran(Expired(self._plainly(run, "Expired", why)), terms, message.reply, run, why)
        return Ran(await self._outcome(plan, run), terms, message.reply, run)

    async def _stopped(self, delivery: Delivery, message: Message, plan: Plan | None, terms: Terms) -> Ran | None:
        """What comes of a marked delivery that must not start, if it must not."""
        run = None if plan is None else TaskRun(delivery, message, plan.task.declared, self._tell_progress)
        try:
            if not await self._is_revoked(delivery.id, message.task):
                return None
        except (HueyException, asyncio.CancelledError):
            # Not known, so not now: it is given back, and whoever gets it next asks again.
            return Ran(Interrupted(), terms, message.reply, run)
        why = "revoked or cancelled before it started"
        return Ran(Revoked(self._metadata("Revoked", why, "", delivery, run)), terms, message.reply, run, why)

    async def _outcome(self, plan: Plan, run: TaskRun) -> Outcome:
        set_current_task(run)
        if self._hooks.pre_execute or self._hooks.signals.receivers:
            try:
                if _has_waited(run.delivery):
                    await self._hooks.signals.send(SIGNAL_ENQUEUED, run)
                await self._hooks.signals.send(SIGNAL_EXECUTING, run)
                await self._hooks.run_pre_execute(run)
            except CancelExecution as error:
                run.exception = error
                return Cancelled(self._describe(error, run.delivery, run), final=True)
            except BaseException as error:
                return self._raised(run, error)
        try:
            plan.task.check_arguments(*run.args, **run.kwargs)
        except TypeError as error:
            return self._raised(run, error, final=True)
        run.started = True
        try:
            run.start_clock()
            run.value = await (plan.call(run) if run.options.timeout_s is None else plan.call_in_time(run))
        except ChildRaised as raised:
            return self._ended_by(run, raised.exception, raised.description, raised.kind, raised.final)
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: a task body does not end its worker. Nor does it swallow a
            # cancellation by the worker: that is known, and told apart, where it came from.
            return self._ended_by(run, error, describe_exception(error), type(error))
        try:
            return Returned(self._codec.encode_value(run.value, "result", run.message.id))
        except EncodeError as error:
            return self._raised(run, error, final=True)

    def _raised(self, run: TaskRun, error: BaseException, final: bool = False) -> Raised:
        run.exception = error
        return Raised(self._describe(error, run.delivery, run), type(error), final)

    def _ended_by(
        self,
        run: TaskRun,
        error: BaseException,
        description: tuple[str, str, str],
        kind: type[BaseException],
        final: bool = False,
    ) -> Outcome:
        """What came of a body that raised `error`; some exceptions are instructions."""
        run.exception = error
        told = self._metadata(*description, run.delivery, run)
        match error:
            case CancelExecution(retry=retry):
                return Cancelled(told, final=retry is False, again=retry is True)
            case RetryTask():
                return _retry_asked(error)
            case TaskLockedException():
                return Refused(told, _wait_ms(error))
            case RateLimitExceeded(retry=retry):
                return Refused(told, _wait_ms(error), is_failure=not retry)
        return Raised(told, kind, final)

    def _plan(self, name: str) -> Plan | None:
        task = self._registry.get(name)
        if task is None:
            return None
        call = self._compose(task)
        # A call in a process keeps its own time: none passes until there is a child and the body starts in it.
        call_in_time = call if task.declared.pool == "process" else functools.partial(_in_time, call)
        plan = Plan(task, call, call_in_time, self._terms(task.declared))
        self._plans[name] = plan
        return plan

    def _terms(self, options: TaskOptions, linked: bool = False) -> Terms:
        ttl_ms = self._result_ttl_ms if options.result_ttl is None else span_ms(options.result_ttl, "result_ttl")
        return Terms(options.policy, ttl_ms, options.results, linked, self._no_terms.dead_ttl_ms)

    def _compose(self, task: Task[..., Any]) -> Callable[[TaskRun], Awaitable[Any]]:
        """What starts the body of `task`: only what it declared stands around it."""
        if task.declared.pool == "process":
            # Looked for in the run: not to find it is a failure of the task.
            target = functools.cache(functools.partial(target_of, task))
            return lambda run: self._in_process(target(), run)
        function, resource = task.func, task.resource
        if task.declared.context:
            function = _given_its_run(function)
        if task.is_coroutine:
            if resource is None:
                return lambda run: function(*run.message.args, **run.message.kwargs)
            return lambda run: resource.await_call(function, run.args, run.kwargs)
        if resource is None:
            return lambda run: self._in_thread(function, run.args, run.kwargs)
        return lambda run: self._in_thread_inside(resource, function, run)

    async def _in_process(self, target: Target, run: TaskRun) -> Any:
        async with self._processes.running(target, run.delivery) as child:
            run.start_clock()
            return self._codec.decode_value(await _in_time(child.finish, run), "result", run.id)

    async def _in_thread(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Abandoned, not awaited, when it is cancelled: nothing can stop a thread, but its task gets its verdict.
        call = functools.partial(function, *args, **kwargs)
        return await to_thread.run_sync(call, limiter=self._threads, abandon_on_cancel=True)

    async def _in_thread_inside(self, resource: Resource, function: Callable[..., Any], run: TaskRun) -> Any:
        def call_or_hand_over() -> tuple[Any, Any]:
            # Made in the thread that uses it: making it may block, and what is made may belong to its thread.
            manager = resource.make()
            if is_sync_manager(manager):
                return None, resource.call_inside(manager, function, run.args, run.kwargs)
            return manager, None

        manager, value = await self._in_thread(call_or_hand_over, (), {})
        if manager is None:
            return value
        return await resource.await_inside(
            manager, lambda *args, **kwargs: self._in_thread(function, args, kwargs), run.args, run.kwargs
        )

    def cancelled(self, ran: Ran, delivery: Delivery) -> Ran:
        """`ran`, whose body was cancelled because somebody cancelled the task: hooks see a ``CancelExecution``."""
        error = CancelExecution("cancelled while it ran")
        if ran.run is not None:
            ran.run.exception = error
        return ran._replace(outcome=Cancelled(self._describe(error, delivery, ran.run), final=True))

    # -- telling

    async def _tell_progress(self, run: TaskRun, progress: list[Any]) -> bool:
        report = self._codec.encode_value(progress, "progress", run.id)
        return await self._report(run.delivery, report, run.message.reply)

    def _describe(self, error: BaseException, delivery: Delivery, run: TaskRun | None = None) -> bytes:
        """What a TaskException on the other side will say."""
        name, text, trace = describe_exception(error)
        return self._metadata(name, text, trace, delivery, run)

    def _plainly(self, run: TaskRun, name: str, text: str) -> bytes:
        return self._metadata(name, text, "", run.delivery, run)

    def _metadata(self, name: str, text: str, trace: str, delivery: Delivery, run: TaskRun | None) -> bytes:
        metadata = {
            "type": name,
            "error": text,
            "traceback": trace,
            "attempt": delivery.failures + 1,
            "retries": run.retries if run is not None else 0,
            "task_id": delivery.id,
        }
        try:
            return self._codec.encode_value(metadata, "error", delivery.id)
        except EncodeError as error:
            # A serializer that fails even here must not keep the task from its verdict.
            logger.error("The description of an error was left out: %s", error)
            return b""


def _has_waited(delivery: Delivery) -> bool:
    """Whether this is the first of a task that got in line with the verdicts of others."""
    return delivery.fence == 1 and delivery.payload.startswith(JOINED)


def _given_its_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the current run as its argument ``task``."""
    return lambda *args, **kwargs: function(*args, **kwargs, task=current_task())


async def _in_time(call: Callable[[TaskRun], Awaitable[Any]], run: TaskRun) -> Any:
    try:
        async with asyncio.timeout(run.options.timeout_s) as scope:
            return await call(run)
    except TimeoutError as error:
        if scope.expired():
            raise TaskTimeout(f"timeout {run.options.timeout_s}s") from error
        raise


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
