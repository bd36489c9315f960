"""Run one delivery and say what came of it. Knows no store, and does not decide the fate of the task."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import CapacityLimiter, to_thread

from . import codec
from .clock import instant_ms, span_ms
from .context import TaskRun, current_task, set_current_task
from .exceptions import CancelExecution, DecodeError, EncodeError, RetryTask, TaskTimeout
from .lifecycle import Cancelled, Expired, Outcome, Raised, RetryAsked, Returned, Terms, Unknown, Unusable
from .resources import is_sync_manager
from .retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .clock import Clock
    from .hooks import Hooks
    from .message import Delivery, Message
    from .options import TaskOptions
    from .registry import Registry
    from .resources import Resource
    from .task import Task

logger = logging.getLogger("aqueue.runner")

# For what could not be read as a call of a known task: there is nobody to retry for, and others may wait for it.
_NO_TERMS = Terms(RetryPolicy(), 24 * 3600 * 1000, linked=True)


class Ran(NamedTuple):
    """What came of one delivery, with what the decision about it needs. `run` is None where no known task was named."""

    outcome: Outcome
    terms: Terms = _NO_TERMS
    reply: str = ""
    run: TaskRun | None = None


class Plan(NamedTuple):
    """How to run one task, composed once: `call` starts the body with nothing around it that the task does not use."""

    task: Task[..., Any]
    call: Callable[[TaskRun], Awaitable[Any]]
    terms: Terms


class Runner:
    """Runs deliveries. `report` is called with what a task tells of its progress."""

    def __init__(
        self,
        registry: Registry,
        hooks: Hooks,
        clock: Clock,
        *,
        threads: int,
        result_ttl_ms: int,
        max_crashes: int,
        report: Callable[[Delivery, bytes, str], Awaitable[bool]],
    ) -> None:
        self._registry = registry
        self._hooks = hooks
        self._clock = clock
        self._threads = CapacityLimiter(threads)
        self._result_ttl_ms = result_ttl_ms
        self._max_crashes = max_crashes
        self._report = report
        self._plans: dict[str, Plan] = {}

    async def run(self, delivery: Delivery) -> Ran:
        """Run `delivery`. Whatever the message, the task or a hook does, this returns."""
        linked = False
        try:
            message = codec.decode_message(delivery.id, delivery.payload)
        except DecodeError:
            from .workflow.inputs import decode_node

            try:
                message, linked = decode_node(delivery.id, delivery.payload)
            except DecodeError as error:
                return Ran(Unusable(_describe(error, delivery)))
        plan = self._plans.get(message.task)
        if plan is None or plan.task is not self._registry.get(message.task):
            plan = self._plan(message.task)
        if plan is None:
            return Ran(Unknown(message.task), reply=message.reply)
        try:
            options, terms = self._changed(plan, message) if message.overrides else (plan.task.declared, plan.terms)
        except (TypeError, ValueError) as error:
            return Ran(Unusable(_describe(error, delivery)), plan.terms._replace(linked=linked), message.reply)
        if linked:
            terms = terms._replace(linked=True)
        run = TaskRun(delivery, message, options, self._report)
        if delivery.receipt.count > self._max_crashes:
            crashes = delivery.receipt.count - 1
            outcome: Outcome = Unusable(_plainly(run, "WorkerLost", f"{crashes} workers ended while running it"))
        elif message.expires_ms and message.expires_ms < self._clock.now_ms():
            outcome = Expired(_plainly(run, "Expired", "not started in time"))
        else:
            outcome = await self._outcome(plan, run)
        return Ran(outcome, terms, message.reply, run)

    async def _outcome(self, plan: Plan, run: TaskRun) -> Outcome:
        set_current_task(run)
        if self._hooks.pre_execute:
            try:
                await self._hooks.run_pre_execute(run)
            except CancelExecution as error:
                return Cancelled(_describe(error, run.delivery, run), final=True)
            except BaseException as error:
                return self._raised(run, error)
        try:
            plan.task.check_arguments(*run.args, **run.kwargs)
        except TypeError as error:
            return self._raised(run, error, final=True)
        run.started = True
        try:
            run.start_clock()
            run.value = await (plan.call(run) if run.options.timeout_s is None else _in_time(plan, run))
        except CancelExecution as error:
            run.exception = error
            return Cancelled(_describe(error, run.delivery, run), final=error.retry is False, again=error.retry is True)
        except RetryTask as error:
            run.exception = error
            return _retry_asked(error)
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: a task body does not end its worker. Nor does it swallow a
            # cancellation by the worker: that is known, and told apart, where it came from.
            return self._raised(run, error)
        try:
            return Returned(codec.encode_value(run.value, "result"))
        except EncodeError as error:
            return self._raised(run, error, final=True)

    def _raised(self, run: TaskRun, error: BaseException, final: bool = False) -> Raised:
        run.exception = error
        return Raised(_describe(error, run.delivery, run), type(error), final)

    def _plan(self, name: str) -> Plan | None:
        task = self._registry.get(name)
        if task is None:
            return None
        plan = Plan(task, self._compose(task), self._terms(task.declared))
        self._plans[name] = plan
        return plan

    def _terms(self, options: TaskOptions) -> Terms:
        ttl_ms = self._result_ttl_ms if options.result_ttl is None else span_ms(options.result_ttl, "result_ttl")
        return Terms(options.policy, ttl_ms, options.results)

    def _changed(self, plan: Plan, message: Message) -> tuple[TaskOptions, Terms]:
        options = plan.task.declared.changed(**(message.overrides or {}))
        return options, self._terms(options)

    def _compose(self, task: Task[..., Any]) -> Callable[[TaskRun], Awaitable[Any]]:
        """What starts the body of `task`: only what it declared stands around it."""
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


def _given_its_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the current run as its argument ``task``."""
    return lambda *args, **kwargs: function(*args, **kwargs, task=current_task())


async def _in_time(plan: Plan, run: TaskRun) -> Any:
    try:
        async with asyncio.timeout(run.options.timeout_s) as scope:
            return await plan.call(run)
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


def _describe(error: BaseException, delivery: Delivery, run: TaskRun | None = None) -> bytes:
    """What a TaskException on the other side will say."""
    name, text, trace = codec.describe_exception(error)
    return _metadata(name, text, trace, delivery, run)


def _plainly(run: TaskRun, name: str, text: str) -> bytes:
    return _metadata(name, text, "", run.delivery, run)


def _metadata(name: str, text: str, trace: str, delivery: Delivery, run: TaskRun | None) -> bytes:
    metadata = {
        "type": name,
        "error": text,
        "traceback": trace,
        "attempt": delivery.failures + 1,
        "retries": run.retries if run is not None else 0,
        "task_id": delivery.id,
    }
    return codec.encode_value(metadata, "error")
