"""Mistakes that an editor marks before anything runs. Read by type checkers, never executed.

Each line that is wrong says so for both of them: an expected error that is not reported is an error itself.
"""

from __future__ import annotations

from typing import Any

from aqueue import Huey, MemoryHuey, RedisHuey, Result, SqliteHuey, crontab, every

huey = Huey("shop")


@huey.task(retries=3)
async def add(a: int, b: int = 2) -> int:
    return a + b


@huey.task
def subtract(a: int, b: int) -> int:
    return a - b


@huey.context_task(open, as_argument=True)
async def given(connection: Any, order: int) -> int:
    return order


async def arguments() -> None:
    await add.enqueue("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await add.enqueue()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await add.enqueue(1, 2, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await add.enqueue(1, c=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await add.enqueue(1, delay=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await add("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.s("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.s(1, 2, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await add.options(delay=5).enqueue("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.enqueue_sync("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await subtract.enqueue(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await given.enqueue(None, 5)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    await given.enqueue("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await add.schedule([1], delay=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await huey.enqueue(add)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await huey.enqueue_many([add])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await huey.cancel(add)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def results(result: Result[int]) -> None:
    await subtract(1, 2)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    number: int = add(1, 2)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    text: str = await add(1, 2)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    text = await result  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    texts: list[str] = await (await add.map([1]))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    number = await result.get(blocking=False)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(number, text, texts)
    text = result.value  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


async def forgotten_awaits(result: Result[int]) -> None:
    add.enqueue(1)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    result.get()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


def options_of_a_task() -> None:
    huey.task("add")(len)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    huey.task(retires=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    huey.task(retries="three")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    huey.task(retry_on=[ValueError])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    huey.task(pool="processes")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    huey.task(name=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    huey.context_task(open, retires=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    huey.context_task(open, True, queue=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    huey.periodic_task(crontab(minute="*/5"), prioriti=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    huey.periodic_task(crontab(minute="*/5"), misfire="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    huey.periodic_task(every(hours=1), retries="three")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def options_of_a_call() -> None:
    add.options(prioriti=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    add.options(priority="high")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.options(id=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    add.options(pool="process")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await add.schedule((1,), eta="tomorrow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await add.schedule((1,), delay=5, retires=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def options_of_an_application() -> None:
    Huey("shop", hots="localhost")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RedisHuey("shop", hots="localhost")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RedisHuey("shop", port="6379")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisHuey("shop", result_ttl="an hour")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SqliteHuey("shop", file="jobs.db")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    MemoryHuey("shop", imediate=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def options_of_a_worker() -> None:
    huey.create_worker(concurency=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    huey.create_worker(queues=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    huey.create_worker(lease="a minute")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@huey.signal("eror")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def misspelt_signal(signal: str, task: Any) -> None: ...


huey.disconnect_signal(misspelt_signal, "eror")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
